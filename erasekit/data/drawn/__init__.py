"""The drawn world: drawings with names, scenes of them, and questions about them."""
