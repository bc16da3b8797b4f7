"""`requests`: deletion requests from the letter to the live model, and back."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from erasekit.cli.settings_options import SectionedCommand, with_settings
from erasekit.errors import RunError, UsageError, reason, unknown
from erasekit.settings import Settings
from erasekit.text import shown

if TYPE_CHECKING:
    from erasekit.requests.making import Pass
    from erasekit.requests.registry_folder import Registry
    from erasekit.requests.states import Request, Version

app = typer.Typer(
    help="Deletion requests: receive, review, erase, verify, roll out, and back.",
    rich_markup_mode=None,
)
Folder = Annotated[Path, typer.Argument(metavar="REGISTRY", help="Folder of the registry.")]
Name = Annotated[str, typer.Argument(metavar="REQUEST", help="A request, such as r1.")]
As = Annotated[str | None, typer.Option("--as", metavar="NAME", help="Who acts. [default: you]")]
Why = Annotated[str, typer.Option(metavar="TEXT", help="The reason, which the log keeps.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print everything as JSON.")]


@with_settings(
    *("kind", "data", "forget_languages", "train", "model", "pretrained", "method"),
    *("options", "steps", "learning_rate", "moves", "micro_batch", "seed", "device", "precision"),
)
def init(
    registry: Folder,
    policy: Annotated[str, typer.Option(metavar="FILE", help="A policy, as for `certify`.")],
    key: Annotated[
        Path, typer.Option(metavar="PEM", help="Ed25519 private key that signs the log.")
    ],
    settings: Settings,
    database: Annotated[
        str,
        typer.Option(
            metavar="ADDRESS",
            help="A PostgreSQL database for the log, as postgresql+psycopg://USER@HOST/NAME. "
            "[default: a SQLite file in the registry]",
        ),
    ] = "",
    who: As = None,
) -> None:
    """Make a registry: its live model is the original of these settings.

    \b
    Examples:
      openssl genpkey -algorithm ed25519 -out private.pem
      erasekit requests init registry --policy example --key private.pem
      erasekit requests init registry --data folder:photos --model local-dir:clip \\
        --policy mine.yaml --key private.pem

    Every version is erased with these settings. Keep the key outside the registry: it signs
    the log and the certificates.
    """
    from erasekit.requests.registry_folder import Registry

    made = Registry.create(registry, settings, policy, key, who, database)
    typer.echo(f"registry: {made.folder}\npublic key of the log: {made.config.verifier}")


def add(
    registry: Folder,
    forget: Annotated[str, typer.Option(metavar="RULE", help="What to forget, as for `erase`.")],
    why: Why = "",
    who: As = None,
) -> None:
    """File a request. It is compared with the data, the policy and earlier requests first.

    \b
    Example:
      erasekit requests add registry --forget files=list.txt --why "letter 2031"

    The exit code is 2 for what cannot be asked, and for a duplicate, which is recorded.
    """
    from erasekit.requests.filing import add_request
    from erasekit.requests.states import DUPLICATE

    found = add_request(_open(registry, who), forget, why)
    if found.state == DUPLICATE:
        raise UsageError(
            f"{found.id} asks for the same as {found.duplicate_of}, and is recorded as its "
            f"duplicate: see erasekit requests show {registry} {found.duplicate_of}"
        )
    _say(found)


def list_(
    registry: Folder,
    state: Annotated[str, typer.Option(help="Only requests in this state.")] = "",
    as_json: AsJson = False,
) -> None:
    """List the requests, the next deadline first, and the live version."""
    from erasekit.requests.queue_page import age
    from erasekit.requests.states import STATES

    if state and state not in STATES:
        raise unknown("state", state, STATES)
    book = _open(registry).book
    found = [r for r in book.requests.values() if not state or r.state == state]
    found.sort(key=lambda r: (STATES.index(r.state), r.due, int(r.id[1:])))
    if as_json:
        told = {"aliases": book.aliases(), "requests": [asdict(request) for request in found]}
        typer.echo(json.dumps(told, ensure_ascii=False, indent=1))
        return
    today = date.today()
    for request in found:
        days, late = age(request, today)
        of = f" of {request.duplicate_of}" if request.duplicate_of else ""
        due = f"due {request.due}{', LATE' if late else ''}"
        typer.echo(
            f"{request.id:6} {request.state + of:15} {days:4} d  {due}  {shown(request.rule)}"
        )
    aliases = ", ".join(f"{name}: {version}" for name, version in book.aliases().items())
    typer.echo(f"{len(found)} requests. {aliases}")


def show(registry: Folder, request: Name, as_json: AsJson = False) -> None:
    """Show a request: what it asks, and who did what, when and why."""
    from erasekit.requests.queue_page import told

    opened = _open(registry)
    found = opened.book.request(request)
    entries = [opened.log.entries[place] for place in found.entries]
    if as_json:
        typer.echo(json.dumps({**asdict(found), "log": entries}, ensure_ascii=False, indent=1))
        return
    version = f", version {found.version}" if found.version else ""
    typer.echo(f"{found.id}: {found.state}{version}, due {found.due}: {shown(found.rule)}")
    for entry in map(told, entries):
        why = f": {shown(entry['why'])}" if entry["why"] else ""
        typer.echo(f"  {entry['at']}  {entry['what']} by {shown(entry['who'])}{why}")
    if found.version:
        typer.echo(f"evidence: {opened.run_folder(found.version)}")


def review(
    registry: Folder,
    request: Name,
    needs: Annotated[
        str, typer.Option(metavar="TEXT", help="Ask back: the request then needs input.")
    ] = "",
    why: Why = "",
    who: As = None,
) -> None:
    """Take a request in review, or ask back with --needs."""
    _decide(registry, "ask" if needs else "review", request, needs or why, who)


def approve(registry: Folder, request: Name, why: Why = "", who: As = None) -> None:
    """Approve a request in review, or a failed or rolled back one again.

    Who filed it cannot approve it, unless the policy has `own_approval: true`.
    """
    _decide(registry, "approve", request, why, who)


def refuse(registry: Folder, request: Name, why: Why = "", who: As = None) -> None:
    """Refuse a request, with the reason in --why."""
    _decide(registry, "refuse", request, why, who)


def run(
    registry: Folder,
    only: Annotated[
        list[str] | None, typer.Option(metavar="REQUEST", help="Only these; repeatable.")
    ] = None,
    once: Annotated[
        bool, typer.Option("--once", help="Do all that waits, verify too, and end: for a timer.")
    ] = False,
    who: As = None,
) -> None:
    """Make one version that also forgets all approved requests.

    An interrupted version is finished instead. A request that cannot be carried out fails alone.

    \b
    Exit codes with --once, which is made for a timer or CI:
      0  nothing was to do, another process is at work, or a version is verified
      1  the version does not meet the policy, or the machine failed
      2  a request, or the registry, cannot be used
    Without --once, versions are not verified.
    """
    from erasekit.requests.making import run_once, run_requests

    opened = _open(registry, who)
    if once:
        if only:
            raise UsageError("--once takes all that is approved: leave --only out")
        raise typer.Exit(_say_once(run_once(opened)))
    made, failed = run_requests(opened, only or ())
    if made is not None:
        typer.echo(f"{made.id} is made for {', '.join(made.batch)}: verify it next")
    elif not failed:
        typer.echo("no request is approved: nothing to do")
    if waiting := ", ".join(sorted(opened.book.apart)):
        typer.echo(f"tried alone by the next run, since a version of several failed: {waiting}")
    if failed:
        raise UsageError(_failures(failed))


def verify(registry: Folder, who: As = None) -> None:
    """Compare the new version with the policy and certify it.

    The exit code is 1 if the policy is not met: its requests have then failed.
    """
    from erasekit.requests.making import verify_version

    raise typer.Exit(0 if _say_verified(*verify_version(_open(registry, who))) else 1)


def promote(
    registry: Folder,
    version: Annotated[
        str | None, typer.Argument(metavar="[VERSION]", help="By default the canary or candidate.")
    ] = None,
    queries: Annotated[
        Path | None,
        typer.Option(
            metavar="FOLDER",
            help="Pictures with captions: list the answers that differ from the live model's.",
        ),
    ] = None,
    why: Why = "",
    who: As = None,
) -> None:
    """Promote a verified version one step: candidate to canary, canary to live.

    Its certificate must be met and agree with its files.
    """
    from erasekit.requests.rollout import promote as move

    opened = _open(registry, who)
    moved, found = move(opened, version, queries, why)
    if found:
        typer.echo(
            f"{found['changed']} of {found['queries']} answers differ from {found['live']}'s, "
            f"{found['asked']} of them about what was asked: {opened.folder / found['table']}"
        )
    typer.echo(f"{moved.id} is {moved.stage}")


def rollback(registry: Folder, why: Why = "", who: As = None) -> None:
    """Make the version before the live one live again, with the reason in --why."""
    from erasekit.requests.rollout import rollback as back

    opened = _open(registry, who)
    left = opened.book.live.id
    live = back(opened, why)
    undone = [n for n in opened.book.version(left).requests if n not in live.requests]
    typer.echo(f"{live.id} is live again; rolled back: {', '.join(undone) or 'no request'}")


def log(
    registry: Folder,
    last: Annotated[int, typer.Option(min=0, help="How many entries to print.")] = 20,
    since: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="A checkpoint kept earlier: prove that it still holds."),
    ] = None,
    public_key: Annotated[
        Path | None, typer.Option(metavar="PEM", help="The key that must have signed the log.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Verify the log, and print its last entries.

    \b
    Examples:
      cp registry/checkpoint kept-elsewhere
      erasekit requests log registry --since kept-elsewhere --public-key public.pem

    Every command verifies the log first. --since also prints the consistency proof (RFC 6962).
    """
    from erasekit.requests.merkle_log import prove, root
    from erasekit.requests.queue_page import told

    opened = _open(registry)
    entries, leaves = opened.log.entries, opened.log.leaves
    asked = entries[len(entries) - last :] if last else []
    if as_json:
        typer.echo(json.dumps(asked, ensure_ascii=False, indent=1))
    for entry in [] if as_json else map(told, asked):
        line = f"{entry['at']}  {entry['which']:4} {entry['what']} by {entry['who']}"
        typer.echo(shown(f"{line}: {entry['why']}" if entry["why"] else line))
    if public_key is not None:
        from erasekit.certificate.signature import load_public_key
        from erasekit.requests.merkle_log import verifier

        given = verifier(opened.origin, load_public_key(public_key))
        if given != opened.config.verifier:
            raise RunError(f"the log is not signed by {public_key}")
    notes = [f"{len(entries)} entries, as signed in the last checkpoint"]
    if since is not None:
        try:
            kept = opened.checkpoint(since.read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError) as error:
            raise UsageError(f"--since {since} cannot be read: {reason(error)}") from error
        except RunError as error:
            raise RunError(f"{since} {error}") from error
        if kept.size > len(leaves) or root(leaves[: kept.size]) != kept.root:
            raise RunError(f"{registry}: the log does not extend {since}: it was rewritten")
        notes += [f"consistent with the {kept.size} entries of {since}; proof:"]
        notes += [each.hex() for each in prove(leaves, kept.size)]
    typer.echo("\n".join(notes), err=as_json)


def policy(
    registry: Folder,
    file: Annotated[str, typer.Argument(metavar="FILE", help="A policy, as for `certify`.")],
    why: Why = "",
    who: As = None,
) -> None:
    """Put another policy in force, with the reason in --why.

    The log keeps who changed it, when and why, and the registry keeps the file. A version that was
    compared with the policy before must be verified again before it is promoted.
    """
    from erasekit.requests.filing import change_policy

    opened = _open(registry, who)
    typer.echo(f"the policy “{shown(change_policy(opened, file, why).name)}” is in force")
    if waiting := opened.book.unverified():
        typer.echo(f"{waiting.id} is to be verified with it: erasekit requests verify {registry}")


def page(
    registry: Folder,
    out: Annotated[Path | None, typer.Option(help="The file; by default in the registry.")] = None,
) -> None:
    """Write a page with the queue, the evidence of each request, and the live model's history."""
    from erasekit.requests.queue_page import write_queue

    typer.echo(f"page: {write_queue(_open(registry), out)}")


for command in (
    *(init, add, list_, show, review, approve, refuse),
    *(run, verify, promote, rollback, policy, log, page),
):
    app.command(command.__name__.strip("_"), cls=SectionedCommand)(command)


def _open(folder: Path, who: str | None = None) -> Registry:
    from erasekit.requests.registry_folder import Registry

    return Registry(folder, who)


def _decide(folder: Path, what: str, name: str, why: str, who: str | None) -> None:
    from erasekit.requests.filing import decide_request

    _say(decide_request(_open(folder, who), what, name, why))


def _say_once(done: Pass) -> int:
    """Tell what a pass did, and return its exit code."""
    if done.busy:
        typer.echo("another process is at work here: nothing to do")
    elif not (done.verified or done.failed):
        typer.echo("no request is approved: nothing to do")
    met = [_say_verified(version, found) for version, found in done.verified]
    if done.failed:
        typer.echo(f"error: {_failures(done.failed)}", err=True)
    return 1 if not all(met) else 2 if done.failed else 0


def _failures(failed: Mapping[str, str]) -> str:
    """One line that names the requests that failed alone, and why."""
    told = (f"{name}: {shown(why)}" for name, why in failed.items())
    return f"failed alone, since they cannot be carried out: {'; '.join(told)}"


def _say_verified(version: Version, found: dict[str, Any]) -> bool:
    """Tell how a version was verified, and return whether the policy is met."""
    from erasekit.certificate.certificate_page import line_of_text, verdict

    for criterion in found["criteria"]:
        if criterion["result"] != "met":
            typer.echo(line_of_text(criterion))
    typer.echo(f"{version.id} is {version.stage}. {verdict(found)}")
    return found["result"] == "met"


def _say(request: Request) -> None:
    why = f": {shown(request.why)}" if request.state == "needs_input" and request.why else ""
    typer.echo(f"{request.id} is {request.state}, due {request.due}{why}")
