"""Share a model: a folder with the model and its card."""
