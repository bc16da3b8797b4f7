"""The drawn world: named drawings, scenes of them, and questions about them."""
