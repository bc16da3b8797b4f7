"""Experiments: a world, a task, and models that are made on first use."""
