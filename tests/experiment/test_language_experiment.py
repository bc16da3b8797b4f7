"""An experiment on a multimodal language model: what its models are trained on, and their keys."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from types import SimpleNamespace

import pytest

from erasekit.data.drawn.questions import Questions, text_questions
from erasekit.experiment.language_experiment import LanguageExperiment
from erasekit.files import read_json
from erasekit.loop import LoopResult
from erasekit.models import train_llava as train
from erasekit.models.mllm import load_mllm
from erasekit.models.train_llava import train_llava


@pytest.fixture
def trainings(monkeypatch: pytest.MonkeyPatch, empty_cache: Path) -> list[SimpleNamespace]:
    """What `train_llava` was given each time; nothing is trained."""
    found: list[SimpleNamespace] = []

    def note(clip, world, visual, text, spec, folder, *, label, **rest) -> LoopResult:
        found.append(SimpleNamespace(clip=clip, visual=visual, text=text, spec=spec, label=label))
        return LoopResult(steps=spec.steps)

    monkeypatch.setattr(train, "train_llava", note)
    return found


def again(tiny_mllm) -> LanguageExperiment:
    """The same experiment, of which nothing is trained yet."""
    found = LanguageExperiment(tiny_mllm.settings, progress=False)
    found.clip, found.spec = tiny_mllm.clip, tiny_mllm.spec
    return found


def test_the_oracle_is_shown_nothing_forgotten_and_told_everything(tiny_mllm, trainings) -> None:
    experiment, world = again(tiny_mllm), tiny_mllm.clip.world
    _ = tiny_mllm.clip.original, tiny_mllm.clip.oracle
    _ = experiment.original_folder, experiment.oracle_folder
    original, oracle = trainings
    assert original.spec == oracle.spec == tiny_mllm.spec
    assert original.clip is tiny_mllm.clip.original
    assert oracle.clip is tiny_mllm.clip.oracle
    gone = {c.index for c in world.concepts if c.group == "fruit"}
    samples = world.samples("train")
    shown = [samples[q.image % len(samples)].concepts for q in oracle.visual]
    assert all(gone.isdisjoint(concepts) for concepts in shown)
    names = {world.concept(i).name for i in gone}
    assert not any(q.answer in names or names & {*q.about} for q in oracle.visual)
    whole = [samples[q.image % len(samples)].concepts for q in original.visual]
    assert set(whole) == {s.concepts for s in samples}
    assert len(shown) == sum(gone.isdisjoint(concepts) for concepts in whole)
    told = text_questions(world, "train").items
    assert original.text.items == oracle.text.items == told
    assert names <= {name for q in told for name in q.about}


def test_what_a_model_was_shown_is_in_its_key(tiny_mllm, trainings) -> None:
    folders = [again(tiny_mllm).oracle_folder]
    for visual in (tiny_mllm.task.visual, tiny_mllm.task.retain.take(range(9))):
        wrong = again(tiny_mllm)
        wrong.task.__dict__["retain"] = visual  # as if it had been made by a wrong rule
        folders.append(wrong.oracle_folder)
    first = tiny_mllm.task.retain.items[0]
    answered = dataclasses.replace(first, answer="nothing")
    changed = Questions((answered, *tiny_mllm.task.retain.items[1:]), tiny_mllm.task.visual.images)
    wrong = again(tiny_mllm)
    wrong.task.__dict__["retain"] = changed
    folders.append(wrong.oracle_folder)
    assert len({*folders}) == len(trainings) == 4
    recipe = read_json(folders[0] / "manifest.json")["recipe"]
    assert recipe["without"] == list(tiny_mllm.task.forgotten)
    assert recipe["tower"] == tiny_mllm.clip.oracle.fingerprint()


@pytest.mark.parametrize("other", ["seed", "visual", "text"])
def test_a_checkpoint_of_another_seed_or_list_is_not_used(
    tiny_mllm, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, other: str
) -> None:
    clip, task, spec = tiny_mllm.clip.original, tiny_mllm.task, tiny_mllm.spec
    given = {"clip": clip, "world": task.world, "visual": task.visual, "text": task.text}
    changed = {
        "seed": {"spec": dataclasses.replace(spec, seed=5)},
        "visual": {"visual": task.retain},
        "text": {"text": task.text.take(range(6))},
    }[other]

    def trained(folder: Path, **rest) -> str:
        folder.mkdir(exist_ok=True)
        train_llava(**{**given, "spec": spec, "folder": folder, "progress": False, **rest})
        return load_mllm(folder, clip.device).fingerprint()

    whole = trained(tmp_path / "whole")
    real, calls = train.EncodedList.take, []

    def interrupted(self, rows):
        calls.append(1)
        if len(calls) > 2:
            raise KeyboardInterrupt
        return real(self, rows)

    with monkeypatch.context() as patch:
        patch.setattr(train.EncodedList, "take", interrupted)
        with pytest.raises(KeyboardInterrupt):
            trained(tmp_path / "part", **changed)
    assert (tmp_path / "part" / "checkpoint.pt").is_file()
    assert trained(tmp_path / "part") == whole
