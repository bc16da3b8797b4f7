"""Certificates: a run's results against a policy, with hashes that detect later changes."""
