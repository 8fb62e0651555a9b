"""Commands made from settings: a frozen dataclass whose `Annotated` fields are the command's options.

Every option may also be given as a variable, `KUAIHL_<OPTION>`, and in the configuration file. A typed option overrides
the variable, the variable the file, and the file the default.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from copy import copy
from dataclasses import MISSING, Field, fields
from enum import Enum
from inspect import Parameter, Signature, getdoc
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar, get_args, get_origin, get_type_hints

import typer
from typer.models import OptionInfo

from kuaihl_cli.config import use_config
from kuaihl_cli.options import LOGGING
from kuaihl_cli.terminal.errors import OPTIONS
from kuaihl_cli.terminal.log import start_log

Settings = TypeVar("Settings")

RULE = (
    "Every option can also be set as a variable, KUAIHL_<OPTION> (KUAIHL_DEVICE=cpu), or in the configuration file; "
    "see docs/configuration.md."
)


def _note_debug(ctx: typer.Context, value: bool) -> bool:
    """Note for `main`, which owns the context's object, that tracebacks are wanted."""
    if value:
        ctx.obj["debug"] = True
    return value


_DebugOption = Annotated[
    bool,
    typer.Option(
        "--debug", is_eager=True, callback=_note_debug, rich_help_panel=LOGGING, help="Show tracebacks of errors."
    ),
]
_ConfigOption = Annotated[
    Path | None,
    typer.Option(
        "--config", metavar="FILE", is_eager=True, callback=use_config, rich_help_panel=LOGGING,
        help="Take defaults from this file instead of ~/.config/kuaihl/config.toml.",
    ),
]  # fmt: skip
_LogFileOption = Annotated[
    Path | None,
    typer.Option("--log-file", metavar="FILE", rich_help_panel=LOGGING, help="Append a log of the run to this file."),
]
_LogLevelOption = Annotated[
    Literal["debug", "info", "warning", "error"] | None,
    typer.Option(
        "--log-level", metavar="LEVEL", rich_help_panel=LOGGING,
        help="Log entries of this level and above, on standard error if there is no --log-file",
    ),
]  # fmt: skip

# The options that every command takes besides its own.
_COMMON = {"debug": _DebugOption, "config": _ConfigOption, "log_file": _LogFileOption, "log_level": _LogLevelOption}


def application() -> typer.Typer:
    """A Typer application for one command or a group of them."""
    return typer.Typer(add_completion=False, rich_markup_mode="rich")


def read_settings(settings: type[Settings]) -> Callable[[Callable[[Settings], int | None]], Callable[..., int | None]]:
    """Turn a function of one settings object into one from which Typer reads options."""

    def decorate(run: Callable[[Settings], int | None]) -> Callable[..., int | None]:
        def command(**values: Any) -> int | None:
            OPTIONS.set(options)
            start_log(values["log_file"], values["log_level"])
            return run(settings_from(settings, values))

        parameters = list(_parameters(settings))
        options = frozenset(_names(parameters))
        command.__name__, command.__doc__, command.__module__ = run.__name__, _help_of(run), run.__module__
        command.__annotations__ = {one.name: one.annotation for one in parameters}
        command.__signature__ = Signature(parameters)  # type: ignore[attr-defined]
        return command

    return decorate


def settings_from(settings: type[Settings], values: Mapping[str, Any]) -> Settings:
    """The settings among the values of a parsed command line; lists become tuples of plain members."""
    own = {one.name: values[one.name] for one in fields(settings)}  # type: ignore[arg-type]
    return settings(**{name: _plain(value) for name, value in own.items()})


def _plain(value: Any) -> Any:
    if not isinstance(value, list):
        return value
    return tuple(one.value if isinstance(one, Enum) else one for one in value)


def _help_of(command: Callable[..., Any]) -> str:
    """The docstring, each paragraph on one line for a terminal to wrap; one that begins with \\b is unchanged."""
    paragraphs = (getdoc(command) or "").split("\n\n")
    return "\n\n".join(one if one.startswith("\b") else one.replace("\n", " ") for one in paragraphs)


def _parameters(settings: type[Any]) -> Iterator[Parameter]:
    """The parameters that Typer reads: the settings' fields, then the options of every command."""
    hints = get_type_hints(settings, include_extras=True)
    for one in fields(settings):
        yield _parameter(one.name, hints[one.name], _default(one))
    for name, annotation in _COMMON.items():
        yield _parameter(name, annotation, False if name == "debug" else None)


def _default(field: "Field[Any]") -> Any:
    if field.default is MISSING:
        return Parameter.empty
    return list(field.default) if field.default == () else field.default


def _parameter(name: str, annotation: Any, default: Any) -> Parameter:
    """One parameter, whose option has a variable of its name; `tuple[X, ...]` becomes Typer's list[X]."""
    kind, declared = get_args(annotation)
    choices = _choices(kind)
    if get_origin(kind) is tuple and get_args(kind)[1:] == (...,):
        # Typer supports lists of an enumeration, but not of literals.
        member: Any = Enum(name, [(one, one) for one in choices]) if choices else get_args(kind)[0]
        kind = list[member]
    if isinstance(declared, OptionInfo):
        declared = copy(declared)
        declared.envvar, declared.show_envvar = _variable_of(declared), False
        if choices:  # in the help text, as a separate column would leave it no space
            declared.metavar = declared.metavar or "NAME"
            declared.help = f"{(declared.help or '').rstrip('.')} ({', '.join(choices)})."
    return Parameter(name, Parameter.KEYWORD_ONLY, default=default, annotation=Annotated[kind, declared])


def _choices(kind: Any) -> tuple[str, ...]:
    """The names that an option chooses from, if any."""
    if get_origin(kind) is Literal:
        return get_args(kind)
    return next((found for part in get_args(kind) if (found := _choices(part))), ())


def _variable_of(option: OptionInfo) -> str:
    """`KUAIHL_LOG_FILE` for `--log-file`."""
    return "KUAIHL_" + _long_name(option).removeprefix("--").replace("-", "_").upper()


def _long_name(option: OptionInfo) -> str:
    """The full name of the option: `--log-file`."""
    # In an Annotated option Typer keeps the first of the declared names as its default.
    names = (str(option.default), *(option.param_decls or ()))
    return next(name for name in names if name.startswith("--"))


def _names(parameters: Iterable[Parameter]) -> Iterator[str]:
    for one in parameters:
        declared = get_args(one.annotation)[1]
        if isinstance(declared, OptionInfo):
            yield _long_name(declared)
