"""`--log-file` and `--log-level`: events with their times, in a file or on standard error."""

import logging
import sys
from pathlib import Path

from kuaihl.models.credentials import mask_credentials
from kuaihl.models.errors import UsageError

_LINE = "%(asctime)s %(levelname)s %(name)s: %(message)s"


def start_log(file: Path | None, level: str | None) -> None:
    """Log to `file`, or to standard error if only a level is given; do nothing if neither is.

    Raises UsageError if the file cannot be written.
    """
    if file is None and level is None:
        return
    try:
        handler = logging.StreamHandler(sys.stderr) if file is None else logging.FileHandler(file, encoding="utf-8")
    except OSError as error:
        raise UsageError(f"{file}: cannot be written ({error.strerror}); choose another file for the log") from error
    handler.setFormatter(_MaskedLines(_LINE))
    logging.basicConfig(level=(level or "info").upper(), handlers=[handler], force=True)
    logging.captureWarnings(True)


class _MaskedLines(logging.Formatter):
    """Entries, with their tracebacks, in which URLs are without credentials."""

    def format(self, record: logging.LogRecord) -> str:
        return mask_credentials(super().format(record))
