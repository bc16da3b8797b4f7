"""What is asked in each notebook, and how an answer is judged: one file a part of the tutorial."""
