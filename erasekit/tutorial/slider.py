"""A slider over precomputed pictures, for a person who can move it.

The executed pages and the tests run notebooks without anybody at the front end. There the slider
is left out, and the picture above it is what is shown.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import matplotlib.pyplot as plt
from IPython.core.getipython import get_ipython
from IPython.display import HTML, display
from matplotlib.figure import Figure

from erasekit.extras import needed
from erasekit.tutorial.shown import figure_html


def attended() -> bool:
    """Whether a person is at the front end of this kernel.

    A front end tells with each cell whether it can answer a kernel's question (`input()`).
    JupyterLab, VS Code and Colab can; papermill, nbclient and nbval cannot.
    """
    kernel = getattr(get_ipython(), "kernel", None)
    return bool(getattr(kernel, "_allow_stdin", False))


def show_slider(draw: Callable[[Any], Figure], label: str, choices: Sequence[Any]) -> None:
    """Let the reader choose which picture is drawn; show nothing where nobody can.

    Args:
        draw: from a choice to its picture.
        label: what is chosen.
        choices: in the order of the slider.
    """
    if not attended():
        return
    widgets = needed("ipywidgets", "tutorial", "the slider")

    def redraw(choice: Any) -> None:
        figure = draw(choice)
        display(HTML(figure_html(figure, f"slider_{label}", "", f"{label}: {choice}")))
        plt.close(figure)  # or the notebook would draw it a second time

    chosen = widgets.SelectionSlider(options=list(choices), description=label)
    widgets.interact(redraw, choice=chosen)
