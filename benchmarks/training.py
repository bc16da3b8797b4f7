"""Muon against AdamW in training: time side by side, and the models' quality over seeds.

The world is none that a notebook shows (another world seed, three times as many test pictures).
The number of steps and the rate were chosen on these test pictures, with models of seed 0; the
other seeds had no part in the choice.

    python benchmarks/training.py              # half an hour on two cores without cached models
    python benchmarks/training.py --quick      # a small world: does the script work at all?

The result is a part of benchmarks/RESULTS.md.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import mean, median
from typing import Any

from bench_report import machine, put_part, spread, table
from timing import in_turns, ratio

RESULTS = Path(__file__).resolve().parent / "RESULTS.md"
TITLE = "# Training with Muon"
RECIPES: dict[str, dict[str, Any]] = {
    "AdamW": {"train_optimizer": "adamw", "train_steps": 700},
    "Muon": {"train_optimizer": "muon", "train_steps": 300},
}
FULL = {"profile": "default", "world_seed": 5, "held_out_pictures": 36, "threads": 1, "draws": 20}
QUICK = {"profile": "smoke", "world_seed": 5, "threads": 1, "draws": 20}
#: What is reported of a model: name, metric and subset of the scorecard.
MEASURES = (
    ("zero-shot, forget set", "top1", "forget"),
    ("zero-shot, retain set", "top1", "retain"),
    ("recall@1, retained scenes", "recall@1", "retain"),
    ("membership AUC, forget set", "membership_auc", "forget"),
    ("similarity, forget set", "similarity", "forget"),
    ("similarity, retain set", "similarity", "retain"),
)


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seeds", type=int, default=3, help="models of each recipe")
    parser.add_argument("--quick", action="store_true", help="a small world and few steps")
    parser.add_argument("--out", type=Path, default=RESULTS, help="where the results go")
    chosen = parser.parse_args(arguments)
    world = QUICK if chosen.quick else FULL
    recipes = dict(RECIPES)
    if chosen.quick:
        recipes = {name: {**own, "train_steps": 20} for name, own in RECIPES.items()}
    found = {
        "quick": chosen.quick,
        "seeds": chosen.seeds,
        "steps": {name: own["train_steps"] for name, own in recipes.items()},
        "step": steps(world, recipes),
        "quality": {name: quality(world, own, chosen.seeds) for name, own in recipes.items()},
    }
    put_part(chosen.out, TITLE, report(found))
    print(chosen.out)
    return 0


def steps(world: dict[str, Any], recipes: dict[str, dict[str, Any]]) -> dict[str, list[float]]:
    """Seconds of one training step of each recipe, in turns."""
    return in_turns({name: stepper(world, own) for name, own in recipes.items()}, 12)


def stepper(world: dict[str, Any], recipe: dict[str, Any]) -> Callable[[], None]:
    """A function that does one training step on the same batch each time."""
    import torch

    from erasekit.experiment.kinds import load
    from erasekit.models import train_clip
    from erasekit.models.clip import MEAN, STD, build_model, normalise
    from erasekit.models.contrastive import info_nce
    from erasekit.models.text_features import encode_text

    experiment = load(**world, **recipe)
    spec, data = experiment.train_spec, experiment.world
    pairs = data.pairs("train")
    tokenizer = train_clip.tokenizer_of(data)
    config = train_clip.model_config(spec, data, tokenizer)
    captions = data.lessons(pairs).captions[: spec.batch]
    tokens = train_clip.tokenize(tokenizer, captions, config["text_cfg"]["context_length"])
    images = normalise(pairs.images[: spec.batch], MEAN, STD)
    model = build_model(config, 0).train()
    optimizer = train_clip.optimizer_of(model, spec)

    def step() -> None:
        threads = torch.get_num_threads()
        torch.set_num_threads(world["threads"])
        image = model.encode_image(images, normalize=True)
        text = encode_text(model, tokens, normalize=True)
        info_nce(image, text, model.logit_scale.exp()).backward()
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        torch.set_num_threads(threads)

    return step


def quality(
    world: dict[str, Any], recipe: dict[str, Any], seeds: int
) -> dict[str, list[dict[str, float]]]:
    """The measures of the originals and of the oracles, one entry for each seed."""
    from erasekit.experiment.kinds import load

    found: dict[str, list[dict[str, float]]] = {"original": [], "oracle": []}
    for seed in range(seeds):
        experiment = load(**world, **recipe, seed=seed)
        card = experiment.evaluate()
        for model, rows in found.items():
            rows.append({name: card.value(model, *measure) for name, *measure in MEASURES})
    return found


def report(found: dict[str, Any]) -> Iterator[str]:
    step, count = found["step"], found["steps"]
    whole = {name: [count[name] * value for value in step[name]] for name in step}
    yield "Written by `python benchmarks/training.py`."
    if found["quick"]:
        yield "**A quick run on a small world: it shows that the script works, no more.**"
    yield ""
    yield (
        f"A training step on one thread, in turns; a training has {count['AdamW']} steps with "
        f"AdamW and {count['Muon']} with Muon. With Muon, it takes "
        f"{spread(ratio(whole['Muon'], whole['AdamW']))} of the time."
    )
    yield ""
    rows = [[n, f"{1000 * median(step[n]):.0f} ms", f"{median(whole[n]):.0f} s"] for n in step]
    yield from table(["optimiser", "a step", "all steps"], rows)
    yield ""
    yield (
        f"Quality of the original and of the oracle without fruit, over {found['seeds']} seeds: "
        "mean, with the least and the greatest in brackets. The number of steps and the rate were "
        "chosen with seed 0 on these pictures."
    )
    yield ""
    lines = []
    for name, *_ in MEASURES:
        line = [name]
        for model in ("original", "oracle"):
            for recipe in found["quality"]:
                line.append(over_seeds([row[name] for row in found["quality"][recipe][model]]))
        lines.append(line)
    head = [f"{model}, {name}" for model in ("original", "oracle") for name in found["quality"]]
    yield from table(["measure", *head], lines)
    yield ""
    yield from table(["", ""], [[k, str(v)] for k, v in machine().items() if k in ABOUT])


#: What is told of the machine.
ABOUT = ("processor", "cores", "torch")


def over_seeds(values: list[float]) -> str:
    return f"{mean(values):.2f} ({min(values):.2f} to {max(values):.2f})"


if __name__ == "__main__":
    sys.exit(main())
