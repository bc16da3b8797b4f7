"""Deletion requests to a model: from the letter to the live model, and back."""
