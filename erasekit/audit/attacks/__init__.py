"""One attack per module; each runs on every model in the same way."""
