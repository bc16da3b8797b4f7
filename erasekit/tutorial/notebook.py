"""What a notebook says, shows and records, so that its cells hold no logic.

A notebook begins with `begin`, which refuses a parameter it does not know. With the
parameter ``out`` set, pictures are kept there as files, and recorded values as JSON:
tests hold the notebook's words against them.
"""

from __future__ import annotations

import ast
import math
import os
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from IPython.display import Markdown, display
from matplotlib.figure import Figure
from torch import Tensor

from erasekit import progress
from erasekit.errors import UsageError
from erasekit.files import write_json, write_whole
from erasekit.tutorial.exercises.all_exercises import EXERCISES
from erasekit.tutorial.parameters import check_names, check_parameters
from erasekit.tutorial.shown import figure_html, table_html

if TYPE_CHECKING:
    from erasekit.audit.audit_result import Audit
    from erasekit.evaluate.scorecard import Scorecard

#: First line of the cell in which papermill puts the parameters it was given.
INJECTED = "# Parameters"


def begin(name: str, namespace: dict[str, Any]) -> Notebook:
    """Check the parameters of a notebook, and start it.

    Args:
        name: of the notebook's file, without its ending.
        namespace: the notebook's ``globals()``; a list of names becomes text there.

    Raises:
        UsageError: for a parameter that the notebook does not have, for one that is missing in
            its parameters cell, or for a value of another type. The values of an earlier run
            are then gone from the namespace, so that no later cell can use them.
    """
    declared = _declared(namespace)
    try:
        check_names(name, declared)
        given = {key: namespace[key] for key in declared if key in namespace}
        parameters = check_parameters(declared, given, name)
        check_parameters(declared, _injected(namespace), name)
    except UsageError:
        for key in (*declared, "nb"):
            namespace.pop(key, None)
        raise
    namespace.update(parameters)
    return Notebook(name, namespace, parameters)


def _declared(namespace: dict[str, Any]) -> dict[str, str]:
    """Type of each parameter by its name, as the parameters cell that ran last has them."""
    for source in reversed(namespace.get("In", [])):
        statements = _statements(source)
        found = {
            s.target.id: ast.unparse(s.annotation)
            for s in statements
            if isinstance(s, ast.AnnAssign) and isinstance(s.target, ast.Name)
        }
        if found and all(isinstance(s, ast.AnnAssign | ast.Assign) for s in statements):
            return found
    # Without IPython's history: what annotated assignments left.
    return {
        key: kind if isinstance(kind, str) else kind.__name__
        for key, kind in namespace.get("__annotations__", {}).items()
    }


def _injected(namespace: dict[str, Any]) -> dict[str, Any]:
    """Names that papermill's own cell set, as IPython's history of inputs has it."""
    found: dict[str, Any] = {}
    for source in namespace.get("In", []):
        if source.startswith(INJECTED):
            for statement in _statements(source):
                if isinstance(statement, ast.Assign):
                    names = [t.id for t in statement.targets if isinstance(t, ast.Name)]
                    found.update({key: namespace[key] for key in names if key in namespace})
    return found


def _statements(source: str) -> list[ast.stmt]:
    try:
        return ast.parse(source).body
    except SyntaxError:  # a cell with magics, or one that never ran
        return []


class Notebook:
    """One run of a notebook.

    Attributes:
        name: of its file, without the ending.
        parameters: value of each declared parameter.
        out: folder that keeps its pictures and values; None keeps nothing.
        values: what was recorded so far.
    """

    def __init__(self, name: str, namespace: dict[str, Any], parameters: dict[str, Any]) -> None:
        self.name = name
        self.parameters = parameters
        self.values: dict[str, Any] = {}
        self._namespace = namespace
        out = parameters.get("out")
        self.out = Path(out).expanduser().resolve() if out else None
        if self.out:
            # Nobody watches a run that keeps its results, and a moving bar would be
            # stored in the notebook as a string of leftovers.
            os.environ[progress.VARIABLE] = "0"

    def say(self, text: str) -> None:
        """Show a text in Markdown; ``{name}`` in it becomes the value recorded as that.

        What is said with a number is thereby recorded too, and can be held to its word. A value
        that is a text, such as a concept's name, is shown as it is: it holds no Markdown and no
        HTML.
        """
        values = {k: _literal(v) if isinstance(v, str) else v for k, v in self.values.items()}
        display(Markdown(" ".join(text.split()).format_map(values)))

    def table(self, frame: pd.DataFrame, digits: int = 2, letters: int = 80) -> None:
        """Show a table, rounded: digits that differ between machines are not shown.

        Args:
            digits: decimals of numbers that are not whole.
            letters: of a cell, at most; the rest is cut off.
        """
        with pd.option_context("display.max_columns", 40, "display.max_colwidth", letters):
            plain = str(frame.round(digits))
        page = table_html(frame, digits, letters)
        display({"text/html": page, "text/plain": plain}, raw=True)

    def picture(self, figure: Figure, title: str, caption: str = "", alt: str = "") -> None:
        """Show a picture once, and keep it as ``NN_title.png``, NN being the notebook's number.

        Args:
            caption: one line that says what to see; ``{name}`` in it becomes a recorded value.
            alt: what the picture shows, for who cannot see it; the caption by default.
        """
        name = f"{self.name.split('_')[0]}_{title}"
        if self.out:
            path = self.out / "figures" / f"{name}.png"
            write_whole(path, lambda aside: figure.savefig(aside, format="png", dpi=120))
        caption, alt = (" ".join(t.split()).format_map(self.values) for t in (caption, alt))
        page = figure_html(figure, name, caption, alt or caption)
        plt.close(figure)  # or the notebook would draw it a second time
        display({"text/html": page, "text/plain": alt or caption}, raw=True)

    def answer(
        self, prediction: str | None, outcome: str, choices: Sequence[str], why: str = ""
    ) -> None:
        """Answer a prediction by what the run gave.

        Args:
            prediction: what the learner chose before; None for nothing.
            outcome: which of the choices the run gave, computed from it.
            choices: what could be predicted.
            why: more about the outcome, as in `say`.

        Raises:
            ValueError: when `outcome` is none of the choices.
        """
        if outcome not in choices:
            raise ValueError(f"{outcome!r} is none of {choices}")
        self.record(prediction=outcome)
        if prediction is None:
            said = "You made no prediction. "
        elif prediction in choices:
            said = f"You predicted *{prediction}*. "
        else:
            said = f"Your prediction is none of {', '.join(choices)}. "
        self.say(f"{said}This run says **{outcome}**. {why}")

    def record(self, **values: float | int | str | Tensor | np.generic) -> None:
        """Note values that the text relies on, for the tests that hold it to its word."""
        for key, value in values.items():
            value = value.item() if isinstance(value, Tensor | np.generic) else value
            self.values[key] = round(float(value), 6) if isinstance(value, float) else value
        if self.out:
            write_json(
                self.out / f"{self.name}.json",
                {"notebook": self.name, "parameters": self.parameters, "values": self.values},
            )

    def note(self, card: Scorecard, metric: str, *subsets: str) -> None:
        """Record a metric as ``metric_subset_model`` for every model of a scorecard.

        Where the scorecard has an erased model and an oracle, ``metric_subset_gap`` is
        their signed difference in points.
        """
        for subset in subsets:
            key = f"{metric}_{subset}"
            self.record(**{f"{key}_{m}": card.value(m, metric, subset) for m in card.models})
            if {"erased", "oracle"} <= set(card.models):
                self.record(**{f"{key}_gap": card.gap(metric, subset)})

    def note_audit(self, audit: Audit) -> None:
        """Record the verdict of each test as ``verdict_test``, and the gravest gap as ``gap_test``.

        Gaps are in points, to the oracles or, without any, to the original.
        """
        from erasekit.plots.audit import audit_verdicts_data

        for line in audit_verdicts_data(audit).to_dict("records"):
            self.record(**{f"verdict_{line['test']}": line["verdict"]})
            if not math.isnan(line["gap"]):
                self.record(**{f"gap_{line['test']}": line["gap"]})

    def keep(self, file: str, save: Callable[[Path], Any]) -> None:
        """Let `save` write `file` into the run's folder, if there is one."""
        if self.out:
            save(self.out / file)

    def exercise(self, name: str, answer: Any, **facts: Any) -> None:
        """Judge the answer to an exercise of this notebook; None is no answer yet.

        Args:
            name: of the exercise.
            answer: a value or a function, as the exercise asks.
            facts: what the judge needs to know the truth.
        """
        verdict = EXERCISES[self.name][name].verdict(answer, **facts)
        self.record(**{f"exercise_{name}": verdict.status})
        display(Markdown(verdict.text))


def _literal(text: str) -> str:
    """A text as Markdown that shows just this text, on one line."""
    return re.sub(r"([!-/:-@\[-`{-~])", r"\\\1", " ".join(text.split()))
