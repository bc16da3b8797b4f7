"""One method a module: its loss or its rule, and nothing else."""
