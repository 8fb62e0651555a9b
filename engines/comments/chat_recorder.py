"""The chat of a video's page, which yt-dlp writes to a file in a process of its own. It is never imported here.

While it writes, the file's name ends in .part, and each batch of messages is flushed. It appends to such a file.
"""

import re
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from types import TracebackType
from typing import Self

from kuaihl.models.credentials import mask_credentials, shown_source
from kuaihl.models.errors import SourceError, UsageError, reason_of

_WHOLE = "comments.live_chat.json"
_RECORD = (
    "yt-dlp --ignore-config --quiet --no-warnings --no-progress --skip-download --no-playlist --playlist-items 1 "
    "--ignore-no-formats-error --write-subs --sub-langs live_chat --output comments --"
)
_FETCH = _RECORD.replace("yt-dlp", "yt-dlp --match-filters !is_live")
_NOTHING = "yt-dlp finds none there; it knows YouTube's alone"
_LOOK_SECONDS = 0.2
_STEADY_SECONDS = 30.0  # after which a silent recorder is taken to work
_FIRST_DELAY, _LONGEST_DELAY = 2.0, 120.0  # seconds before it is started again
_END_SECONDS = 5.0  # to end when asked to


def is_page(name: object) -> bool:
    """Whether comments are named by the URL of a page, not by a file or an object in a store."""
    return isinstance(name, str) and re.match("https?://", name, re.IGNORECASE) is not None


def check_recorder() -> None:
    """Raise UsageError if yt-dlp is not installed."""
    if find_spec("yt_dlp") is None:
        raise UsageError("the chat of a page's URL needs yt-dlp: pip install 'kuaihl[chat]'")


def download_chat(url: str, folder: Path, stop: threading.Event) -> Path | None:
    """The file of a finished video's whole chat; None if `stop` was set before it was whole.

    Raises UsageError without yt-dlp, SourceError if there is no such chat, or not all of it comes.
    """
    check_recorder()
    with _YtDlp(_FETCH, url, folder) as child:
        while child.is_running:
            if stop.wait(_LOOK_SECONDS):
                return None
        whole = folder / _WHOLE
        if not whole.exists():
            reason = child.complaint or f"{_NOTHING}, and of a recording only once the broadcast is over"
            raise SourceError(f"{shown_source(url)}: its chat cannot be fetched whole: {reason}")
        return whole


class ChatRecorder:
    """Has a live chat written to `path` from `start` to `close`; a recorder that ends is started again."""

    def __init__(self, url: str, folder: Path) -> None:
        """Raises UsageError without yt-dlp."""
        check_recorder()
        self._url, self._folder = url, folder
        self._whole = folder / _WHOLE
        self.path = folder / f"{_WHOLE}.part"
        self.fault = ""  # why nothing is recorded at present
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._keep_recording, name="kuaihl-chat", daemon=True)

    def start(self) -> None:
        """Begin. The file is there then, with what an earlier recorder wrote into the folder."""
        self._bring_back()
        with suppress(OSError):
            self._folder.mkdir(parents=True, exist_ok=True)
            self.path.touch()
        self._thread.start()

    def close(self) -> None:
        """End, and give the file the name of a whole one. Idempotent; without a start it leaves the folder alone."""
        self._stop.set()
        if self._thread.ident is None:
            return
        self._thread.join()
        with suppress(OSError):
            for torn in self._folder.glob(self.path.name + "-Frag*"):
                torn.unlink()
            if self.path.stat().st_size:
                self.path.replace(self._whole)
            else:
                self.path.unlink()

    def _bring_back(self) -> None:
        """Have the next recorder append to what an ended one has written."""
        with suppress(OSError):
            if not self.path.exists():
                self._whole.rename(self.path)
            with self.path.open("rb+") as file:
                file.seek(-1, 2)
                if file.read(1) != b"\n":  # it was killed while it wrote
                    file.write(b"\n")

    def _keep_recording(self) -> None:
        delay = _FIRST_DELAY
        while not self._stop.is_set():
            began = time.monotonic()
            try:
                self.fault = self._record()
            except (OSError, ValueError) as error:  # ValueError: a NUL in the URL
                self.fault = reason_of(error)
            if time.monotonic() - began > _STEADY_SECONDS:
                delay = _FIRST_DELAY
            self._stop.wait(delay)
            delay = min(2 * delay, _LONGEST_DELAY)

    def _record(self) -> str:
        """Record until the recorder ends; why it ended. Raises OSError."""
        before, began = self._size(), time.monotonic()
        with _YtDlp(_RECORD, self._url, self._folder) as child:
            while child.is_running and not self._stop.wait(_LOOK_SECONDS):
                if self._size() > before or time.monotonic() - began > _STEADY_SECONDS:
                    self.fault = ""
            self._bring_back()
            silence = "the chat has ended" if self._size() > before else _NOTHING
            return child.complaint or silence

    def _size(self) -> int:
        try:
            return self.path.stat().st_size
        except FileNotFoundError:  # whole, and renamed
            return 0


class _YtDlp:
    """A process that writes the chat of a URL into a folder, until its block is left."""

    def __init__(self, command: str, url: str, folder: Path) -> None:
        self._complaints = tempfile.TemporaryFile()  # noqa: SIM115 - lives as long as the process
        # -P: the folder, in which the process runs, is no place for modules. A session of its own: Ctrl-C is for us.
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", "kuaihl.engines.comments.chat_process", *command.split()[1:], url],
            cwd=folder,
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=self._complaints,
            start_new_session=True,
        )

    @property
    def is_running(self) -> bool:
        return self._process.poll() is None

    @property
    def complaint(self) -> str:
        """Its latest one, without credentials; empty if there is none."""
        self._complaints.seek(0)
        lines = self._complaints.read().decode(errors="replace").strip().splitlines()
        return reason_of(mask_credentials(f"yt-dlp: {lines[-1].removeprefix('ERROR: ')}")) if lines else ""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.terminate()
        try:
            self._process.wait(_END_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._complaints.close()
