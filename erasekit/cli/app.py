"""The command line: a thin face that reads arguments, calls, and says what came out.

Whatever can be checked without torch is checked before it is imported. A person gets
one line on standard error, never a traceback: exit code 2 for what was asked wrongly,
1 for what failed, 130 for Ctrl-C.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
import traceback
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

import erasekit
from erasekit import processes
from erasekit.errors import ErasekitError, UsageError
from erasekit.settings import Settings, make_settings

app = typer.Typer(
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)
DEBUG = "ERASEKIT_DEBUG"


# Values stay text here: `make_settings` knows their types and says what is wrong with them.
Profile = Annotated[
    str,
    typer.Option(
        metavar="NAME",
        help="Set of defaults: default (minutes on a laptop) or smoke (seconds); paper (the "
        "published set-up) for a folder that data_scripts/ wrote.",
    ),
]
Data = Annotated[
    str | None,
    typer.Option(
        metavar="NAME", help="openmoji, or folder:PATH with your own; see `preview --help`."
    ),
]
Forget = Annotated[
    str | None,
    typer.Option(
        metavar="NAMES",
        help="Concepts, groups or attributes, joined by commas: fruit | 'red apple,cat' | "
        "colour=red. See `erasekit list concepts`; of a folder, a rule as in `preview --help`. "
        "[default: fruit]",
    ),
]
ForgetLanguages = Annotated[
    str | None,
    typer.Option(help="Caption languages in the forget set, e.g. en,ja; all by default."),
]
Seed = Annotated[str | None, typer.Option(metavar="N", help="Seed of training and erasing.")]
Device = Annotated[str | None, typer.Option(metavar="NAME", help="auto, cpu, cuda or mps.")]
Precision = Annotated[str | None, typer.Option(metavar="NAME", help="auto, fp32, bf16 or fp16.")]
Set = Annotated[
    list[str] | None,
    typer.Option(
        "--set", metavar="NAME=VALUE", help="Any other parameter, e.g. concepts=128; repeatable."
    ),
]
Model = Annotated[
    str | None,
    typer.Option(
        metavar="NAME",
        help="A configuration that is trained here, or any CLIP: a name of open_clip's with "
        "--pretrained, hf-hub:ORG/NAME or local-dir:PATH.",
    ),
]
Pretrained = Annotated[
    str | None, typer.Option(metavar="TAG", help="Tag of the model's published weights.")
]
Oracle = Annotated[
    bool, typer.Option(help="Measure against the oracle; trained once, then cached.")
]


@app.callback(invoke_without_command=True)
def erasekit_command(
    context: typer.Context,
    version: Annotated[bool, typer.Option("--version", help="Show the version and leave.")] = False,
    debug: Annotated[bool, typer.Option("--debug", hidden=True)] = False,
) -> None:
    """A CLIP forgets a concept, and the proof beside it.

    \b
    First steps:
      erasekit list concepts                       what can be forgotten
      erasekit erase --forget fruit --out runs/a   erase, judge, write a report
      erasekit audit runs/a                        attack it: is it really gone?
      erasekit certify runs/a --policy example     hold it against stated bounds
      erasekit export runs/a --out given/a         a folder to give away, with its card
      erasekit compare runs/a runs/b               several runs side by side
      erasekit tutorial                            every notebook, in order

    The first run trains a small CLIP and its oracle (about three minutes each on two
    CPU cores); both are cached, and every later run starts at once.
    """
    if debug:
        os.environ[DEBUG] = "1"
    if processes.launched() > 1 and context.invoked_subcommand != "erase":
        raise UsageError("several processes can share `erasekit erase` alone: start one process")
    if version:
        typer.echo(f"erasekit {erasekit.__version__}")
    elif context.invoked_subcommand is None:
        typer.echo(context.get_help())


@app.command()
def erase(
    out: Annotated[Path, typer.Option(help="Folder of the run, e.g. runs/fruit.")],
    profile: Profile = "default",
    data: Data = None,
    forget: Forget = None,
    forget_languages: ForgetLanguages = None,
    method: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="See `erasekit list methods`. [default: cliperase]"),
    ] = None,
    option: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=VALUE", help="Option of the method; repeatable."),
    ] = None,
    model: Model = None,
    pretrained: Pretrained = None,
    steps: Annotated[str | None, typer.Option(metavar="N", help="Erasing steps, at most.")] = None,
    learning_rate: Annotated[str | None, typer.Option(metavar="X", help="Of erasing.")] = None,
    moves: Annotated[
        str | None,
        typer.Option(
            metavar="PARTS",
            help="Which weights may move, joined by +: all, image, text, projection, last:N "
            "(blocks of each tower), lora:R (adapters, merged at the end). [default: all]",
        ),
    ] = None,
    micro_batch: Annotated[
        str | None,
        typer.Option(
            metavar="N",
            help="Pairs in the towers at once: less memory, the same gradient of the whole "
            "batch (what gradient accumulation is to other losses). [default: all]",
        ),
    ] = None,
    trackers: Annotated[
        str | None,
        typer.Option(
            metavar="NAMES",
            help="Follow each step's terms with any tracker of accelerate, such as tensorboard.",
        ),
    ] = None,
    seed: Seed = None,
    device: Device = None,
    precision: Precision = None,
    set_: Set = None,
    oracle: Oracle = True,
    control: Annotated[
        bool, typer.Option(help="Also fine-tune the control on the retain set.")
    ] = True,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace the run that is in --out.")
    ] = False,
) -> None:
    """Make a CLIP forget, measure it against its oracle, and write the run folder.

    \b
    Examples:
      erasekit erase --forget fruit --out runs/fruit
      erasekit erase --forget "red apple,lemon" --option consistency=0 --out runs/ablation
      erasekit erase --profile smoke --forget vehicle --steps 50 --out runs/quick
      erasekit erase --data folder:photos --forget word=apple --out runs/mine
      erasekit erase --data folder:photos --forget apple --model local-dir:clip --out runs/mine

    Of a folder the default is ViT-B-32-quickgelu with OpenAI's weights, which are fetched. There
    is no oracle then, unless you have one: --set oracle_model=local-dir:PATH.

    \b
    The folder then holds:
      report.html                    what a person reads
      scorecard.json, history.csv    every number
      model/                         the erased model, which plain open_clip loads
      params.json, provenance.json   what was run, and on what
      figures/                       the pictures

    Ctrl-C is safe: the same command goes on where it stopped. Several GPUs or machines share
    the steps under `accelerate launch --multi_gpu -m erasekit erase ...`, several CPUs under
    `torchrun --nproc-per-node N -m erasekit erase ... --device cpu`. Machines must share the
    disk of the run folder and of the model cache (ERASEKIT_CACHE).
    """
    settings = _settings(
        profile,
        set_,
        data=data,
        forget=forget,
        forget_languages=forget_languages,
        method=method,
        options=_pairs("--option", option) or None,
        model=model,
        pretrained=pretrained,
        steps=steps,
        learning_rate=learning_rate,
        moves=moves,
        micro_batch=micro_batch,
        trackers=trackers,
        seed=seed,
        device=device,
        precision=precision,
    )
    from erasekit.runs.run_folder import run_erase

    folder = run_erase(settings, out, oracle=oracle, control=control, overwrite=overwrite)
    from erasekit.runs.tables import summary

    if processes.is_main():
        typer.echo(summary(folder))


@app.command()
def evaluate(
    run: Annotated[Path | None, typer.Argument(help="Folder of a run.")] = None,
    model: Annotated[
        str | None,
        typer.Option(
            metavar="MODEL",
            help="Instead of a run: a model folder, or any name that open_clip knows.",
        ),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="With --model: file for the scorecard, as JSON.")
    ] = None,
    profile: Profile = "default",
    data: Data = None,
    forget: Forget = None,
    forget_languages: ForgetLanguages = None,
    seed: Seed = None,
    device: Device = None,
    precision: Precision = None,
    set_: Set = None,
    oracle: Oracle = True,
) -> None:
    """Measure again: a run folder's saved model, or any model that open_clip loads.

    A run folder brings its own parameters; its scorecard, pictures and report are
    written anew. With --model the world and what was to be forgotten are given here.

    \b
    Examples:
      erasekit evaluate runs/fruit
      erasekit evaluate --model runs/fruit/model --forget vehicle --out vehicle.json
      erasekit evaluate --model ViT-B-32-quickgelu:openai --forget fruit --no-oracle
    """
    given = {
        "data": data,
        "forget": forget,
        "forget_languages": forget_languages,
        "seed": seed,
        "device": device,
        "precision": precision,
    }
    if (run is None) == (model is None):
        raise UsageError("give the folder of a run, or --model FOLDER, and not both")
    if run is not None:
        others = [name for name, value in given.items() if value] + ["set"] * bool(set_)
        if out is not None or others:
            raise UsageError(
                f"--{(others or ['out'])[0].replace('_', '-')} goes with --model only: "
                "a run folder brings its own parameters"
            )
        from erasekit.runs.run_folder import run_evaluate

        folder = run_evaluate(run)
        from erasekit.runs.tables import summary

        typer.echo(summary(folder))
        return
    assert model is not None
    settings = _settings(profile, set_, **given)
    from erasekit.runs.run_folder import evaluate_model

    scorecard = evaluate_model(model, settings, oracle=oracle)
    from erasekit.runs.tables import headline

    typer.echo(headline(scorecard).to_string())
    if out is not None:
        typer.echo(f"scorecard: {scorecard.save(out)}")


@app.command()
def compare(
    runs: Annotated[list[Path], typer.Argument(help="Folders of two or more runs.")],
    out: Annotated[
        Path | None, typer.Option(help="Folder for compare.html, compare.csv and compare.png.")
    ] = None,
) -> None:
    """Lay runs side by side: a table here, and with --out a page, a picture and a CSV.

    \b
    Example (folders that hold no whole run are passed over):
      erasekit compare runs/* --out compared
    """
    from erasekit.runs.run_folder import open_runs

    folders = open_runs(runs)
    from erasekit.runs.tables import comparison_text, write_comparison

    cards = {name: folder.scorecard for name, folder in folders.items()}
    typer.echo(comparison_text(cards))
    if out is not None:
        typer.echo(f"page: {write_comparison(cards, out)}")


@app.command()
def audit(
    run: Annotated[Path | None, typer.Argument(help="Folder of a run.")] = None,
    tests: Annotated[
        str | None,
        typer.Option(metavar="NAMES", help="Only these tests, joined by commas; see `list tests`."),
    ] = None,
    lira: Annotated[
        int,
        typer.Option(
            metavar="N",
            min=0,
            help="Also attack single pairs with N shadow models: N more trainings, cached.",
        ),
    ] = 0,
    model: Annotated[
        str | None,
        typer.Option(
            metavar="MODEL",
            help="Instead of a run: a model folder, or any name that open_clip knows.",
        ),
    ] = None,
    original: Annotated[
        str | None,
        typer.Option(
            metavar="MODEL",
            help="With --model: what it was before erasing, if erasekit did not train that.",
        ),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="With --model: file for the audit, as JSON.")
    ] = None,
    profile: Profile = "default",
    forget: Forget = None,
    forget_languages: ForgetLanguages = None,
    seed: Seed = None,
    device: Device = None,
    set_: Set = None,
    oracle: Annotated[
        bool, typer.Option(help="Hold against three oracles; each is trained once, then cached.")
    ] = True,
    known_answers: Annotated[
        bool,
        typer.Option(
            "--known-answers",
            help="Audit models whose verdict is known beforehand: is the audit itself right?",
        ),
    ] = False,
) -> None:
    """Is it really gone? Attack an erased model, beside the original and three oracles.

    \b
    Examples:
      erasekit audit runs/fruit                      audit.json, pictures, a part of report.html
      erasekit audit runs/fruit --tests relearning,probes
      erasekit audit --model runs/fruit/model --forget fruit --out audit.json
      erasekit audit --known-answers --profile smoke

    Each test ends in words: as the oracle, less forgotten, over-forgetting, or cannot tell.
    """
    from erasekit.audit.attack_registry import check_names

    names = check_names([n.strip() for n in tests.split(",") if n.strip()]) if tests else None
    given = {
        "forget": forget,
        "forget_languages": forget_languages,
        "seed": seed,
        "device": device,
    }
    if [run is not None, model is not None, known_answers].count(True) != 1:
        raise UsageError("give the folder of a run, or --model MODEL, or --known-answers")
    if run is not None:
        others = [
            name for name, value in {**given, "out": out, "original": original}.items() if value
        ]
        others += ["set"] * bool(set_)
        if others:
            raise UsageError(
                f"--{others[0].replace('_', '-')} goes with --model only: "
                "a run folder brings its own parameters"
            )
        from erasekit.runs.audits import run_audit

        folder = run_audit(run, tests=names, shadows=lira, oracles=None if oracle else 0)
        from erasekit.audit.suite import Audit
        from erasekit.runs.run_folder import AUDIT

        typer.echo(_audited(Audit.load(folder.path / AUDIT)))
        typer.echo(f"report: {folder.report}")
        return
    settings = _settings(profile, set_, **given)
    if known_answers:
        from erasekit.runs.audits import audit_known_answers

        answers = audit_known_answers(settings, names)
        typer.echo(answers.text())
        raise typer.Exit(0 if answers.right else 1)
    assert model is not None
    from erasekit.runs.audits import ORACLES, audit_model

    result = audit_model(
        model,
        settings,
        original=original,
        tests=names,
        shadows=lira,
        oracles=ORACLES if oracle else 0,
    )
    typer.echo(_audited(result))
    if out is not None:
        typer.echo(f"audit: {result.save(out)}")


def _audited(found: Any) -> str:
    width = max(len(report.title) for report in found.tests)
    lines = [f"{r.title:<{width}}  {r.verdict} ({r.reason})" for r in found.tests]
    return "\n".join([*lines, f"In all: {found.verdict}."])


@app.command()
def report(run: Annotated[Path, typer.Argument(help="Folder of a run.")]) -> None:
    """Make report.html again from the files of a run folder."""
    from erasekit.runs.run_folder import RunFolder

    typer.echo(f"report: {RunFolder.open(run).write_report()}")


@app.command()
def certify(
    run: Annotated[Path, typer.Argument(help="Folder of a run.")],
    policy: Annotated[
        str,
        typer.Option(
            metavar="FILE", help="A policy as YAML, or a shipped one; see `list policies`."
        ),
    ],
    key: Annotated[
        Path | None,
        typer.Option(metavar="PEM", help="Sign with this Ed25519 private key; unsigned without."),
    ] = None,
) -> None:
    """Hold a run against a policy, and write certificate.json and certificate.html.

    \b
    Examples:
      erasekit certify runs/fruit --policy example
      erasekit certify runs/fruit --policy mine.yaml --key private.pem

    \b
    A pair of keys, made once; the private one stays with you:
      openssl genpkey -algorithm ed25519 -out private.pem
      openssl pkey -in private.pem -pubout -out public.pem

    The exit code is 0 when every criterion is met, and 1 when one is not, or was not tested.
    """
    from erasekit.certificate.policy import load_policy
    from erasekit.runs.run_folder import CERTIFICATE_PAGE

    asked = load_policy(policy)  # a slip in it is said before anything else
    from erasekit.certificate.certificate import certify as make
    from erasekit.certificate.certificate_page import line_of_text, verdict

    made = make(run, asked, key)
    for criterion in made["criteria"]:
        if criterion["result"] != "met":
            typer.echo(line_of_text(criterion))
    typer.echo(verdict(made))
    typer.echo(f"certificate: {run / CERTIFICATE_PAGE}")
    raise typer.Exit(0 if made["result"] == "met" else 1)


@app.command()
def verify(
    run: Annotated[Path, typer.Argument(help="Folder of a certified run.")],
    public_key: Annotated[
        Path | None,
        typer.Option(metavar="PEM", help="The Ed25519 public key whose owner must have signed."),
    ] = None,
) -> None:
    """Find every file of a certified run that has changed since, and check the signature.

    \b
    Examples:
      erasekit verify runs/fruit
      erasekit verify runs/fruit --public-key public.pem

    The results are judged again by the policy in the certificate. The exit code is 0 when
    everything agrees, whatever the certificate says of the criteria, and 1 otherwise.
    """
    from erasekit.certificate.certificate_page import verdict
    from erasekit.certificate.verification import verify as check

    found = check(run, public_key)
    for line in (*found.problems, *found.notes):
        typer.echo(line)
    if found.problems:
        typer.echo(f"{run} does not agree with its certificate.")
        raise typer.Exit(1)
    files = len(found.certificate["files"])
    typer.echo(f"{run} agrees with its certificate: {files} files. {verdict(found.certificate)}")


@app.command()
def export(
    run: Annotated[Path, typer.Argument(help="Folder of a run.")],
    out: Annotated[Path, typer.Option(help="Folder to write, e.g. given/fruit.")],
    push: Annotated[
        str | None,
        typer.Option(metavar="hf-hub:ORG/NAME", help="Also upload it there, readable by you."),
    ] = None,
    public: Annotated[
        bool, typer.Option("--public", help="With --push: everyone may read it.")
    ] = False,
) -> None:
    """Write a run's model to give away: a folder that plain open_clip loads, with a model card.

    \b
    Examples:
      erasekit export runs/fruit --out given/fruit
      erasekit export runs/fruit --out given/fruit --push hf-hub:ORG/NAME

    The card, README.md, says what was erased and how, what was measured with its intervals,
    what it cost, what the audit and the certificate say if the run has them, and the limits.
    """
    from erasekit.sharing.export import check_token, parse_repository
    from erasekit.sharing.export import export as write
    from erasekit.sharing.export import push as upload

    if public and push is None:
        raise UsageError("--public goes with --push only")
    repository = parse_repository(push) if push is not None else None
    if repository:
        check_token()
    folder = write(run, out, repository=repository)
    typer.echo(f"model and card: {folder}")
    if repository:
        typer.echo(f"uploaded: {upload(folder, repository, public=public)}")


@app.command()
def preview(
    data: Annotated[str, typer.Argument(metavar="folder:PATH", help="Your pictures and captions.")],
    forget: Annotated[
        str,
        typer.Option(
            metavar="RULE",
            help="What to forget, joined by commas: apple | group=fruit | word=apple | "
            "files=list.txt | regex=... (last).",
        ),
    ],
    out: Annotated[Path, typer.Option(help="Folder for the counts and the sheet.")] = Path(
        "runs/preview"
    ),
    skip_bad: Annotated[
        bool, typer.Option("--skip-bad", help="Leave rows with a problem out, and go on.")
    ] = False,
) -> None:
    """Check a folder of your own data, and show what a rule would forget in it.

    \b
    Examples:
      erasekit preview folder:photos --forget word=apple
      erasekit preview folder:photos --forget 'group=fruit,files=also.txt' --out runs/look

    \b
    The folder holds one of:
      pairs.csv, pairs.jsonl or pairs.parquet   columns image and caption; concept, group, split
      CLASS/*.jpg                               or train/CLASS/*.jpg and test/CLASS/*.jpg
      *.tar                                     webdataset shards with KEY.jpg and KEY.txt

    No model is loaded. `erasekit erase --data folder:PATH --forget RULE` takes the same rule.
    """
    from erasekit.data.folder.selection import parse_rule

    parse_rule(forget)
    from erasekit.runs.preview import preview_folder

    typer.echo(preview_folder(data, forget, out, skip_bad=skip_bad))


@app.command()
def tutorial(
    profile: Profile = "default",
    out: Annotated[Path, typer.Option(help="Folder for the executed notebooks.")] = Path(
        "runs/tutorial"
    ),
    only: Annotated[
        list[str] | None,
        typer.Option(metavar="NN", help="One notebook by its number, e.g. 03; repeatable."),
    ] = None,
    jobs: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            min=1,
            help="Notebooks side by side: 2 in smoke, else 1, since seconds are results there.",
            show_default=False,
        ),
    ] = None,
    write_reference: Annotated[
        bool,
        typer.Option(
            "--write-reference",
            help="Make what comes out the committed reference of this profile.",
        ),
    ] = False,
) -> None:
    """Run every notebook in order and write a page that shows them all.

    \b
    Examples:
      erasekit tutorial                    about 40 minutes on two CPU cores
      erasekit tutorial --profile smoke    about 5 minutes, with a smaller world
      erasekit tutorial --only 03          one notebook

    At its end it holds what came out against the committed reference, and says so.
    """
    make_settings(profile)
    if only and write_reference:
        raise UsageError("--write-reference takes every notebook: leave --only out")
    from erasekit.tutorial.sequence import run_tutorial

    # Given parameters mean that there is nothing to hold the results against, which is
    # what is wanted when they are to become the reference themselves.
    parameters = {"profile": profile} if write_reference else None
    code = run_tutorial(profile=profile, out=out, only=only, parameters=parameters, jobs=jobs)
    if write_reference and code == 0:
        from erasekit.tutorial import reference

        typer.echo(f"reference: {reference.write_reference(profile, out)}")
    raise typer.Exit(code)


@app.command()
def benchmark(
    more: Annotated[list[str] | None, typer.Argument(hidden=True)] = None,
    methods: Annotated[
        str, typer.Option(metavar="NAMES", help="Joined by commas, or all; see `list methods`.")
    ] = "all",
    tasks: Annotated[
        str, typer.Option(metavar="NAMES", help="Joined by commas, or all; see `list tasks`.")
    ] = "all",
    seeds: Annotated[str, typer.Option(metavar="N N ...", help="Seeds of the tests.")] = "0 1 2",
    profile: Annotated[
        str, typer.Option(metavar="PROFILE", help="benchmark, or smoke for a short look.")
    ] = "benchmark",
    out: Annotated[
        Path, typer.Option(help="File of results; what is in it is not run again.")
    ] = Path("runs/benchmark.jsonl"),
    page: Annotated[
        Path | None,
        typer.Option(metavar="FOLDER", help="Write leaderboard.md with its pictures there."),
    ] = None,
    jobs: Annotated[
        int | None,
        typer.Option(metavar="N", min=1, help="Processes at once; one a core by default."),
    ] = None,
) -> None:
    """Hold every method against three oracles on the same tasks, tuned with the same budget.

    \b
    Examples:
      erasekit benchmark --methods all --tasks all --seeds 0 1 2     hours; resumable
      erasekit benchmark --methods cliperase,munba --tasks one_group --seeds 0

    Each method's settings are chosen on validation for each task, then tested once a seed.
    Results are appended as they come: the same command goes on where it stopped.
    """
    from erasekit.leaderboard.plan import pick_methods, pick_tasks

    chosen = pick_methods(_names(methods))
    asked = [task.name for task in pick_tasks(profile, _names(tasks))]
    numbers = _seeds([*seeds.replace(",", " ").split(), *(more or [])])
    from erasekit.leaderboard.run import run_benchmark
    from erasekit.leaderboard.summary import summary_text

    records = run_benchmark(profile, chosen, asked, numbers, out, jobs=jobs)
    typer.echo(summary_text(records.read()))
    typer.echo(f"results: {out}")
    if page is not None:
        from erasekit.leaderboard.page import write_leaderboard

        typer.echo(f"page: {write_leaderboard(records.read(), page)}")


def _names(text: str) -> list[str]:
    names = [name.strip() for name in text.split(",") if name.strip()]
    if not names:
        raise UsageError("name at least one, or say all")
    return names


def _seeds(words: Sequence[str]) -> list[int]:
    for word in words:
        if not word.isdecimal():
            raise UsageError(f"--seeds {word}: give whole numbers from 0, such as --seeds 0 1 2")
    if not words:
        raise UsageError("--seeds is empty: give whole numbers from 0, such as --seeds 0 1 2")
    return list(dict.fromkeys(map(int, words)))


@app.command("list")
def list_(
    what: Annotated[
        str,
        typer.Argument(
            help="methods, mllm-methods, tests, policies, tasks, datasets, models or concepts."
        ),
    ],
    as_json: Annotated[bool, typer.Option("--json", help="Everything, as JSON.")] = False,
    everything: Annotated[
        bool, typer.Option("--all", help="Of concepts: every drawing that has a name.")
    ] = False,
) -> None:
    """List methods, audit tests, policies, benchmark tasks, data sets, models or concepts.

    \b
    Examples:
      erasekit list methods           with every option and its default
      erasekit list mllm-methods      those for multimodal language models
      erasekit list tests             what an audit asks, and where it comes from
      erasekit list concepts --json   names in every language
    """
    from erasekit.cli.catalogue import listing

    entries = listing(what, everything)
    if as_json:
        typer.echo(json.dumps(entries, indent=2, ensure_ascii=False))
    else:
        for entry in entries:
            typer.echo(_line(what, entry))


def _line(what: str, entry: dict[str, Any]) -> str:
    if what in ("methods", "mllm-methods"):
        options = ", ".join(f"{k}={v}" for k, v in entry["options"].items())
        return (
            f"{entry['name']}: {entry['summary']}\n    source: {entry['source']}"
            f"\n    options: {options or 'none'}"
        )
    if what == "models":
        vision, text = entry["config"]["vision_cfg"], entry["config"]["text_cfg"]
        return (
            f"{entry['name']}: pictures of {vision['image_size']} px, vision layers "
            f"{vision['layers']}, text layers {text['layers']} of width {text['width']}"
        )
    if what == "tests":
        when = ", only when asked for" if entry["opt_in"] else ""
        return f"{entry['name']}{when}: {entry['question']}\n    source: {entry['source']}"
    if what == "policies":
        return f"{entry['name']}: {entry['title']}\n    {entry['purpose']}"
    if what == "tasks":
        return f"{entry['name']}: {entry['title']}\n    {'; then '.join(entry['requests'])}"
    if what == "datasets":
        return f"{entry['name']}: {entry['summary']}"
    attributes = ", ".join(f"{k}={v}" for k, v in entry["attributes"].items() if v)
    holdout = "holdout, never trained" if entry["holdout"] else ""
    return f"{entry['group']:<24} {entry['name']:<24} {holdout or attributes}".rstrip()


def _pairs(flag: str, given: list[str] | None) -> dict[str, str]:
    """NAME=VALUE arguments as a dict."""
    pairs: dict[str, str] = {}
    for text in given or []:
        name, sign, value = text.partition("=")
        if not sign or not name.strip():
            raise UsageError(f"{flag} {text}: write NAME=VALUE")
        if name.strip() in pairs:
            raise UsageError(f"{flag} {name.strip()} is given twice")
        pairs[name.strip()] = value.strip()
    return pairs


def _settings(profile: str, more: list[str] | None, **given: Any) -> Settings:
    """Settings from options and `--set`, checked as far as they can be without torch."""
    extra = _pairs("--set", more)
    for name in extra:
        if name in ("profile", "options"):
            raise UsageError(f"--set {name}: use --{name.rstrip('s')} for it")
        if given.get(name) is not None:
            raise UsageError(f"{name} is given twice, by an option and by --set")
    from erasekit.experiment.specs import make_plan

    settings = make_settings(profile, **{**given, **extra})
    make_plan(settings)
    return settings


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and leave with its exit code."""
    sys.exit(run(arguments))


def run(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; the exit code."""
    warnings.showwarning = _show_warning
    try:
        code = app(args=arguments, prog_name="erasekit", standalone_mode=False)
        sys.stdout.flush()
        if code == 130:  # how some versions of typer hand on a Ctrl-C
            raise KeyboardInterrupt
        return code if isinstance(code, int) else 0
    except (KeyboardInterrupt, typer.Abort):
        _say("interrupted: the same command, given again, goes on where this one stopped")
        return 130
    except BrokenPipeError:  # `erasekit list concepts | head`: the reader has enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except Exception as error:
        if os.environ.get(DEBUG) == "1":
            traceback.print_exc()
        if isinstance(error, ErasekitError):
            _say(f"error: {error}")
            return error.exit_code
        # The argument parser's own errors, which live where typer's version puts them.
        if hasattr(error, "format_message"):
            _say(f"error: {error.format_message()} See `erasekit --help`.")  # type: ignore[attr-defined]
            return 2
        _say(f"error: unexpected {type(error).__name__}: {error}. Details: {_log()}")
        return 1


def _say(text: str) -> None:
    """One line on standard error, whatever the text, and of which of several processes."""
    who = "" if processes.is_main() else f"process {processes.rank()}: "
    typer.echo(who + " ".join(text.split()), err=True)


def _show_warning(message: Warning | str, *_: Any, **__: Any) -> None:
    _say(f"warning: {message}")


def _log() -> str:
    """Write the traceback at hand to a file of its own; the file's path."""
    try:
        handle, name = tempfile.mkstemp(prefix="erasekit-", suffix=".log")
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            traceback.print_exc(file=file)
    except OSError:
        return f"set {DEBUG}=1 and run again"
    return name


if __name__ == "__main__":
    main()
