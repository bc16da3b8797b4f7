"""The certificate: what was asked, what was measured, and that no byte has changed since."""
