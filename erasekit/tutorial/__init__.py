"""What the notebooks need: how they run, speak, ask, and are compared."""
