"""Defaults of options from a TOML file with a table per command: `[score]` / `device = "cuda"`."""

import tomllib
from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from os import environ
from pathlib import Path
from typing import Any

import typer

from kuaihl.models.errors import UsageError, reason_of

_NOT_IN_A_FILE = {"help", "config", "debug"}  # they are read before the file is


def use_config(ctx: typer.Context, path: Path | None) -> Path | None:
    """An eager option's callback: read the named file, else the usual one, and set the command's defaults.

    Raises UsageError if a named file is missing, is not TOML, or has an unknown key or table.
    """
    if not ctx.resilient_parsing and (path is not None or _usual_path().is_file()):
        ctx.default_map = _defaults_of(ctx, path or _usual_path())
    return path


def _usual_path() -> Path:
    """`kuaihl/config.toml` under the XDG configuration folder."""
    return Path(environ.get("XDG_CONFIG_HOME") or Path.home() / ".config") / "kuaihl" / "config.toml"


def _read_config(path: Path) -> dict[str, Any]:
    """The file's tables. Raises UsageError if it cannot be read or is not TOML."""
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:  # not UTF-8, not TOML, a number of thousands of digits, too deep
        raise UsageError(f"{path} is not valid TOML: {reason_of(error)}") from error
    except OSError as error:
        raise UsageError(f"{path}: the configuration cannot be read ({error.strerror}); name another file") from error


def _defaults_of(ctx: typer.Context, path: Path) -> dict[str, Any]:
    """The defaults of the context's command, by parameter. Raises UsageError for an unknown key or table."""
    parent = ctx.parent
    if parent is None:
        return _read_config(path)
    table = _defaults_of_group(parent, path).get(ctx.info_name or "", {})
    return _by_parameter(ctx, path, table)


def _defaults_of_group(ctx: Any, path: Path) -> Mapping[str, Any]:
    """The tables below a group of commands, `[dataset.build]` below `dataset`. Raises UsageError."""
    tables = _read_config(path) if ctx.parent is None else _defaults_of_group(ctx.parent, path)[ctx.info_name or ""]
    place = ".".join(ctx.command_path.split()[1:])
    known = ctx.command.list_commands(ctx)  # it is a group
    for name, found in tables.items():
        full = f"{place}.{name}" if place else name
        if name not in known:
            what = f"table [{full}]" if isinstance(found, dict) else f"key {full}"
            raise UsageError(f"{path}: nothing reads the {what}; {_suggest(name, known, 'there are tables for')}")
        if not isinstance(found, dict):
            raise UsageError(f"{path}: {full} is a command; give its options in a table [{full}]")
    return {name: {} for name in known} | tables


def _by_parameter(ctx: typer.Context, path: Path, table: Mapping[str, Any]) -> dict[str, Any]:
    """A command's table by the names of its parameters; keys are options, with - or _."""
    known: dict[str, str] = {}
    for one in ctx.command.params:
        if one.param_type_name == "option" and one.name and one.name not in _NOT_IN_A_FILE:
            known |= {option.lstrip("-").replace("-", "_"): one.name for option in one.opts if option[:2] == "--"}
    parameters = set(known.values())  # their names are keys as well: `formats` was one before `format`
    defaults = {}
    for key, value in table.items():
        name = key.replace("-", "_")
        if name not in known and name not in parameters:
            place = ".".join(ctx.command_path.split()[1:])
            raise UsageError(f"{path}: [{place}] has no option {key}; {_suggest(name, known, 'its options are')}")
        defaults[known.get(name, name)] = value
    return defaults


def _suggest(name: str, known: Iterable[str], otherwise: str) -> str:
    """`did you mean X?` if a known name is near, else all of them."""
    names = list(known)
    close = get_close_matches(name, names, 1)
    return f"did you mean {close[0]}?" if close else f"{otherwise} {', '.join(names)}"
