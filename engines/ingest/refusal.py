"""Why a source cannot be opened: a readable reason, a remedy, and whether waiting may help."""

import errno

from kuaihl.models.credentials import mask_credentials
from kuaihl.models.errors import Remedy, SourceError, SourceUnavailable

# The system's errors if a network is down. FFmpeg returns EIO if a name is not found or a server hangs up, and EPERM
# (its bare -1) for anything that an RTMP server refuses: a room that is not on air.
_PASSING = frozenset({errno.EIO, errno.EPERM, errno.EHOSTUNREACH, errno.ENETUNREACH, errno.ENETDOWN})
_ON_AIR = "check the address, and that the stream is on air"


def refusal(name: str, error: Exception, *, is_url: bool) -> SourceError:
    """A readable error for one of FFmpeg or the system; SourceUnavailable if a URL may open later."""
    passes = is_url and _may_pass(error)
    advice = _advice_online(error) if passes else open_advice(error)
    kind = SourceUnavailable if passes else SourceError
    return kind(f"{name}: {advice}", remedy=_more_time(error))


def lacks_protocol(error: SourceError) -> bool:
    """Whether a source cannot be opened because this build of FFmpeg lacks its protocol."""
    from av.error import ProtocolNotFoundError

    return isinstance(error.__cause__, ProtocolNotFoundError)


def cause(error: Exception) -> Exception:
    """The error without the credentials of the URL that FFmpeg puts into it, for a traceback."""
    from av import FFmpegError

    if not isinstance(error, FFmpegError):
        return error
    return type(error)(error.errno or 0, error.strerror or "", mask_credentials(str(error.filename or "")))


def _may_pass(error: Exception) -> bool:
    """Whether a URL that cannot be opened now may open later: it is silent, not on air, or its server is in trouble."""
    from av import error as ffmpeg

    passing = (
        ConnectionError,
        TimeoutError,
        EOFError,
        ffmpeg.ExitError,
        ffmpeg.HTTPNotFoundError,
        ffmpeg.HTTPTooManyRequestsError,
        ffmpeg.HTTPOtherClientError,
        ffmpeg.HTTPServerError,
    )
    return isinstance(error, passing) or getattr(error, "errno", None) in _PASSING


def _more_time(error: Exception) -> Remedy | None:
    """The remedy if nothing came in time."""
    from av.error import ExitError

    return Remedy("if it is, wait longer", {"timeout": None}) if isinstance(error, (ExitError, TimeoutError)) else None


def _advice_online(error: Exception) -> str:
    """The cause and the advice if a URL cannot be opened now: FFmpeg's error number says little there."""
    match getattr(error, "errno", None):
        case errno.EPERM:
            return f"the server refuses it; {_ON_AIR}"
        case errno.EIO:
            return f"the server is not found, stays silent, hangs up or leads elsewhere; {_ON_AIR}"
        case errno.EHOSTUNREACH | errno.ENETUNREACH | errno.ENETDOWN:
            return f"no connection ({getattr(error, 'strerror', None) or error}); {_ON_AIR}"
        case _:
            return open_advice(error)


def open_advice(error: Exception) -> str:
    """The cause and the advice for an error of FFmpeg or the system on opening a source."""
    from av import error as ffmpeg

    match error:
        case FileNotFoundError():
            return "no such file; check the name"
        case PermissionError():
            return "no permission to read it; check its owner and mode"
        case ffmpeg.HTTPError() | ffmpeg.HTTPClientError():
            return f"the server refuses it ({error.strerror}); {_ON_AIR}"
        case ffmpeg.ExitError() | TimeoutError():
            return "no data came in time; check that the stream is on air"
        case ConnectionError():
            return f"no connection ({error.strerror}); {_ON_AIR}"
        case ffmpeg.ProtocolNotFoundError():
            return "this build of FFmpeg lacks that protocol; record the stream with another tool and pipe it in"
        case ffmpeg.InvalidDataError() | EOFError() | ffmpeg.EOFError():
            return "not media that FFmpeg can read: damaged from the start, cut off, or no audio or video at all"
        case _:
            return f"cannot be read ({getattr(error, 'strerror', None) or error})"
