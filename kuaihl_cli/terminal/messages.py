"""Lines for people on standard error; the log hears of each, too."""

import logging
import os
import sys

LOG = logging.getLogger("kuaihl")
LOG.addHandler(logging.NullHandler())  # without a log nothing is printed twice


def say(line: str) -> None:
    """Print a line on standard error and log it."""
    print(line, file=sys.stderr, flush=True)
    LOG.info(line)


def log_only(line: str) -> None:
    """Log a line that `--quiet` keeps from the terminal."""
    LOG.info(line)


def is_main_process() -> bool:
    """Whether this is the process that writes, of those that a launcher started."""
    return os.environ.get("RANK", "0") == "0"
