"""A command that runs for each highlight: its data as variables, and the whole event on standard input."""

import os
import shlex
import shutil
import signal
import subprocess
from contextlib import suppress
from tempfile import TemporaryFile
from typing import IO, Any

from kuaihl.engines.sinks.delivery import Refused
from kuaihl.engines.sinks.spool import Waiting
from kuaihl.models.errors import UsageError, reason_of

_LONGEST_TEXT = 8192  # characters of a variable; standard input has them all


class Command:
    """Runs without a shell; what it prints is dropped, save its last line if it fails."""

    def __init__(self, words: str, *, timeout: float = 60.0, folder: str | None = None) -> None:
        """`words` are split as a shell would, and the first must be a program. Raises UsageError if it is none."""
        try:
            self._words = shlex.split(words)
        except ValueError as error:
            raise UsageError(f"cannot be split into words ({error})", setting="on_highlight", value=words) from error
        if not self._words or shutil.which(self._words[0]) is None:
            raise UsageError("names no program that can be run", setting="on_highlight", value=words)
        self.name = f"command {self._words[0]}"
        self._timeout, self._folder = timeout, folder

    def send(self, waiting: Waiting) -> None:
        environment = os.environ | highlight_variables(waiting.id, waiting.event["data"], self._folder)
        with TemporaryFile() as told:
            try:
                process = subprocess.Popen(
                    self._words,
                    stdin=subprocess.PIPE,
                    stdout=subprocess.DEVNULL,
                    stderr=told,
                    env=environment,
                    start_new_session=True,  # Ctrl-C ends the run, and lets this finish
                )
            except OSError as error:
                raise Refused(f"cannot be run ({error.strerror})") from error
            try:
                process.communicate(waiting.to_json().encode("utf-8", "replace"), timeout=self._timeout)
            except subprocess.TimeoutExpired:
                raise Refused(f"took longer than {self._timeout:g} s, and was ended") from None
            finally:
                with suppress(OSError):
                    os.killpg(process.pid, signal.SIGKILL)  # with what it has left running
                process.wait()
            if process.returncode:
                raise Refused(f"ended with code {process.returncode}{_last_line(told)}")

    def close(self) -> None:
        pass


def highlight_variables(id: str, data: dict[str, Any], folder: str | None) -> dict[str, str]:
    """A closed highlight as variables; those with a longer name than KUAIHL_X set no option of a command of ours."""
    values = {
        "ID": id,
        "ROOM": data["room"],
        "SOURCE": data["source"],
        "START": data["start"],
        "END": data["end"],
        "SCORE": data["score"],
        "TEXT": data["text"][:_LONGEST_TEXT],
        "FOLDER": folder or "",
    }
    return {f"KUAIHL_HIGHLIGHT_{name}": str(value).replace("\0", "") for name, value in values.items()}


def _last_line(file: IO[bytes]) -> str:
    size = file.seek(0, os.SEEK_END)
    file.seek(max(0, size - 4096))
    lines = file.read().decode("utf-8", "replace").split("\n")
    words = next((line for line in reversed(lines) if line.strip()), "")
    return f": {reason_of(words)}" if words else ""
