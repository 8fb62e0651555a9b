"""An error in the words of the command line: a setting becomes an option, a remedy an option or a command to type."""

import shlex
from collections.abc import Callable, Mapping
from contextvars import ContextVar

from kuaihl.models.errors import KuaihlError, Remedy

# The options of the running command, with their dashes; messages name only those.
OPTIONS: ContextVar[frozenset[str]] = ContextVar("options", default=frozenset())


def error_words(error: KuaihlError | str) -> str:
    """One line: `--device cuda:9: give auto, cpu, cuda or cuda:N`. Other settings keep their words."""
    if isinstance(error, str):
        return error
    option = _option_of(error.setting)
    if option not in OPTIONS.get():
        return error.line(error.subject, remedy_words(error.remedy))
    return error.line(option if error.value is None else f"{option} {error.value}", remedy_words(error.remedy))


def worded(say: Callable[[str], None]) -> Callable[[KuaihlError | str], None]:
    """`say`, for engines that report handled errors."""
    return lambda notice: say(error_words(notice))


def remedy_words(remedy: Remedy | None) -> str:
    """`compile it: kuaihl export BUNDLE --to onnx`, or `give a longer recording (--sample)`."""
    if remedy is None:
        return ""
    typed = " ".join(_option_words(remedy.settings))
    if remedy.command:
        arguments = " ".join(map(shlex.quote, remedy.arguments))
        return " ".join(part for part in (f"{remedy.words}: kuaihl {remedy.command}", arguments, typed) if part)
    known = all(_option_of(name) in OPTIONS.get() for name in remedy.settings)
    return f"{remedy.words} ({typed})" if typed and known else remedy.words


def _option_words(settings: Mapping[str, str | bool | None]) -> list[str]:
    """Settings as options; a switch, or one whose value only the reader knows, is written without a value."""
    return [
        _option_of(name) if value in (True, None) else f"{_option_of(name)} {value}" for name, value in settings.items()
    ]


def _option_of(setting: str) -> str:
    """`--comments-offset` for comments_offset."""
    return "--" + setting.replace("_", "-")
