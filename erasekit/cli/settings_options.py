"""Command-line options, derived from the declarations of the settings.

Values stay text until `make_settings` parses them: it knows their types and ranges, and gives the
same error messages as in Python.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Iterator
from typing import Annotated, Any

import typer
from typer.core import TyperCommand

from erasekit.errors import UsageError
from erasekit.settings import DECLARED, Settings, make_settings

Set = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="NAME=VALUE",
        help="Any other setting, e.g. concepts=128; repeatable. See `erasekit list settings`.",
    ),
]
_TYPES = {int: "INTEGER", float: "NUMBER"}
# Types of options; all other types of settings give text.
_OPTIONS: dict[Any, Any] = {dict: list[str] | None, bool: bool | None}


class SectionedCommand(TyperCommand):
    """A command whose help shows its own options first, then the settings by group."""

    def format_options(self, ctx: Any, formatter: Any) -> None:
        sections: dict[str, list[tuple[str, str]]] = {"Arguments": [], "Options": []}
        for parameter in self.get_params(ctx):
            kind = "Arguments" if parameter.param_type_name == "argument" else "Options"
            name = getattr(parameter, "rich_help_panel", None) or kind
            if (record := parameter.get_help_record(ctx)) is not None:
                sections.setdefault(name, []).append(record)
        for name, records in sections.items():
            if records:
                with formatter.section(name):
                    formatter.write_dl(records)


def setting_option(name: str) -> Any:
    """Return the option for the setting `name`, as text; options of a method are NAME=VALUE."""
    one = DECLARED[name]
    flag, metavar, text = f"--{name.replace('_', '-')}", _TYPES.get(one.type, "TEXT"), one.help
    if one.type is dict:
        flag, metavar, text = "--option", "NAME=VALUE", f"{one.help} Repeatable."
    elif one.type is bool:
        flag, metavar = f"{flag}/--no-{flag[2:]}", None
    elif one.choices:
        metavar = f"[{one.type_name}]"
    if one.default not in ("", {}):
        text += f" [{'; '.join(filter(None, [one.unit, one.range, f'default: {one.default}']))}]"
    return typer.Option(
        flag, metavar=metavar, help=text, rich_help_panel=one.group, show_default=False
    )


def with_settings(
    *names: str, instead_of: str = "", of_model: Iterable[str] = ()
) -> Callable[[Callable], Callable]:
    """Add an option for each of these settings to a command, which gets one `Settings`.

    The options, ``--profile`` and ``--set`` replace its parameter ``settings``.

    Args:
        names: names of settings.
        instead_of: a parameter of the command for a run folder, which has its own settings and
            excludes all options.
        of_model: further parameters of the command that apply to a model, not to a run folder.
    """
    options = ("profile", *names)

    def decorate(command: Callable) -> Callable:
        def run(**given: Any) -> Any:
            found = {name: given.pop(name) for name in options}
            more = given.pop("set_")
            if instead_of and given[instead_of] is not None:
                refused = {**found, "set": more, **{name: given[name] for name in of_model}}
                for name, value in refused.items():
                    if value not in (None, []):
                        raise UsageError(
                            f"--{name.replace('_', '-')} goes with --model only: "
                            "a run folder brings its own parameters"
                        )
            return command(settings=_settings(more, **found), **given)

        hints = {"set_": Set} | {
            name: Annotated[_OPTIONS.get(DECLARED[name].type, str | None), setting_option(name)]
            for name in options
        }
        added = [
            inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=hint)
            for name, hint in hints.items()
        ]
        return with_options(run, command, added, instead_of="settings")

    return decorate


def with_options(
    run: Callable, command: Callable, options: Iterable[inspect.Parameter], *, instead_of: str
) -> Callable:
    """Give `run` the name and parameters of a command, with options in place of one of them."""
    command.__annotations__.pop(instead_of, None)  # it may be imported for type checkers only
    signature = inspect.signature(command, eval_str=True)
    own = [p for p in signature.parameters.values() if p.name != instead_of]
    shown = [p.replace(kind=inspect.Parameter.KEYWORD_ONLY) for p in (*own, *options)]
    run.__signature__ = signature.replace(parameters=shown)  # type: ignore[attr-defined]
    run.__annotations__ = {p.name: p.annotation for p in shown}
    run.__name__, run.__doc__ = command.__name__, command.__doc__
    return run


def _settings(more: list[str] | None, **given: Any) -> Settings:
    """Make settings from options and `--set`, checked as far as possible without torch."""
    if "options" in given:
        given["options"] = dict(_pairs("--option", given["options"])) or None
    for name, value in _pairs("--set", more):
        if name in ("profile", "options"):
            raise UsageError(f"--set {name}: use --{name.rstrip('s')} for it")
        if given.get(name) is not None:
            raise UsageError(f"{name} is given twice, by an option and by --set")
        given[name] = value
    from erasekit.experiment.specs import make_plan

    settings = make_settings(given.pop("profile") or "default", **given)
    make_plan(settings)
    return settings


def _pairs(flag: str, given: Iterable[str] | None) -> Iterator[tuple[str, str]]:
    """Parse NAME=VALUE arguments; each name may occur once."""
    seen = set()
    for text in given or []:
        name, sign, value = (part.strip() for part in text.partition("="))
        if not sign or not name:
            raise UsageError(f"{flag} {text}: write NAME=VALUE")
        if name in seen:
            raise UsageError(f"{flag} {name} is given twice")
        seen.add(name)
        yield name, value
