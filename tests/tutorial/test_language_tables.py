"""The tables that notebooks on language models show, by hand."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pandas as pd
import pytest
import torch

from erasekit.tutorial.language_tables import audit_table, mask_shares


def test_a_share_counts_weights_and_not_tensors() -> None:
    sizes = {"vision": {"v": 4}, "projector": {"p": 2}, "language": {"large": 90, "small": 10}}
    mllm: Any = SimpleNamespace(
        parameters=lambda modules: {n: torch.zeros(k) for n, k in sizes[modules[0]].items()}
    )
    found = mask_shares({"p": 0.5, "large": 0.1, "small": 1.0}, mllm)
    assert found == pytest.approx({"vision": 0.0, "projector": 0.5, "language": 0.19})


def test_probes_and_relearning_are_rows_in_percent() -> None:
    rows = [
        {"test": t, "metric": m, "condition": "", "model": model, "value": value}
        for model, value in (("erased", 0.75), ("oracle", 0.25))
        for t, m in (
            ("answer_relearning", "after"),
            ("answer_relearning", "area"),
            ("answer_probes", "tower"),
            ("answer_probes", "language model"),
        )
    ]
    audit: Any = SimpleNamespace(frame=lambda: pd.DataFrame(rows))
    table = audit_table(audit)
    assert table.index[0] == "read from the image tower"
    assert table.index[-1] == "accuracy after relearning"
    assert table.loc["accuracy after relearning", "erased"] == 75.0
    assert table.notna().all(axis=None) and len(table) == 4
