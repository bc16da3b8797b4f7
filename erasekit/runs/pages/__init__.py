"""Pages that a person reads: a run, a comparison, the tutorial, and a notebook."""
