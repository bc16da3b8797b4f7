"""HTML pages: a run, a comparison, the tutorial, and a notebook."""
