"""What every notebook imports, imported once: the server that kernels are forked from loads this.

Nothing is computed here, so that a fork finds no thread and no random state.
"""

from __future__ import annotations

import os

# A kernel sets this before a notebook imports matplotlib; here matplotlib comes first.
os.environ.setdefault("MPLBACKEND", "module://matplotlib_inline.backend_inline")

import ipykernel.kernelapp  # noqa: F401
import matplotlib.pyplot  # noqa: F401
import nbconvert  # noqa: F401
import open_clip  # noqa: F401
import papermill  # noqa: F401
import seaborn  # noqa: F401
