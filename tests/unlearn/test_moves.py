"""Which weights may move: found by name in each class of model; all others stay, bit for bit."""

from __future__ import annotations

import dataclasses
import sys

import open_clip
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from support import build, fingerprint
from typer.testing import CliRunner

from erasekit.errors import UsageError
from erasekit.models.clip import Clip
from erasekit.unlearn.engine import EraseSpec, erase
from erasekit.unlearn.look import Look
from erasekit.unlearn.methods.cliperase import CLIPErase
from erasekit.unlearn.moves import CLIP_PARTS, moving_names, parse_moves
from erasekit.unlearn.registry import get_method

SPEC = EraseSpec(steps=3, forget_batch=3, retain_batch=4, learning_rate=1e-3)


@pytest.fixture(scope="module")
def names() -> dict[str, list[str]]:
    return {
        kind: [k for k, _ in build(kind).model.named_parameters()]
        for kind in ("vit", "resnet", "custom")
    }


def moved(before: dict[str, str], model) -> set[str]:
    after = fingerprint(model)
    assert after.keys() == before.keys(), "the erased model is a plain one again"
    return {name for name, value in after.items() if value != before[name]}


def run(experiment, original: Clip, moves: str, method=None, **spec):
    spec = dataclasses.replace(SPEC, moves=moves, **spec)
    return erase(original, experiment.task, method or CLIPErase(), spec, progress=False)


@pytest.mark.parametrize("kind", ["vit", "resnet", "custom"])
def test_parts_are_what_the_towers_own(names, kind: str) -> None:
    all_names, model = names[kind], build(kind).model

    def part(moves: str) -> set[str]:
        return set(moving_names(all_names, parse_moves(moves)))

    image = {
        k for k, v in model.named_parameters() if any(v is p for p in model.visual.parameters())
    }
    assert part("all") == set(all_names)
    assert part("image") == image
    assert part("text") == set(all_names) - image - {"logit_scale"}
    assert part("image+text") == part("image") | part("text")
    # A projection maps a tower's width to the common 16 dimensions, and nothing else does.
    projections = {
        "vit": {"visual.proj", "text_projection"},
        "resnet": {
            "visual.attnpool.c_proj.weight",
            "visual.attnpool.c_proj.bias",
            "text_projection",
        },
        "custom": {"visual.proj", "text.text_projection"},
    }
    assert part("projection") == projections[kind]


@pytest.mark.parametrize("kind", ["vit", "resnet", "custom"])
def test_the_last_blocks_are_those_that_compute_last(names, kind: str) -> None:
    """Held against the order in which a forward pass calls them."""
    clip, called = build(kind), []
    blocks = (open_clip.transformer.ResidualAttentionBlock, open_clip.modified_resnet.Bottleneck)
    for name, module in clip.model.named_modules():
        if isinstance(module, blocks):
            module.register_forward_hook(lambda *_, name=name: called.append(name))
    clip.model.encode_image(torch.zeros(1, 3, 48, 48))
    image, called = called, []
    clip.model.encode_text(torch.ones(1, 64, dtype=torch.long))
    for module in clip.model.modules():
        module._forward_hooks.clear()
    text = [name for name, _ in clip.model.named_modules() if ".resblocks." in f".{name}."]
    text = [n for n in text if n.split(".")[-2] == "resblocks" and not n.startswith("visual")]
    assert len(image) == {"vit": 3, "resnet": 4, "custom": 3}[kind] and len(text) == 2
    for count in (1, 2, 3):
        found = moving_names(names[kind], parse_moves(f"last:{count}"))
        wanted = (*image[-count:], *text[-count:])
        assert {n for n in names[kind] if n.startswith(tuple(f"{w}." for w in wanted))} == set(
            found
        )
    with pytest.raises(UsageError, match=f"fewer blocks \\({len(image)} in image and 2 in text\\)"):
        moving_names(names[kind], parse_moves("last:9"))


@pytest.mark.parametrize(
    "name",
    [
        "text.transformer.encoder.layer.1.attention.self.query.weight",
        "visual.trunk.blocks.1.attn.qkv.weight",
        "visual.trunk.stages.3.blocks.1.mlp.fc1.weight",
    ],
)
def test_blocks_of_towers_from_other_libraries_are_found(name: str) -> None:
    earlier = [name.replace(".1.", f".{i}.") for i in range(2)]
    others = ["visual.trunk.norm.weight", "text.transformer.embeddings.weight"]
    assert moving_names([*others, *earlier], parse_moves("last:1")) == [name]


@pytest.mark.parametrize(
    ("moves", "message"),
    [
        ("pixels", "unknown part in moves 'pixels'"),
        ("imag", "did you mean 'image'"),
        ("", "unknown part in moves ''"),
        ("image+", "unknown part in moves ''"),
        ("image:2", "unknown part in moves 'image:2'"),
        ("last", "write last:N, N a whole number above 0"),
        ("last:0", "write last:N"),
        ("lora:-1", "write lora:N"),
        ("last:2+last:3", "'last' occurs twice"),
        ("text+text", "'text' occurs twice"),
    ],
)
def test_what_cannot_be_read_is_refused(moves: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        EraseSpec(moves=moves)


def test_a_part_that_a_model_lacks_is_refused_with_those_it_has() -> None:
    with pytest.raises(UsageError, match="this model has no 'projection'; it has all, image, text"):
        moving_names(["visual.conv.weight", "ln_final.bias"], parse_moves("projection"))


@given(
    parts=st.lists(st.sampled_from([*CLIP_PARTS.holds][1:]), max_size=3, unique=True),
    last=st.integers(0, 3),
)
def test_what_is_joined_moves_what_each_part_moves(parts: list[str], last: int) -> None:
    all_names = [k for k, _ in MODEL.named_parameters()]
    words = [*parts, *([f"last:{last}"] if last else [])]
    if words:
        joined = moving_names(all_names, parse_moves("+".join(words)))
        each = [set(moving_names(all_names, parse_moves(word))) for word in words]
        assert set(joined) == set.union(*each)
        assert joined == [name for name in all_names if name in joined]


MODEL = build("vit").model


@pytest.mark.parametrize("kind", ["vit", "resnet", "custom"])
@pytest.mark.parametrize("moves", ["image", "text", "projection", "last:1", "text+projection"])
def test_what_may_not_move_stays_bit_identical(tiny_experiment, kind: str, moves: str) -> None:
    original = build(kind, tiny_experiment.original)
    before = fingerprint(original.model)
    erased = run(tiny_experiment, original, moves)
    may = set(moving_names([k for k, _ in original.model.named_parameters()], parse_moves(moves)))
    found = moved(before, erased.model.model)
    assert found <= may
    assert len(found) > len(may) / 2
    assert fingerprint(original.model) == before
    assert not any(p.requires_grad for p in erased.model.model.parameters())


@pytest.mark.parametrize("name", ["salun", "lip", "munba", "ssd", "slug", "task_negation"])
def test_methods_with_masks_and_rules_keep_to_the_part(tiny_experiment, name: str) -> None:
    original = build("resnet", tiny_experiment.original)
    before = fingerprint(original.model)
    erased = run(tiny_experiment, original, "image", get_method(name).build({}))
    found = moved(before, erased.model.model)
    assert found and all(k.startswith("visual.") for k in found)


def test_a_rule_that_would_change_what_is_held_is_refused(tiny_experiment) -> None:
    method = get_method("null_space").build({})
    message = "moves = text holds 'visual.attnpool.c_proj.weight', which this method changes"
    with pytest.raises(UsageError, match=message):
        run(tiny_experiment, tiny_experiment.original, "text", method)
    assert run(tiny_experiment, tiny_experiment.original, "projection", method).steps == 0


def test_a_rule_that_reaches_around_is_found_out(tiny_experiment) -> None:
    class Sly(CLIPErase):
        def finish(self, look: Look) -> None:
            look._adapter.erased.model.logit_scale.add_(1)

    with pytest.raises(UsageError, match="changed 'logit_scale', which moves = image holds"):
        run(tiny_experiment, tiny_experiment.original, "image", Sly())


@pytest.mark.parametrize(
    ("kind", "moves", "adapted"),
    [
        ("vit", "lora:2", "attn in_proj_weight, attn out_proj, c_fc, c_proj of five blocks"),
        ("vit", "text+lora:2", "of two blocks"),
        ("custom", "image+lora:2", "of three blocks"),
        ("resnet", "last:1+lora:2", "three convolutions, one shortcut, and one text block"),
    ],
)
def test_adapters_are_merged_and_touch_their_layers_alone(
    tiny_experiment, kind: str, moves: str, adapted: str
) -> None:
    original = build(kind, tiny_experiment.original)
    before = fingerprint(original.model)
    erased = run(tiny_experiment, original, moves, steps=2)
    found = moved(before, erased.model.model)
    per_block = {"attn.in_proj_weight", "attn.out_proj.weight"} | {
        "mlp.c_fc.weight",
        "mlp.c_proj.weight",
    }
    places = {
        ("vit", "lora:2"): [
            *(f"visual.transformer.resblocks.{i}" for i in range(3)),
            *(f"transformer.resblocks.{i}" for i in range(2)),
        ],
        ("vit", "text+lora:2"): [f"transformer.resblocks.{i}" for i in range(2)],
        ("custom", "image+lora:2"): [f"visual.transformer.resblocks.{i}" for i in range(3)],
        ("resnet", "last:1+lora:2"): ["transformer.resblocks.1"],
    }[kind, moves]
    wanted = {f"{place}.{name}" for place in places for name in per_block}
    if kind == "resnet":
        wanted |= {f"visual.layer4.0.{n}.weight" for n in ("conv1", "conv2", "conv3")}
        wanted |= {"visual.layer4.0.downsample.0.weight"}
    assert found == wanted, adapted
    # What moved is of the adapters' rank: no more directions than two.
    weights, old = (dict(m.named_parameters()) for m in (erased.model.model, original.model))
    for name in found:
        sizes = torch.linalg.svdvals((weights[name] - old[name]).flatten(1).double())
        assert sizes[2] < 1e-4 * sizes[0], name


def test_adapters_do_what_the_weights_do_at_the_end(tiny_experiment) -> None:
    """The last step's loss, once more from the merged weights: the steps really used them."""
    original = build("vit", tiny_experiment.original)
    spec = {"steps": 20, "learning_rate": 1e-2}
    adapted = run(tiny_experiment, original, "lora:4", **spec)
    again = run(tiny_experiment, adapted.model, "all", steps=1, learning_rate=1e-12)
    first, last = adapted.history[0]["forgetting"], adapted.history[-1]["forgetting"]
    assert last < first - 0.1
    assert again.history[0]["forgetting"] == pytest.approx(last, abs=0.1 * (first - last) + 0.05)


def test_an_adapted_erasure_is_resumed(tiny_experiment, tmp_path) -> None:
    original = build("vit", tiny_experiment.original)
    whole = run(tiny_experiment, original, "lora:2")
    taken: list[int] = []

    @dataclasses.dataclass(frozen=True)
    class Stopped(CLIPErase):
        def loss(self, forget, retain, prompts):
            taken.append(1)
            if len(taken) == 3:
                raise KeyboardInterrupt
            return super().loss(forget, retain, prompts)

    spec = dataclasses.replace(SPEC, moves="lora:2")
    path = tmp_path / "checkpoint.pt"
    with pytest.raises(KeyboardInterrupt):
        erase(original, tiny_experiment.task, Stopped(), spec, checkpoint=path, progress=False)
    resumed = erase(
        original, tiny_experiment.task, Stopped(), spec, checkpoint=path, progress=False
    )
    assert len(taken) == 4  # two, half a third, and the third
    assert fingerprint(resumed.model.model) == fingerprint(whole.model.model)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("ssd", "ssd takes no steps that could be held to it"),
        ("lip", "lip chooses among the model's own"),
    ],
)
def test_adapters_and_choices_among_weights_exclude_each_other(
    tiny_experiment, name: str, message: str
) -> None:
    original = build("resnet", tiny_experiment.original)
    with pytest.raises(UsageError, match=message):
        run(tiny_experiment, original, "lora:2", get_method(name).build({}))


def test_adapters_without_their_library_are_refused(tiny_experiment, monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "peft", None)
    with pytest.raises(UsageError, match=r"lora needs peft: pip install 'erasekit\[scale\]'"):
        run(tiny_experiment, tiny_experiment.original, "lora:2")


def test_parts_without_a_layer_for_adapters_are_refused(tiny_experiment) -> None:
    with pytest.raises(UsageError, match="no layer there takes an adapter"):
        run(tiny_experiment, tiny_experiment.original, "projection+lora:2")


def test_the_command_line_refuses_before_anything_is_made(tmp_path) -> None:
    from erasekit.cli.app import app

    result = CliRunner().invoke(
        app, ["erase", "--out", str(tmp_path / "run"), "--moves", "imgae", "--profile", "smoke"]
    )
    assert isinstance(result.exception, UsageError)
    assert "did you mean 'image'" in str(result.exception)
    assert not (tmp_path / "run").exists()
