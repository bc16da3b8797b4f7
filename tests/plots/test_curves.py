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


def test_each_term_and_check_is_drawn_as_it_was():
    history = [
        {"step": i, "forgetting": 2.0 - i, "retention": 0.5 * i, "loss": 2.0 - 0.5 * i}
        | ({"validation_forget": 0.25} if i == 1 else {})
        for i in range(2)
    ]
    above, below = plots.loss_terms(history).axes
    drawn = {line.get_label(): line.get_xydata().tolist() for line in above.lines[:3]}
    assert drawn == {
        "forgetting": [[1, 2.0], [2, 1.0]],
        "retention": [[1, 0.0], [2, 0.5]],
        "sum (the loss)": [[1, 2.0], [2, 1.5]],
    }
    assert below.lines[0].get_xydata().tolist() == [[2, 0.25]]
