"""What is handed to others: a model folder with its card."""
