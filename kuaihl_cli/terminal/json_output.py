"""JSON on standard output: UTF-8 whatever the terminal's encoding is, as programs that read it expect."""

import sys


def print_document(text: str) -> None:
    """Print a JSON document. Names that are not UTF-8 lose the characters that it cannot hold, as in files."""
    sys.stdout.flush()
    sys.stdout.buffer.write(text.removesuffix("\n").encode("utf-8", "replace") + b"\n")
    sys.stdout.buffer.flush()
