"""`certify` and `verify`: check a run against a policy, and check a certificate."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


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
        typer.Option(
            metavar="PEM",
            help="Sign with this Ed25519 private key. Without it, the certificate is unsigned.",
        ),
    ] = None,
) -> None:
    """Check a run against a policy, and write certificate.json and certificate.html.

    \b
    Examples:
      erasekit certify runs/fruit --policy example
      erasekit certify runs/fruit --policy mine.yaml --key private.pem

    \b
    To create a pair of keys once (keep the private one secret):
      openssl genpkey -algorithm ed25519 -out private.pem
      openssl pkey -in private.pem -pubout -out public.pem

    The exit code is 0 if every criterion is met, and 1 if one is not met or was not tested.
    """
    from erasekit.certificate.policy import load_policy
    from erasekit.runs.run_folder import CERTIFICATE_PAGE

    asked = load_policy(policy)  # report mistakes in the policy first
    from erasekit.certificate.certificate import certify as make
    from erasekit.certificate.certificate_page import line_of_text, verdict

    made = make(run, asked, key)
    for criterion in made["criteria"]:
        if criterion["result"] != "met":
            typer.echo(line_of_text(criterion))
    typer.echo(verdict(made))
    typer.echo(f"certificate: {run / CERTIFICATE_PAGE}")
    raise typer.Exit(0 if made["result"] == "met" else 1)


def verify(
    run: Annotated[Path, typer.Argument(help="Folder of a certified run.")],
    public_key: Annotated[
        Path | None,
        typer.Option(metavar="PEM", help="The Ed25519 public key whose owner must have signed."),
    ] = None,
) -> None:
    """Find the files of a certified run that have changed since, and check the signature.

    \b
    Examples:
      erasekit verify runs/fruit
      erasekit verify runs/fruit --public-key public.pem

    The results are evaluated again with the policy in the certificate. The exit code is 0 if
    everything matches, even if the certificate has unmet criteria, and 1 otherwise.
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
