"""Pairs keep what belongs together."""

from __future__ import annotations


def test_the_first_of_each_label_are_taken(tiny_experiment):
    pairs = tiny_experiment.world.pairs("train").singles
    taken = pairs.first_of_each(2)
    labels = pairs.labels().tolist()
    expected = [i for i, label in enumerate(labels) if labels[:i].count(label) < 2]
    assert taken.positions.tolist() == pairs.positions[expected].tolist()
