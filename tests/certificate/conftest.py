"""A real run, certified once; tests that change it take a copy."""

from support_certificate import certified, certified_once, keys, run  # noqa: F401
