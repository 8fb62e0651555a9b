"""Every error that is meant for a person: one line that says what is wrong, with which file, and what to do."""


class KuaihlError(Exception):
    """Base of all errors that kuaihl words for people; `exit_code` is what the command ends with."""

    exit_code = 1


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


def reason_of(error: Exception, longest: int = 120) -> str:
    """What an error of a library says, on one line and cut to `longest` characters, for a message of ours."""
    return " ".join(str(error).split())[:longest]
