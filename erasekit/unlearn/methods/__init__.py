"""Unlearning methods, one per module."""
