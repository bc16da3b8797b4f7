"""Training: resumable to the bit, and an oracle that differs in its list alone."""

from __future__ import annotations

import dataclasses
import math
import unicodedata
from pathlib import Path

import numpy as np
import pytest
import torch
from support import fingerprint

from erasekit.data.data_spec import WorldSpec
from erasekit.data.drawn.captions import prompts
from erasekit.data.drawn.world import World
from erasekit.data.pairs import Pairs
from erasekit.data.worlds import SPLITS, Lessons
from erasekit.errors import RunError, UsageError
from erasekit.models import train_clip as train
from erasekit.models.clip import CONFIG_FILE, load_clip
from erasekit.models.contrastive import info_nce
from erasekit.models.train_clip import (
    TrainSpec,
    context_length_of,
    tokenize,
    tokenizer_of,
    train_clip,
)

SPEC = TrainSpec(steps=6, batch=8, warmup=2)
CPU = torch.device("cpu")


LANGUAGES = ("en", "ja", "ru", "ar")


@pytest.fixture(scope="module")
def world() -> World:
    return World(WorldSpec(concepts=16, pictures=2, scenes=24, held_out_pictures=3))


def trained(experiment, folder: Path, pairs=None, spec: TrainSpec = SPEC) -> dict[str, str]:
    pairs = experiment.world.pairs("train") if pairs is None else pairs
    folder.mkdir(exist_ok=True)
    train_clip(experiment.world, pairs, spec, folder, device=CPU, progress=False)
    return fingerprint(load_clip(folder).model)


@pytest.fixture(scope="module")
def uninterrupted(tiny_experiment, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    return trained(tiny_experiment, tmp_path_factory.mktemp("whole"))


def test_training_twice_gives_the_same_bits(tiny_experiment, uninterrupted, tmp_path: Path) -> None:
    assert trained(tiny_experiment, tmp_path / "again") == uninterrupted


@pytest.mark.parametrize("step", [1, 4])
def test_a_resumed_training_gives_the_same_bits(
    tiny_experiment, uninterrupted, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: int
) -> None:
    whole, calls = train.info_nce, []

    def interrupted(*arguments):
        if len(calls) == step:
            import os
            import signal

            os.kill(os.getpid(), signal.SIGINT)  # what Ctrl-C does, in the middle of a step
        calls.append(1)
        return whole(*arguments)

    monkeypatch.setattr(train, "info_nce", interrupted)
    with pytest.raises(KeyboardInterrupt):
        trained(tiny_experiment, tmp_path / "part")
    assert len(calls) == step + 1
    assert (tmp_path / "part" / "checkpoint.pt").is_file()
    calls.extend([1] * 100)
    before = len(calls)
    assert trained(tiny_experiment, tmp_path / "part") == uninterrupted
    assert len(calls) - before == SPEC.steps - step - 1  # the steps done were not done again
    assert not (tmp_path / "part" / "checkpoint.pt").exists()


@pytest.mark.parametrize("other", ["seed", "list", "order"])
def test_a_checkpoint_of_another_seed_or_list_is_not_used(
    tiny_experiment, uninterrupted, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, other: str
) -> None:
    pairs, spec = tiny_experiment.world.pairs("train"), SPEC
    if other == "seed":
        spec = dataclasses.replace(SPEC, seed=9)
    elif other == "list":
        pairs = tiny_experiment.task.retain
    else:
        pairs = pairs.take(range(len(pairs))[::-1])
    whole = train.info_nce

    def failing(*arguments):
        failing.calls += 1
        if failing.calls > 3:
            raise KeyboardInterrupt
        return whole(*arguments)

    failing.calls = 0
    monkeypatch.setattr(train, "info_nce", failing)
    with pytest.raises(KeyboardInterrupt):
        trained(tiny_experiment, tmp_path / "x", pairs, spec)
    assert (tmp_path / "x" / "checkpoint.pt").is_file()
    monkeypatch.setattr(train, "info_nce", whole)
    assert trained(tiny_experiment, tmp_path / "x") == uninterrupted


def test_the_seed_decides_the_model(tiny_experiment, uninterrupted, tmp_path: Path) -> None:
    other = trained(tiny_experiment, tmp_path / "other", spec=dataclasses.replace(SPEC, seed=1))
    assert other != uninterrupted


def test_first_weights_and_batches_are_both_the_seeds(
    tiny_experiment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Oracles that shared either would differ less than retraining does."""
    real, first, plans = train.save_new_model, [], []
    plan = train.plan_batches

    def save(model, *rest):
        first.append({k: v.clone() for k, v in model.state_dict().items()})
        return real(model, *rest)

    monkeypatch.setattr(train, "save_new_model", save)
    monkeypatch.setattr(
        train, "plan_batches", lambda *a, **k: plans.append(plan(*a, **k)) or plans[-1]
    )
    for seed in (0, 1):
        spec = dataclasses.replace(SPEC, steps=1, seed=seed)
        trained(tiny_experiment, tmp_path / str(seed), spec=spec)
    one, _, other, _ = first  # before and after each training
    name = next(name for name, value in one.items() if value.dim() > 1)
    assert not torch.equal(one[name], other[name])
    assert (plans[0] != plans[1]).any()


def test_the_oracle_has_the_originals_shape_and_words(tiny_experiment) -> None:
    original, oracle = tiny_experiment.original_folder, tiny_experiment.oracle_folder
    for name in (CONFIG_FILE, "tokenizer.json", "tokenizer_config.json"):
        assert (original / name).read_bytes() == (oracle / name).read_bytes()
    one, other = (load_clip(f).model.state_dict() for f in (original, oracle))
    assert {k: v.shape for k, v in one.items()} == {k: v.shape for k, v in other.items()}
    assert any(not torch.equal(one[k], other[k]) for k in one)


def test_the_oracles_list_is_the_retain_set(
    tiny_experiment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import erasekit

    seen = {}
    real = train.train_clip

    def spy(world, pairs, spec, folder, **rest):
        seen[rest["label"]] = (world, pairs, spec)
        return real(world, pairs, spec, folder, **rest)

    monkeypatch.setattr(train, "train_clip", spy)
    monkeypatch.setenv("ERASEKIT_CACHE", str(tmp_path))
    settings = dataclasses.asdict(tiny_experiment.settings)
    again = erasekit.load(**{**settings, "forget_languages": "ja"}, progress=False)
    _ = again.original, again.oracle
    _, everything, spec = seen["training the original"]
    _, retained, oracle_spec = seen["training the oracle"]
    assert spec == oracle_spec
    forgotten = {c.index for c in again.world.concepts if c.group == "fruit"}
    assert len(everything) == len(again.world.pairs("train"))
    # Out goes every sample with a forgotten concept, in any language, scene or single.
    out = set(everything.positions.tolist()) - set(retained.positions.tolist())
    assert out == {
        i for i, s in enumerate(again.world.samples("train")) if forgotten & set(s.concepts)
    }
    assert len({everything.languages[i] for i in out}) > 1


def test_the_logit_scale_stays_within_clips_bound(
    tiny_experiment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert math.exp(train.MAX_LOGIT_SCALE) == pytest.approx(100)
    # One step from where every CLIP begins, and the same under a bound that lies below it.
    scales = []
    for name, bound in {"free": train.MAX_LOGIT_SCALE, "bound": 2.0}.items():
        monkeypatch.setattr(train, "MAX_LOGIT_SCALE", bound)
        trained(tiny_experiment, tmp_path / name, spec=dataclasses.replace(SPEC, steps=1))
        scales.append(load_clip(tmp_path / name).model.logit_scale.item())
    assert scales[0] > 2.5
    assert scales[1] == 2


def test_a_loss_that_is_not_finite_ends_training(
    tiny_experiment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(train, "info_nce", lambda image, *_: image.sum() * float("nan"))
    with pytest.raises(RunError, match="stopped at step 1: contrastive is nan"):
        trained(tiny_experiment, tmp_path / "nan")


def test_a_batch_larger_than_the_list_is_refused(tiny_experiment, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="batch = 5000"):
        trained(tiny_experiment, tmp_path / "x", spec=dataclasses.replace(SPEC, batch=5000))


def test_the_tokenizer_gives_back_every_caption(world: World) -> None:
    tokenizer = tokenizer_of(world)
    texts = {
        world.caption(sample, language)
        for split in SPLITS
        for sample in world.samples(split)
        for language in LANGUAGES
    }
    texts |= {p for c in world.concepts for language in LANGUAGES for p in prompts(c, language)}
    for text in texts:
        ids = tokenizer.encode(text).ids
        assert tokenizer.decode(ids).strip() == unicodedata.normalize("NFC", text).lower()


def test_every_caption_fits_the_context(world: World) -> None:
    tokenizer = tokenizer_of(world)
    context = context_length_of(world, tokenizer)
    longest = 0
    for split in SPLITS:
        for sample in world.samples(split):
            for language in (sample.language, "en"):
                n = len(tokenizer.encode(world.caption(sample, language)).ids)
                longest = max(longest, n)
    assert longest <= context < longest + 4
    for concept in world.concepts:  # what zero-shot reads must fit as well
        for language in LANGUAGES:
            tokenize(tokenizer, prompts(concept, language), context)


def test_a_caption_that_does_not_fit_is_refused(world: World) -> None:
    with pytest.raises(RunError, match="tokens; the model reads 4"):
        tokenize(tokenizer_of(world), ["a picture of a banana and of grapes"], 4)


class OneOfAKind(World):
    """A drawn world whose pairs of one caption belong together, as in a folder."""

    def lessons(self, pairs: Pairs) -> Lessons:
        _, same = np.unique(np.array(pairs.captions), return_inverse=True)
        return Lessons(list(pairs.captions), same[:, None])


def test_pairs_of_one_caption_are_positives_of_each_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = OneOfAKind(WorldSpec(concepts=8, pictures=4, scenes=4, held_out_pictures=3))
    pairs = world.pairs("train")
    few = pairs.take([0, 0, 0, 1, 2])  # more than one of a kind in every batch
    seen = []

    def note(image, text, scale, alike=None):
        seen.append(alike)
        return info_nce(image, text, scale, alike)

    monkeypatch.setattr(train, "info_nce", note)
    train_clip(world, few, SPEC, tmp_path, device=CPU, progress=False)
    same = np.array(few.captions)[:, None] == np.array(few.captions)
    batch = train.plan_batches(
        few.concepts, steps=SPEC.steps, batch=SPEC.batch, seed=SPEC.seed, distinct=False
    )
    for alike, rows in zip(seen, batch, strict=True):
        assert np.array_equal(alike.numpy(), same[np.ix_(rows, rows)])


def test_long_captions_are_cut_and_counted(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    world = OneOfAKind(WorldSpec(concepts=8, pictures=4, scenes=4, held_out_pictures=3))
    few = world.pairs("train").take(range(8))
    long = dataclasses.replace(few, captions=(*few.captions[:7], "a red cat " * 60))
    monkeypatch.setattr(world, "texts", lambda: set(long.captions))
    train_clip(world, long, SPEC, tmp_path, device=CPU)
    assert f"note: 1 captions are cut after {train.MOST_TOKENS} tokens" in capsys.readouterr().err
    assert load_clip(tmp_path).model.context_length == train.MOST_TOKENS


def test_muon_moves_the_inner_matrices_and_filters_alone(tiny_experiment) -> None:
    model = tiny_experiment.original.copy().model.requires_grad_()
    names = {id(weight): name for name, weight in model.named_parameters()}

    def moved(optimizer: str) -> set[str]:
        made = train.optimizer_of(model, dataclasses.replace(SPEC, optimizer=optimizer))
        every = [id(w) for group in made.param_groups for w in group["params"]]
        assert sorted(every) == sorted(names)  # each weight once
        groups = [group for group in made.param_groups if group.get("muon")]
        return {names[id(weight)] for group in groups for weight in group["params"]}

    assert moved("adamw") == set()
    found = moved("muon")
    assert {"visual.conv2.weight", "visual.layer4.0.conv3.weight"} <= found
    assert "transformer.resblocks.0.mlp.c_fc.weight" in found
    for outer in ("token_embedding.weight", "text_projection", "visual.conv1.weight"):
        assert outer not in found
    assert not any("attnpool" in name or "embedding" in name for name in found)
    assert all(dict(model.named_parameters())[name].ndim > 1 for name in found)
