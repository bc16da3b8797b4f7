"""The contract of unlearning methods."""

from __future__ import annotations

import contextlib
import dataclasses
import math
import tempfile
import typing
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any
from unittest import mock

from erasekit.errors import ErasekitError, UsageError
from erasekit.testing.launch import start
from erasekit.testing.tiny import tiny_experiment
from erasekit.unlearn.erase_spec import EraseSpec
from erasekit.unlearn.method import KINDS, Features, Method, Prompts, Unseen

if TYPE_CHECKING:
    from torch import Tensor

    from erasekit.data.task import ErasureTask
    from erasekit.models.clip import Clip
    from erasekit.unlearn.engine import Erasure

_SPEC = EraseSpec(steps=8, forget_batch=4, retain_batch=4, learning_rate=3e-4)
_SHORT = dataclasses.replace(_SPEC, steps=3)


def check_method(method: type[Method], *, processes: bool = True, **options: Any) -> None:
    """Check that a method for CLIP fulfils the contract of every method.

    A method describes itself, refuses invalid options, forgets, changes neither the original nor
    masked weights by a bit, omits terms with weight 0, does not read the test split, and gives the
    same result when repeated, when interrupted and resumed, and in two processes.

    Args:
        method: the class.
        processes: whether to check two processes, which takes half of the time. They import the
            class from its module, so a class defined in a notebook cannot be checked.
        options: options of the method, if its defaults do not forget in such a small world.

    Raises:
        AssertionError: for a violation; says how to fix it.
    """
    check_options(method)
    chosen = method.build(options, "clip")
    _check_terms(chosen)
    experiment = tiny_experiment()
    before = _weights(experiment.original)
    with _no_test_split(experiment.task, method.name), _few_batches():
        whole = _erase(chosen)
        _check_original(chosen, before)
        _check_history(chosen, whole)
        _check_repeats(chosen, whole)
        _check_mask(chosen, whole, before)
        _check_moves(chosen, before)
        _check_forgetting(chosen, whole)
    _check_original(chosen, before)
    if processes:
        check_processes(chosen)


def check_options(method: type[Method]) -> None:
    """Check a method's description, and that it refuses invalid options."""
    who = method.__name__
    for field in ("name", "summary", "source"):
        text = getattr(method, field, "")
        assert isinstance(text, str) and text, f"{who}: give it a `{field}`: ClassVar[str] = …"
    assert set(method.kinds) & set(KINDS), f"{who}: its kinds are none of {', '.join(KINDS)}"
    frozen = getattr(method, "__dataclass_params__", None)
    assert frozen is not None and frozen.frozen, f"{who}: put @dataclass(frozen=True) above it"
    defaults = method.defaults()
    for name, value in defaults.items():
        assert value is not dataclasses.MISSING, f"{who}: give the option {name} a default"
    assert method.build(defaults) == method(), f"{who}: its own defaults are not what it has"
    assert _refused(method, "no_such_option", 1), f"{who}: accepts an option that it does not have"
    for name, hint in method.option_types().items():
        choices = typing.get_origin(hint) is typing.Literal
        assert choices or hint in (bool, int, float), (
            f"{who}: the option {name} is {hint}: make it bool, int, float or a Literal of texts"
        )
        wrong = ["no such thing", None] if choices or hint is bool else ["much", None, -1, math.nan]
        for value in wrong:
            assert _refused(method, name, value), (
                f"{who}: accepts {name} = {value!r}: let Method.build check its options"
            )


def check_processes(*methods: Method) -> None:
    """Check that two processes give the result of one process, for several methods at once.

    Raises:
        AssertionError: for the first method that does not.
    """
    with tempfile.TemporaryDirectory() as folder:
        for count in (1, 2):
            codes = start(_erase_in_process, Path(folder), methods, count=count)
            said = [file.read_text() for file in sorted(Path(folder).glob("error-*.txt"))]
            assert not any(codes), f"erasing in {count} process(es) failed:\n" + "\n".join(said)
        for number, method in enumerate(methods):
            _check_same(method, *(_read(Path(folder) / f"{number}-{end}.pt") for end in _ENDS))


def _refused(method: type[Method], name: str, value: Any) -> bool:
    try:
        method.build({name: value})
    except UsageError as error:
        return name in str(error)
    return False


def _erase(method: Method, spec: EraseSpec = _SPEC, **more: Any) -> Erasure:
    from erasekit.unlearn.engine import erase

    experiment = tiny_experiment()
    return erase(
        experiment.original,
        experiment.task,
        method,
        spec,
        frozen=experiment.frozen,
        progress=False,
        **more,
    )


def _weights(clip: Clip) -> dict[str, Tensor]:
    return {name: value.detach().clone() for name, value in clip.model.state_dict().items()}


def _check_original(method: Method, before: Mapping[str, Tensor]) -> None:
    moved = _differing(before, _weights(tiny_experiment().original))
    assert not moved, f"{method.name}: changes the original's {moved[0]}: write to `look.weights`"


def _differing(one: Mapping[str, Tensor], other: Mapping[str, Tensor]) -> list[str]:
    import torch

    return [name for name, value in one.items() if not torch.equal(value, other[name])]


def _check_forgetting(method: Method, erasure: Erasure) -> None:
    """Check that forget pairs get less similar, or harder to match, than with the control."""
    changed = _differing(_weights(tiny_experiment().original), _weights(erasure.model))
    assert changed, f"{method.name}: changes no weight"
    if not method.needs_forget:
        return
    similarity, loss = _forget_pairs(erasure.model)
    by_control, loss_by_control = _control()
    assert similarity < by_control - 0.005 or loss > loss_by_control + 0.05, (
        f"{method.name}: forgets nothing in {_SPEC.steps} steps: forget pairs have similarity "
        f"{similarity:.3f} and loss {loss:.3f}; after as much training on the retain pairs alone "
        f"they have {by_control:.3f} and {loss_by_control:.3f}. Look at the sign of its loss, or "
        "give options that forget more"
    )


def _forget_pairs(clip: Clip) -> tuple[float, float]:
    """Return mean similarity and contrastive loss of the forget pairs."""
    from erasekit.models.contrastive import info_nce

    pairs = tiny_experiment().task.forget
    image, text = clip.encode_images(pairs.images), clip.encode_texts(pairs.captions)
    loss = info_nce(image, text, clip.model.logit_scale.detach().exp())
    return float((image * text).sum(1).mean()), float(loss)


@cache
def _control() -> tuple[float, float]:
    from erasekit.unlearn.methods.fine_tune import FineTune

    return _forget_pairs(_erase(FineTune()).model)


def _check_history(method: Method, erasure: Erasure) -> None:
    assert erasure.options == method.options(), f"{method.name}: the run has other options"
    terms = {frozenset(row) for row in erasure.history}
    assert len(terms) == 1, f"{method.name}: return the same terms at every step"


def _check_repeats(method: Method, whole: Erasure) -> None:
    """Check that a second run, interrupted and resumed if it has steps, is bit-identical."""
    half = _SPEC.steps // 2

    def interrupt(row: dict[str, float]) -> None:
        if row["step"] == half:
            raise KeyboardInterrupt

    with tempfile.TemporaryDirectory() as folder:
        checkpoint = Path(folder) / "checkpoint.pt"
        if method.trains:
            with contextlib.suppress(KeyboardInterrupt):
                _erase(method, checkpoint=checkpoint, log=interrupt)
            assert checkpoint.is_file(), f"{method.name}: an interruption leaves no checkpoint"
        again = _erase(method, checkpoint=checkpoint)
    what = "an interrupted and resumed run" if method.trains else "a second run"
    differing = _differing(_weights(whole.model), _weights(again.model))
    assert not differing and whole.history == again.history, (
        f"{method.name}: {what} ends with other weights ({differing[:1]}): let a step depend on "
        "its features alone, keep no state in the method, and draw from no global generator"
    )


def _check_mask(method: Method, erasure: Erasure, before: Mapping[str, Tensor]) -> None:
    from erasekit.unlearn.look import Look
    from erasekit.unlearn.pair_batches import PairBatches

    experiment = tiny_experiment()
    look = Look(PairBatches(experiment.original, experiment.task, method, _SPEC))
    mask = method.mask(look)
    if mask is None:
        return
    after = _weights(erasure.model)
    for name in look.weights:
        moved = after[name] != before[name]
        held = ~mask[name] if name in mask else moved
        assert not (moved & held).any(), (
            f"{method.name}: moves '{name}' where its mask holds it: keep `finish` to the mask"
        )


def _check_moves(method: Method, before: Mapping[str, Tensor]) -> None:
    """Check that `moves="text"` leaves the image tower unchanged, or is refused."""
    spec = dataclasses.replace(_SHORT, steps=1, moves="text")
    try:
        after = _weights(_erase(method, spec).model)
    except ErasekitError as error:
        assert "moves = text" in str(error) or "lets no weight move" in str(error), error
        return
    moved = [name for name in _differing(before, after) if name.startswith("visual.")]
    assert not moved, f"{method.name}: moves '{moved[0]}' under moves = text: use `look.weights`"


def _check_terms(method: Method) -> None:
    """Check that a term with weight 0 is omitted. A term is proportional to its weight option."""
    if not method.trains:
        return
    for name, hint in method.option_types().items():
        if hint is not float:
            continue
        try:
            one, two, none = (_terms(method.but(**{name: value})) for value in (1.0, 2.0, 0.0))
        except (UsageError, ZeroDivisionError):
            continue  # cannot be 0 or 1, so it is not a weight
        grown = [k for k in one if one[k] and math.isclose(two.get(k, 0), 2 * one[k], rel_tol=1e-6)]
        if len(grown) == 1 and all(one[k] == two.get(k) for k in one if k != grown[0]):
            assert grown[0] not in none, (
                f"{method.name}: with {name} = 0 the term {grown[0]} is still computed: return its "
                "terms through erasekit.unlearn.losses.weighted"
            )


def _terms(method: Method) -> dict[str, float]:
    """Return the terms of the loss on random features."""
    import torch

    generator = torch.Generator().manual_seed(0)

    def draw(rows: int) -> Tensor:
        return torch.randn(rows, 8, generator=generator, dtype=torch.float64)

    def unit(rows: int) -> Tensor:
        return torch.nn.functional.normalize(draw(rows))

    def features() -> Features:
        scale, five = torch.tensor(3.0, dtype=torch.float64), torch.arange(1.0, 6.0)
        return Features(
            image=draw(5),
            text=draw(5),
            scale=scale,
            original_image=unit(5),
            original_text=unit(5),
            original_scale=scale,
            noised_image=draw(5),
            noise_norm=five,
            name=draw(5),
            original_name=unit(5),
            forgotten_share=1 / five,
        )

    forget = features() if method.needs_forget else None
    prompts = Prompts(unit(4), Unseen(0.1, 0.2))
    return {name: float(term) for name, term in method.loss(forget, features(), prompts).items()}


@contextlib.contextmanager
def _no_test_split(task: ErasureTask, who: str) -> Iterator[None]:
    """Refuse the test split of the task's world."""
    read = task.world.pairs

    def pairs(split: str) -> Any:
        assert split != "test", f"{who}: reads the test split, on which nothing may be chosen"
        return read(split)

    with mock.patch.object(task.world, "pairs", pairs):
        yield


@contextlib.contextmanager
def _few_batches() -> Iterator[None]:
    """Average gradients over only two batches, since only their use is checked."""
    from erasekit.unlearn.look import Look

    mean = Look._mean
    with mock.patch.object(Look, "_mean", lambda self, w, loss, _, of: mean(self, w, loss, 2, of)):
        yield


#: Suffixes of the results: one process, then the two of a pair.
_ENDS = ("1-0", "2-0", "2-1")


def _erase_in_process(folder: Path, methods: tuple[Method, ...]) -> None:
    import torch

    from erasekit import processes
    from erasekit.unlearn.engine import erase

    experiment = tiny_experiment()
    end = f"{processes.launched()}-{processes.rank()}"
    for number, method in enumerate(methods):
        erasure = erase(experiment.original, experiment.task, method, _SHORT, progress=False)
        pairs = experiment.task.forget
        torch.save(
            {
                "history": erasure.history,
                "weights": _weights(erasure.model),
                "image": erasure.model.encode_images(pairs.images),
                "text": erasure.model.encode_texts(pairs.captions),
            },
            folder / f"{number}-{end}.pt",
        )


def _read(path: Path) -> dict[str, Any]:
    import torch

    return torch.load(path, weights_only=True)


def _check_same(method: Method, alone: dict, main: dict, other: dict) -> None:
    """Check that two processes have the losses and features of one, and bit-identical weights.

    Their weights are not compared with the single process's: where a gradient is 0 up to rounding,
    Adam turns the rounding error into a full step.
    """
    differing = _differing(main["weights"], other["weights"])
    assert not differing and main["history"] == other["history"], (
        f"{method.name}: two processes end with different weights ({differing[:1]}): let a step "
        "depend on its features alone"
    )
    losses = max(
        abs(one[k] - two[k])
        for one, two in zip(alone["history"], main["history"], strict=True)
        for k in one
    )
    features = max(float((alone[k] - main[k]).abs().max()) for k in ("image", "text"))
    assert losses < 1e-3 and features < 1e-2, (
        f"{method.name}: two processes differ from one by {losses:.1e} in a loss and "
        f"{features:.1e} in a feature: compute the loss from the features that it is given"
    )
