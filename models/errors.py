"""Every error that is meant for a person: one line that says what is wrong, with which file, and what to do.

`str(error)` addresses a caller in Python. The command words the same error again from its typed parts, with its own
options and commands: kuaihl_cli/terminal/errors.py.
"""

from collections.abc import Mapping
from copy import copy
from dataclasses import dataclass, field
from typing import Self

from kuaihl.models.credentials import mask_credentials


@dataclass(frozen=True)
class Remedy:
    """The remedy for an error: in plain words, and by name for callers with options or commands to offer.

    Without a `command`, `settings` are those of the call that failed. A setting's value is the one to give: True for a
    switch, None if only the reader knows it.
    """

    words: str  # "give a longer recording"
    settings: Mapping[str, str | bool | None] = field(default_factory=dict)
    command: str = ""  # "export", "dataset validate"
    arguments: tuple[str, ...] = ()  # of the command


class KuaihlError(Exception):
    """Base of all errors that kuaihl words for people; `exit_code` is the command's exit status.

    `setting` names the wrong argument and `value` is the value given for it; the message begins with both. URLs are
    shown without their credentials.
    """

    exit_code = 1

    def __init__(
        self, message: str, *, setting: str = "", value: str | float | None = None, remedy: Remedy | None = None
    ) -> None:
        super().__init__(mask_credentials(message))
        self.setting = setting
        self.value = value
        self.remedy = remedy
        self.place = ""  # where the error came up; first in the line

    def __str__(self) -> str:
        return self.line(self.subject, self.remedy.words if self.remedy else "")

    @property
    def subject(self) -> str:
        """The subject of the message, as Python writes it: `device 'cuda:9'`."""
        return self.setting if self.value is None else f"{self.setting} {self.value!r}"

    def line(self, subject: str, remedy: str) -> str:
        """The whole line, with subject and remedy in the caller's words."""
        message = ": ".join(part for part in (self.place, subject, str(self.args[0])) if part)
        return mask_credentials(f"{message}; {remedy}" if remedy else message)

    def within(self, place: str) -> Self:
        """The same error, reported for `place`: a file, or the work in progress."""
        told = copy(self)
        told.place = f"{place}: {self.place}" if self.place else place
        return told


class UsageError(KuaihlError):
    """The request cannot be met: an option, a value, a missing optional package."""

    exit_code = 2


class SourceError(KuaihlError):
    """The input cannot be read: it is missing, not media, damaged beyond use or unreachable."""

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
    """A library error's message on one line of at most `longest` characters, for a message of ours."""
    line = " ".join(str(error).split()) or type(error).__name__
    return line if len(line) <= longest else line[: longest - 1] + "…"
