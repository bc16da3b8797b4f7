"""Several processes do what one does: same losses, same weights, one writer, resumable."""

from __future__ import annotations

import dataclasses
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from support import build
from support_tiny import TINY, TINY_LANGUAGE
from typer.testing import CliRunner

import erasekit
from erasekit import processes
from erasekit.cli.app import app
from erasekit.errors import UsageError
from erasekit.files import read_json
from erasekit.runs.run_folder import RunFolder
from erasekit.testing import free_port, start
from erasekit.unlearn.engine import EraseSpec, erase
from erasekit.unlearn.methods.cliperase import CLIPErase
from erasekit.unlearn.methods.never_seen import NeverSeen
from erasekit.unlearn.registry import get_method

SPEC = EraseSpec(steps=20, forget_batch=5, retain_batch=6, learning_rate=1e-3, check_every=4)


#: Jobs by name: a method, its options, and what its spec has apart from `SPEC`.
#: `never_seen` goes without consistency, all that its retain pairs are for: at the first step it
#: is 0 but for rounding, and where no forget picture reaches a weight, Adam makes a whole step
#: of that rounding.
JOBS: dict[str, tuple[str, dict[str, Any], dict[str, Any]]] = {
    "cliperase": ("cliperase", {}, {}),
    "weighed": ("munba", {}, {"steps": 3}),
    "masked": ("lip", {}, {"steps": 3}),
    "stopping": ("cliperase", {}, {"stop_at": 1.0, "check_every": 2}),
    "frozen, in pieces": ("cliperase", {}, {"steps": 3, "moves": "image", "micro_batch": 2}),
    "by name": ("never_seen", {"consistency": 0}, {"steps": 3}),
    "no steps": ("ssd", {}, {}),
}


@dataclasses.dataclass(frozen=True)
class Struck(CLIPErase):
    """CLIPErase in which one process gets a signal in the middle of a step."""

    def loss(self, forget, retain, prompts):
        if STRIKE[:1] == [processes.rank()]:
            STRIKE[1] -= 1
            if not STRIKE[1]:
                os.kill(os.getpid(), STRIKE[2])
        return super().loss(forget, retain, prompts)


STRIKE: list[int] = []


@dataclasses.dataclass(frozen=True)
class Named(NeverSeen):
    """never_seen, but a name moves towards that of the next pair.

    Its own term holds a name to what it was, from where it starts: the gradient there is 0 but
    for rounding, of which Adam makes a step as long as any other.
    """

    def loss(self, forget, retain, prompts):
        towards = (forget.name_unit * forget.original_name.roll(1, 0)).sum(1).mean()
        return {**super().loss(forget, retain, prompts), "naming": -towards}


#: Methods of this test in the place of the kit's.
OWN: dict[str, Any] = {"cliperase": Struck, "never_seen": Named}


def do(folder: Path, jobs: list[str], strike: list[int]) -> None:
    """Erase from a small model, and write what came of it under the process's number."""
    STRIKE[:] = strike
    experiment = erasekit.load("smoke", progress=False, **TINY)
    original = build("resnet", experiment.original)
    for job in jobs:
        name, options, spec = JOBS[job]
        erasure = erase(
            original,
            experiment.task,
            OWN[name](**options) if name in OWN else get_method(name).build(options),
            dataclasses.replace(SPEC, **spec),
            checkpoint=folder / "checkpoint.pt",
            progress=False,
        )
        weights = dict(erasure.model.model.state_dict())
        path = folder / f"{job}-{processes.launched()}-{processes.rank()}.pt"
        torch.save({"history": erasure.history, "weights": weights}, path)


def ask(folder: Path) -> None:
    """Erase from a small multimodal language model in the same way."""
    from erasekit.models.llava_spec import LlavaSpec

    given = {"steps": 3, "retain_batch": 3, "text_batch": 5, "learning_rate": 1e-4}
    experiment = erasekit.load(
        "smoke", kind="language", progress=False, **{**TINY_LANGUAGE, **given}
    )
    experiment.spec = LlavaSpec(width=32, layers=1, heads=4, steps=3, visual_batch=8, text_batch=4)
    for name, (method, spec) in LANGUAGE_JOBS.items():
        erasure = experiment.erase(method, **spec)
        weights = dict(erasure.model.model.named_parameters())
        path = folder / f"{name}-{processes.launched()}-{processes.rank()}.pt"
        torch.save({"history": erasure.history, "weights": weights}, path)


#: Of the eight retain questions the second process gets four in words alone, which reach neither
#: image tower nor projector.
LANGUAGE_JOBS: dict[str, tuple[str, dict[str, Any]]] = {
    "divergence": ("kl_minimization", {}),
    "preference": ("npo", {"micro_batch": 1}),
    "masked": ("mmunlearner", {"steps": 6, "retain_batch": 40}),
    "projector": ("gradient_difference", {"moves": "projector"}),
    "stopping": ("npo", {"steps": 6, "stop_at": 1.0, "check_every": 2}),
}


def load(path: Path) -> dict[str, Any]:
    return torch.load(path, weights_only=True)


@pytest.fixture(scope="module")
def results(tmp_path_factory, tiny_experiment) -> dict[str, list[dict[str, Any]]]:
    """Of each job: what one process made of it alone, then each of two together."""
    folder = tmp_path_factory.mktemp("results")
    assert start(do, folder, list(JOBS), [], count=1) == [0]
    assert start(do, folder, list(JOBS), []) == [0, 0]
    assert not (folder / "checkpoint.pt").exists()
    return {
        job: [load(folder / f"{job}-{end}.pt") for end in ("1-0", "2-0", "2-1")] for job in JOBS
    }


def far(one: dict[str, Any], other: dict[str, Any]) -> tuple[float, float]:
    """The largest difference in a loss, and in a weight.

    The bias of a text tower's keys is left out: it adds the same to all scores of a query, so
    that its gradient is 0 but for rounding, which Adam makes as long as any other step.
    """
    losses = max(
        abs(a[k] - b[k]) for a, b in zip(one["history"], other["history"], strict=True) for k in a
    )
    gaps = {k: (a.double() - other["weights"][k]).abs() for k, a in one["weights"].items()}
    for name, gap in gaps.items():
        if name.endswith("in_proj_bias"):
            gap.view(3, -1)[1] = 0
    return losses, max(float(gap.max()) for gap in gaps.values())


def test_two_processes_do_what_one_does(results) -> None:
    """Eleven rows a step: five in one process, six in the other."""
    alone, together, _ = results["cliperase"]
    assert len(alone["history"]) == 20
    losses, weights = far(alone, together)
    assert losses < 1e-5
    assert weights < 1e-4
    first, last = alone["history"][0]["forgetting"], alone["history"][-1]["forgetting"]
    assert last < first - 0.1, "it is no matter of course: the model did change"


@pytest.mark.parametrize("job", [job for job in JOBS if job != "cliperase"])
def test_so_they_do_whatever_the_method_asks_for(results, job: str) -> None:
    """Gradients that are weighed or masked by, validation, parts, pieces, and closed forms."""
    alone, together, _ = results[job]
    losses, weights = far(alone, together)
    assert losses < 1e-4
    assert weights < 1e-4
    if job == "stopping":
        assert len(together["history"]) == 4


@pytest.mark.parametrize("job", JOBS)
def test_all_processes_end_with_the_same_bits(results, job: str) -> None:
    _, main, other = results[job]
    assert main["weights"].keys() == other["weights"].keys()
    assert all(torch.equal(v, other["weights"][k]) for k, v in main["weights"].items())
    assert main["history"] == other["history"]


def test_two_processes_erase_from_a_language_model_as_one_does(tmp_path, tiny_mllm) -> None:
    assert start(ask, tmp_path, count=1) == [0]
    assert start(ask, tmp_path) == [0, 0]
    for job in LANGUAGE_JOBS:
        alone, together, other = (
            load(tmp_path / f"{job}-{end}.pt") for end in ("1-0", "2-0", "2-1")
        )
        losses, weights = far(alone, together)
        assert losses < 1e-4 and weights < 1e-4, job
        assert together["history"] == other["history"], job
        assert all(torch.equal(v, other["weights"][k]) for k, v in together["weights"].items())
    assert len(load(tmp_path / "stopping-1-0.pt")["history"]) == 4


@pytest.mark.parametrize("rank", [0, 1])
def test_a_killed_process_leaves_a_run_that_goes_on(results, tmp_path: Path, rank: int) -> None:
    codes = start(do, tmp_path, ["cliperase"], [rank, 7, signal.SIGKILL])
    assert codes[rank] == -signal.SIGKILL
    assert codes[1 - rank] == 1
    assert "lost the other processes" in (tmp_path / f"error-{1 - rank}.txt").read_text()
    # The main one saves what it reached; without it there is the last regular checkpoint.
    assert load(tmp_path / "checkpoint.pt")["steps"] == (4 if rank == 0 else 6)
    assert start(do, tmp_path, ["cliperase"], []) == [0, 0]
    again, expected = load(tmp_path / "cliperase-2-0.pt"), results["cliperase"][1]
    assert all(torch.equal(v, expected["weights"][k]) for k, v in again["weights"].items())
    assert again["history"] == expected["history"]
    assert not (tmp_path / "checkpoint.pt").exists()


def test_ctrl_c_in_one_process_stops_all_after_the_same_step(tmp_path, tiny_experiment) -> None:
    codes = start(do, tmp_path, ["cliperase"], [1, 3, signal.SIGINT])
    assert codes == [1, 1]
    assert load(tmp_path / "checkpoint.pt")["steps"] == 3


def talk(folder: Path) -> None:
    """What the processes say to each other, without an erasure."""
    processes.join("cpu")
    rank = processes.rank()
    rows = torch.arange(10.0).view(5, 2)
    mine = processes.share(rows)
    assert mine.tolist() == rows[[slice(0, 2), slice(2, 5)][rank]].tolist()
    # The mean gradient of a weight that features come from, and of one of the loss alone.
    weight, scale = torch.tensor(2.0, requires_grad=True), torch.tensor(3.0, requires_grad=True)
    features = processes.gather(mine * weight, 5)
    assert torch.equal(features, rows * 2)
    (scale * features.square().sum()).backward()
    gradients = [weight.grad, scale.grad]
    processes.average(gradients)
    squares = float(rows.square().sum())
    assert [float(g) for g in gradients] == pytest.approx([2 * 2 * 3 * squares, 4 * squares])
    frozen = processes.gather(mine, 5)  # nothing moves in this tower
    assert torch.equal(frozen, rows) and not frozen.requires_grad
    assert processes.any_of(rank == 1) and not processes.any_of(False)
    seen = processes.on_main(lambda: (rank, processes.several(), processes.on_main(os.getpid)))
    assert seen[:2] == (0, False)
    assert (seen[2] == os.getpid()) is (rank == 0)
    with pytest.raises(UsageError, match="2 processes cannot share 1 rows: start fewer"):
        processes.share(rows[:1])
    with pytest.raises(UsageError, match="device 'mps' is one"):
        processes.join("mps")
    (folder / f"said-{rank}").touch()

    def wrong() -> None:
        raise UsageError("no such thing")

    processes.on_main(wrong)


def test_processes_understand_each_other(tmp_path: Path) -> None:
    codes = start(talk, tmp_path)
    assert {p.name for p in tmp_path.iterdir()} == {"said-0", "said-1", "error-0.txt"}
    assert codes == [1, 2], "the main one raises its error; the other leaves with its code"
    assert "UsageError: no such thing" in (tmp_path / "error-0.txt").read_text()


def test_one_process_asks_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "accelerate", None)
    rows = torch.ones(3, 2)
    assert processes.share(rows) is rows and processes.gather(rows, 3) is rows
    assert processes.on_main(lambda: 5) == 5
    assert processes.join("cpu") is None
    assert processes.is_main() and not processes.several() and processes.launched() == 1
    monkeypatch.setenv("WORLD_SIZE", "2")
    assert processes.launched() == 1  # a cluster's variable without a number is no launch
    monkeypatch.setenv("RANK", "1")
    assert not processes.is_main()
    with pytest.raises(UsageError, match=r"several processes need accelerate: pip install 'eras"):
        processes.join("cpu")


@pytest.mark.slow
def test_accelerate_launches_the_command_line(tmp_path: Path, test_cache: Path) -> None:
    """One run folder, written once."""
    # With --cpu it would start processes by MPI alone; this way it starts them itself.
    launch = [sys.executable, "-m", "accelerate.commands.launch", "--multi_gpu"]
    launch += ["--num_processes", "2", "--main_process_port", str(free_port()), "-m", "erasekit"]
    parameters = [f"--set={name}={value}" for name, value in TINY.items()]
    shared = ["--profile=smoke", "--device=cpu", "--no-oracle", "--no-control", *parameters]
    shared += ["--trackers=tensorboard", "--micro-batch=2", "--moves=image"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}

    done = subprocess.run(
        [*launch, "erase", f"--out={tmp_path / 'run'}", *shared],
        capture_output=True,
        text=True,
        env=environment,
        timeout=240,
    )
    assert done.returncode == 0, done.stderr
    folder = RunFolder.open(tmp_path / "run")
    assert len(folder.history) == TINY["steps"]
    assert read_json(folder.path / "provenance.json")["processes"] == 2
    assert done.stdout.count("report.html") == 1
    written = [p.parent.name for p in (folder.path / "trackers").rglob("events.out.*")]
    assert written.count("erasekit") == 1
    assert (folder.settings.micro_batch, folder.settings.moves) == (2, "image")


def test_what_cannot_be_shared_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setenv("RANK", "1")
    done = CliRunner().invoke(app, ["list", "methods"])
    assert isinstance(done.exception, UsageError)
    assert "several processes can share `erasekit erase` alone" in str(done.exception)
