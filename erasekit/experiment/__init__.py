"""A world, a task and the models on it, each made when first asked for."""
