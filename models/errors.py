"""Every error that is meant for a person: one line that says what is wrong, with which file, and what to do.

`str(error)` speaks to a caller in Python. The command words the same error anew from its typed parts, with the options
and commands of its own: kuaihl_cli/terminal/errors.py.
"""

from collections.abc import Mapping
from copy import copy
from dataclasses import dataclass, field
from typing import Self


@dataclass(frozen=True)
class Remedy:
    """What mends an error: in plain words, and by name for whoever has options or commands to offer.

    Without a `command`, `settings` are those of the call that failed. A setting's value is what to give it: True for a
    switch, None if only the reader knows.
    """

    words: str  # "give a longer recording"
    settings: Mapping[str, str | bool | None] = field(default_factory=dict)
    command: str = ""  # "export", "dataset validate"
    arguments: tuple[str, ...] = ()  # the command's


class KuaihlError(Exception):
    """Base of all errors that kuaihl words for people; `exit_code` is what the command ends with.

    `setting` names the argument that is wrong, `value` is what was given for it; the message begins with both.
    """

    exit_code = 1

    def __init__(
        self, message: str, *, setting: str = "", value: str | float | None = None, remedy: Remedy | None = None
    ) -> None:
        super().__init__(message)
        self.setting = setting
        self.value = value
        self.remedy = remedy
        self.place = ""  # where it came up, before all else in the line

    def __str__(self) -> str:
        return self.line(self.subject, self.remedy.words if self.remedy else "")

    @property
    def subject(self) -> str:
        """What the message is about, as Python has it: `device 'cuda:9'`."""
        return self.setting if self.value is None else f"{self.setting} {self.value!r}"

    def line(self, subject: str, remedy: str) -> str:
        """The whole line, with what is wrong and what mends it put as the caller has worded them."""
        message = ": ".join(part for part in (self.place, subject, str(self.args[0])) if part)
        return f"{message}; {remedy}" if remedy else message

    def within(self, place: str) -> Self:
        """The same error, told of `place`: a file, or what was being done."""
        told = copy(self)
        told.place = f"{place}: {self.place}" if self.place else place
        return told


class UsageError(KuaihlError):
    """What was asked for cannot be: an option, a value, a missing optional package."""

    exit_code = 2


class SourceError(KuaihlError):
    """The input cannot be read: not there, not media, damaged beyond use, unreachable."""

    exit_code = 3


class SourceUnavailable(SourceError):
    """A source does not answer, or is not live yet: the same call may succeed later."""


class DataError(KuaihlError):
    """A data set cannot be used: a room missing, features that are not finite, labels outside [0, 1]."""

    exit_code = 3


class ModelError(KuaihlError):
    """A model or its weights cannot be used: missing, corrupt, of another version."""

    exit_code = 4


class BatchError(KuaihlError):
    """Some items of a batch failed; the others are done."""

    exit_code = 5


def reason_of(error: BaseException | str, longest: int = 200) -> str:
    """What an error of a library says, on one line of at most `longest` characters, for a message of ours."""
    line = " ".join(str(error).split()) or type(error).__name__
    return line if len(line) <= longest else line[: longest - 1] + "…"
