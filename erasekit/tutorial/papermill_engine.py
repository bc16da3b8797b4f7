"""papermill's own engine, but that an interrupted notebook says where it was stopped.

The entry point `erasekit` makes papermill import this module while it is itself being imported.
The engine then also runs what plain `papermill` runs, because papermill marks every cell behind
an interrupted one as completed. Papermill must not be imported at the top: whoever imported this
module first would meet it half made.
"""

from __future__ import annotations

from typing import Any


def __getattr__(name: str) -> Any:
    """`Engine`, made and registered as papermill's default when papermill asks for it."""
    if name != "Engine":
        raise AttributeError(name)
    from papermill.engines import NBClientEngine, papermill_engines

    class Engine(NBClientEngine):
        """papermill's engine, which tells of each cell that begins, and marks a stop."""

        @classmethod
        def execute_managed_notebook(  # type: ignore[override]
            cls, nb_man: Any, kernel_name: str, tell: Any = None, **options: Any
        ) -> Any:
            cells, start, begun = nb_man.nb.cells, nb_man.cell_start, 0

            def cell_start(cell: Any, cell_index: int | None = None, **more: Any) -> None:
                nonlocal begun
                begun = cell_index or 0
                if tell:
                    tell(f"cell {begun + 1} of {len(cells)}")
                start(cell, cell_index, **more)

            nb_man.cell_start = cell_start
            try:
                return super().execute_managed_notebook(nb_man, kernel_name, **options)
            except BaseException:
                # papermill itself would say that this cell and all after it were completed.
                nb_man.cell_exception(cells[begun])
                if cells[begun].cell_type == "code":
                    cells[begun].outputs.append(_stopped())
                raise

    papermill_engines.register(None, Engine)
    papermill_engines.register("erasekit", Engine)
    return Engine


def _stopped() -> Any:
    """The output of the cell in which a notebook was stopped."""
    from nbformat.v4 import new_output

    said = "the notebook was stopped in this cell; no cell after it has run"
    return new_output("error", ename="Stopped", evalue=said, traceback=[said])
