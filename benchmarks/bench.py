"""Measure what erasing costs, as ratios of pieces timed side by side in one run.

A second on one machine is not a second on another, nor on the same one an hour later.
What is compared therefore takes turns, several times over, and what is reported is the
median of the ratios with the least and the greatest. Nothing here is a test.

    python benchmarks/bench.py            # the default profile, about ten minutes on two cores
    python benchmarks/bench.py --quick    # a small world: does the script work at all?

The results go to benchmarks/RESULTS.md, with the machine they were measured on.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from bench_report import machine, put_part, report
from text_towers import text_towers
from timing import in_turns, ratio

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "benchmarks" / "RESULTS.md"
FULL = {
    "profile": "default",
    "repeats": 3,
    "retrainings": 1,
    "steps": 6,
    "sizes": (16, 64, 256, 1024),
}
QUICK = {"profile": "smoke", "repeats": 2, "retrainings": 1, "steps": 2, "sizes": (16, 32)}
MODULES = ("erasekit", "erasekit.cli.app", "torch", "open_clip")


def main(arguments: list[str] | None = None) -> int:
    chosen = _parser().parse_args(arguments)
    plan = QUICK if chosen.quick else FULL
    if chosen.part:  # a part of its own process, so that its memory is its own
        print(json.dumps(growth(int(chosen.part), plan)))
        return 0
    results: dict[str, Any] = {"quick": chosen.quick, "profile": plan["profile"]}
    for name, measure in (
        ("imports", imports),
        ("steps", steps),
        ("texts", text_towers),
        ("pipeline", pipeline),
        ("growth", all_growth),
        ("retraining", retraining),
    ):
        print(f"measuring: {name}", file=sys.stderr, flush=True)
        results[name] = measure(plan)
    results["machine"] = machine()
    put_part(chosen.out, "# What erasing costs", report(results))
    print(chosen.out)
    return 0


# --- what is measured -----------------------------------------------------------------


def retraining(plan: dict) -> dict:
    """One erasure against one retraining of the oracle, wall and CPU, in turns."""
    from erasekit.experiment.kinds import load
    from erasekit.models.train_clip import train_clip

    experiment = load(plan["profile"])
    _ = experiment.original, experiment.task.forget, experiment.task.retain
    wall: dict[str, list[float]] = {"erasing": [], "retraining": []}
    cpu: dict[str, list[float]] = {"erasing": [], "retraining": []}

    def erase() -> None:
        experiment.__dict__.pop("frozen", None)  # each erasure pays for what it asks the original
        experiment.erase()

    def retrain() -> None:
        with tempfile.TemporaryDirectory() as folder:
            train_clip(
                experiment.world,
                experiment.task.retain,
                experiment.train_spec,
                Path(folder),
                device=experiment.device,
                label="retraining",
            )

    for _ in range(plan["retrainings"]):
        for name, piece in (("erasing", erase), ("retraining", retrain)):
            started, used = time.perf_counter(), time.process_time()
            piece()
            wall[name].append(time.perf_counter() - started)
            cpu[name].append(time.process_time() - used)
    return {
        "erase_steps": experiment.erase_spec.steps,
        "train_steps": experiment.train_spec.steps,
        "wall": wall,
        "cpu": cpu,
        "wall_ratio": ratio(wall["retraining"], wall["erasing"]),
        "cpu_ratio": ratio(cpu["retraining"], cpu["erasing"]),
    }


def steps(plan: dict) -> dict:
    """A step of the engine, of plain open_clip training, and of CLIPErase done naively."""
    from erasekit.experiment.kinds import load

    experiment = load(plan["profile"])
    n = plan["steps"]
    kit: list[float] = []
    plain_times: list[float] = []
    naive_times: list[float] = []
    plain, naive = plain_step(experiment), naive_step(experiment)
    in_turns(
        {
            "engine": lambda: kit.append(erase_step(experiment, n)),
            "plain": lambda: plain_times.append(_each(plain, n)),
            "naive": lambda: naive_times.append(_each(naive, n)),
        },
        plan["repeats"],
    )
    return {
        "pairs": sum(map(len, _batch(experiment)[1:])),
        "engine": kit[1:],
        "plain": plain_times[1:],
        "naive": naive_times[1:],
        "to_plain": ratio(kit[1:], plain_times[1:]),
        "to_naive": ratio(kit[1:], naive_times[1:]),
    }


def erase_step(experiment: Any, n: int) -> float:
    """Seconds of a step of the engine's loop: what n further steps add, set-up apart."""
    return (experiment.erase(steps=2 * n).seconds - experiment.erase(steps=n).seconds) / n


def plain_step(experiment: Any) -> Callable[[], None]:
    """A training step of open_clip on the pairs of one erase step, with its own loss."""
    import torch
    from open_clip.loss import ClipLoss

    clip, forget, retain = _batch(experiment)
    model = clip.model.train().requires_grad_(True)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-6)
    criterion = ClipLoss()
    images = torch.cat([forget.images, retain.images])
    tokens = clip.tokenizer([*forget.captions, *retain.captions])

    def step() -> None:
        image, text, scale = model(clip.preprocess(images), tokens)
        optimizer.zero_grad(set_to_none=True)
        criterion(image, text, scale).backward()
        optimizer.step()

    return step


def naive_step(experiment: Any) -> Callable[[], None]:
    """CLIPErase as one writes it down first: towers run apart, the original asked each time."""
    import torch

    from erasekit.models.zero_shot import concept_features
    from erasekit.unlearn.method import Features, Prompts

    clip, forget, retain = _batch(experiment)
    model = clip.model.eval().requires_grad_(True)
    original = experiment.original
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-6, betas=(0.9, 0.98))
    tokens = {id(p): clip.tokenizer(list(p.captions)) for p in (forget, retain)}
    concepts = [experiment.world.concept(i) for i in experiment.task.retained]

    def features(pairs: Any, before: tuple = ()) -> Features:
        return Features(
            model.encode_image(clip.preprocess(pairs.images)),
            model.encode_text(tokens[id(pairs)]),
            model.logit_scale.exp(),
            *before,
        )

    def step() -> None:
        with torch.no_grad():
            before = (
                original.model.encode_image(original.preprocess(retain.images), normalize=True),
                original.model.encode_text(tokens[id(retain)], normalize=True),
                original.model.logit_scale.exp(),
            )
        prompts = Prompts(concept_features(original, concepts))
        terms = experiment.method.loss(features(forget), features(retain, before), prompts)
        optimizer.zero_grad(set_to_none=True)
        torch.stack(list(terms.values())).sum().backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()

    return step


def pipeline(plan: dict) -> dict:
    """Samples a second of the data pipeline against those of a training step."""
    import torch

    from erasekit.data.drawn.world import World
    from erasekit.experiment.kinds import load

    experiment = load(plan["profile"])
    batch = experiment.train_spec.batch
    world = experiment.world
    world.render(world.samples("train")[:1])  # the drawings themselves are rendered once
    chosen = torch.randperm(len(world.samples("train")))[:batch].tolist()

    def produce() -> None:
        fresh = World(world.spec)
        fresh.__dict__["_drawings"] = world._drawings
        samples = [fresh.sample("train", i) for i in chosen]
        fresh.render(samples)
        for sample in samples:
            fresh.caption(sample)

    step = train_step(experiment, batch)
    seconds = in_turns({"pipeline": produce, "step": step}, 2 * plan["repeats"])
    return {
        "batch": batch,
        "pipeline": [batch / s for s in seconds["pipeline"]],
        "step": [batch / s for s in seconds["step"]],
        "share": ratio(seconds["pipeline"], seconds["step"]),
    }


def train_step(experiment: Any, batch: int) -> Callable[[], None]:
    """One training step from scratch on `batch` pairs, data ready in memory."""
    import torch

    from erasekit.models.clip import MEAN, STD, build_model, normalise
    from erasekit.models.contrastive import info_nce
    from erasekit.models.train_clip import model_config, tokenize, tokenizer_of

    world = experiment.world
    tokenizer = tokenizer_of(world)
    config = model_config(experiment.train_spec, world, tokenizer)
    model = build_model(config, 0).train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-6)
    pairs = world.pairs("train").take(range(batch))
    tokens = tokenize(tokenizer, list(pairs.captions), config["text_cfg"]["context_length"])

    def step() -> None:
        image, text, scale = model(normalise(pairs.images, MEAN, STD), tokens)
        optimizer.zero_grad(set_to_none=True)
        info_nce(image, text, scale).backward()
        optimizer.step()

    return step


def growth(concepts: int, plan: dict) -> dict:
    """What a world of this size costs: pictures, a training step, an erase step, memory."""
    from erasekit.experiment.kinds import load

    experiment = load(
        "smoke",
        progress=False,
        concepts=concepts,
        pictures=4,
        scenes=4,
        held_out_pictures=3,
        train_steps=1,
        train_batch=16,
        steps=plan["steps"],
        forget_batch=12,
        retain_batch=12,
    )
    started = time.perf_counter()
    drawings = experiment.world._drawings
    rendering = time.perf_counter() - started
    started = time.perf_counter()
    pictures = len(experiment.world.pairs("train"))
    composing = time.perf_counter() - started
    # The batch is the same at every size: what grows is the vocabulary and the candidates.
    n = plan["steps"]
    training = _each(train_step(experiment, 16), n)
    started = time.perf_counter()
    experiment.erase(steps=n)
    whole = time.perf_counter() - started
    erasing = erase_step(experiment, n)
    return {
        "concepts": concepts,
        "drawings": len(drawings["single"]),
        "drawings_seconds": rendering,
        "pictures": pictures,
        "pictures_a_second": pictures / composing,
        "train_step": training,
        "erase_step": erasing,
        "erase_setup": whole - n * erasing,
        "peak_mib": peak_mib(),
    }


def all_growth(plan: dict) -> list[dict]:
    """`growth` at every size, each in a process of its own and with an empty cache."""
    found = []
    for size in plan["sizes"]:
        with tempfile.TemporaryDirectory() as cache:
            command = [sys.executable, __file__, "--part", str(size)]
            command += ["--quick"] if plan is QUICK else []
            done = subprocess.run(
                command,
                env={**os.environ, "ERASEKIT_CACHE": cache},
                stdout=subprocess.PIPE,
                text=True,
                check=True,
            )
        found.append(json.loads(done.stdout))
    return found


def imports(plan: dict) -> dict:
    """Seconds to import each module in a fresh interpreter, less those of an empty one."""

    def start(code: str) -> Callable[[], object]:
        return lambda: subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT)

    pieces = {"nothing": start("pass")} | {m: start(f"import {m}") for m in MODULES}
    seconds = in_turns(pieces, plan["repeats"])
    return {
        m: [a - b for a, b in zip(seconds[m], seconds["nothing"], strict=True)] for m in MODULES
    }


def peak_mib() -> float:
    """The most memory this process ever held, in MiB."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (2**20 if sys.platform == "darwin" else 2**10)  # bytes there, KiB elsewhere


def _batch(experiment: Any) -> tuple:
    """A copy of the original, and the forget and retain pairs of one erase step."""
    from erasekit.models.batches import plan_batches

    task, spec = experiment.task, experiment.erase_spec
    kinds = len(set(map(frozenset, task.retain.concepts)))
    rows = plan_batches(
        task.retain.concepts, steps=1, batch=min(spec.retain_batch, kinds), seed=spec.seed
    )[0]
    forget = task.forget.take(range(min(spec.forget_batch, len(task.forget))))
    return experiment.original.copy(), forget, task.retain.take(rows)


def _each(step: Callable[[], None], n: int) -> float:
    """Seconds of one of `n` steps, after one that does not count."""
    step()
    started = time.perf_counter()
    for _ in range(n):
        step()
    return (time.perf_counter() - started) / n


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="a small world and few repeats")
    parser.add_argument("--out", type=Path, default=RESULTS, help="where the results go")
    parser.add_argument("--part", help=argparse.SUPPRESS)
    return parser


if __name__ == "__main__":
    sys.exit(main())
