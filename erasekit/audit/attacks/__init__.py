"""One attack a module: what it asks of every model alike."""
