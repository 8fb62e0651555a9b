"""Lines for users on standard error; each is also logged."""

import logging
import os
import re
import sys

from kuaihl.models.credentials import mask_credentials

LOG = logging.getLogger("kuaihl")
LOG.addHandler(logging.NullHandler())  # without a log nothing is printed twice


# They move the cursor, or turn text around.
CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069]")


def say(line: str) -> None:
    """Print a line on standard error and log it; URLs lose their credentials, and control characters are left out."""
    line = CONTROL.sub(" ", mask_credentials(line))
    sys.stderr.write(f"{line}\n")  # in one piece: rooms speak from threads of their own
    sys.stderr.flush()
    LOG.info(line)


def log_only(line: str) -> None:
    """Log a line that `--quiet` keeps from the terminal."""
    LOG.info(line)


def is_main_process() -> bool:
    """Whether this process, among those that a launcher started, is the one that writes."""
    return os.environ.get("RANK", "0") == "0"
