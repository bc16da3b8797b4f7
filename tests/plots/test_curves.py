"""The loss terms are those of the history."""

from __future__ import annotations

from erasekit import plots
from erasekit.plots.curves import loss_terms_data


def test_loss_terms_keep_steps_terms_and_checks():
    history = [
        {"step": 0, "forgetting": 2.0, "loss": 2.0},
        {"step": 1, "forgetting": 1.0, "loss": 1.0, "validation_forget": 0.5},
    ]
    data = loss_terms_data(history)
    found = {(r.step, r.kind, r.name): r.value for r in data.itertuples()}
    assert found == {
        (1, "term", "forgetting"): 2.0,
        (2, "term", "forgetting"): 1.0,
        (1, "term", "loss"): 2.0,
        (2, "term", "loss"): 1.0,
        (2, "validation", "forget"): 0.5,
    }


def test_a_single_term_is_drawn_once():
    figure = plots.loss_terms([{"step": i, "forgetting": -i, "loss": -i} for i in range(3)])
    labels = [line.get_label() for line in figure.axes[0].lines]
    assert "forgetting" in labels and "sum (the loss)" not in labels


def test_loss_curves_are_the_history(tiny_erasure):
    data = loss_terms_data(tiny_erasure.history)
    axes = plots.loss_terms(tiny_erasure.history).axes[0]
    lines = {line.get_label(): line for line in axes.lines}
    for name, part in data[data["kind"] == "term"].groupby("name"):
        line = lines["sum (the loss)" if name == "loss" else name]
        assert list(line.get_xdata()) == list(part["step"])
        assert list(line.get_ydata()) == list(part["value"])
    checked = [{"step": i, "a": 1.0, "b": 1.0, "loss": 2.0} for i in range(4)]
    checked[3] |= {"validation_forget": 0.25, "validation_retain": 0.75}
    below = plots.loss_terms(checked).axes[1]
    assert {line.get_label(): list(line.get_ydata()) for line in below.lines} == {
        "forget": [0.25],
        "retain": [0.75],
    }
