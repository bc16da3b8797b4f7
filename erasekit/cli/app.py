"""The command-line application: registration of the commands, and error handling.

The commands are in the other modules of this package. Everything that does not need torch is
checked before torch is imported. An error is one line on standard error, never a traceback: exit
code 2 for bad input, 1 for a failure, 130 for Ctrl-C.
"""

from __future__ import annotations

import os
import sys
import tempfile
import traceback
import warnings
from collections.abc import Sequence
from typing import Annotated, Any

import typer

import erasekit
from erasekit import processes
from erasekit.cli.audit_commands import audit
from erasekit.cli.certificate_commands import certify, verify
from erasekit.cli.data_commands import preview
from erasekit.cli.erase_commands import compare, erase, evaluate, report
from erasekit.cli.leaderboard_commands import benchmark
from erasekit.cli.list_commands import list_
from erasekit.cli.request_commands import app as requests
from erasekit.cli.settings_options import SectionedCommand
from erasekit.cli.share_commands import export
from erasekit.cli.sweep_commands import sweep
from erasekit.cli.tutorial_commands import tutorial
from erasekit.errors import ErasekitError, UsageError

app = typer.Typer(
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)
DEBUG = "ERASEKIT_DEBUG"


@app.callback(invoke_without_command=True)
def erasekit_command(
    context: typer.Context,
    version: Annotated[bool, typer.Option("--version", help="Show the version and exit.")] = False,
    debug: Annotated[bool, typer.Option("--debug", hidden=True)] = False,
) -> None:
    """Make CLIP forget a concept, and verify that it did.

    \b
    First steps:
      erasekit list concepts                       what can be forgotten
      erasekit erase --forget fruit --out runs/a   erase, evaluate, write a report
      erasekit audit runs/a                        attack it: is the concept really gone?
      erasekit certify runs/a --policy example     compare it with stated bounds
      erasekit export runs/a --out given/a         a folder to share, with its model card
      erasekit compare runs/a runs/b               several runs side by side
      erasekit requests --help                     deletion requests, step by step
      erasekit tutorial                            every notebook, in order
      erasekit sweep 06 --grid seed=0..4           one notebook with many parameters

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


for command in (
    *(erase, evaluate, compare, audit, report, certify, verify, export, preview),
    *(tutorial, sweep, benchmark, list_),
):
    app.command(command.__name__.strip("_"), cls=SectionedCommand)(command)
leaderboard = typer.Typer(help="Compare every method on the same tasks.", rich_markup_mode=None)
leaderboard.command("run", cls=SectionedCommand)(benchmark)
leaderboard.callback()(lambda: None)  # without it, typer treats a single command as the group
app.add_typer(leaderboard, name="leaderboard")
app.add_typer(requests, name="requests")


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and exit with its exit code."""
    sys.exit(run(arguments))


def run(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return the exit code."""
    warnings.showwarning = _show_warning
    try:
        code = app(args=arguments, prog_name="erasekit", standalone_mode=False)
        sys.stdout.flush()
        if code == 130:  # some versions of typer report Ctrl-C like this
            raise KeyboardInterrupt
        return code if isinstance(code, int) else 0
    except (KeyboardInterrupt, typer.Abort):
        _say("interrupted: the same command, given again, goes on where this one stopped")
        return 130
    except BrokenPipeError:  # `erasekit list concepts | head` closes the pipe
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except Exception as error:
        if os.environ.get(DEBUG) == "1":
            traceback.print_exc()
        if isinstance(error, ErasekitError):
            _say(f"error: {error}")
            return error.exit_code
        # Errors of the argument parser; their module depends on the version of typer.
        if hasattr(error, "format_message"):
            _say(f"error: {error.format_message()} See `erasekit --help`.")  # type: ignore[attr-defined]
            return 2
        _say(f"error: unexpected {type(error).__name__}: {error}. Details: {_log()}")
        return 1


def _say(text: str) -> None:
    """Print one line on standard error, with the rank if there are several processes."""
    who = "" if processes.is_main() else f"process {processes.rank()}: "
    typer.echo(who + " ".join(text.split()), err=True)


def _show_warning(message: Warning | str, *_: Any, **__: Any) -> None:
    _say(f"warning: {message}")


def _log() -> str:
    """Write the current traceback to a new file and return its path."""
    try:
        handle, name = tempfile.mkstemp(prefix="erasekit-", suffix=".log")
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            traceback.print_exc(file=file)
    except OSError:
        return f"set {DEBUG}=1 and run again"
    return name


if __name__ == "__main__":
    main()
