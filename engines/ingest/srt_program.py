"""SRT through the ffmpeg program, for the FFmpeg in PyAV's wheels lacks it. Its bytes come as they were sent."""

import errno
import os
import shutil
import subprocess
import tempfile
from contextlib import suppress

from kuaihl.engines.ingest.timeouts import PipeReader
from kuaihl.models.errors import SourceError, SourceUnavailable, reason_of

_GRACE = 2.0  # seconds by which our own watch is later than the program's time-out
_END_SECONDS = 2.0


class SrtProgram:
    """The bytes behind an SRT address. If this process is killed, the program ends with its next write or time-out."""

    size = 0  # unknown, as of any live stream

    def __init__(self, name: str, url: str, timeout: float) -> None:
        """`timeout`: seconds without data after which reading fails.

        Raises SourceError if there is no such program, SourceUnavailable if it cannot be started at present.
        """
        program = shutil.which("ffmpeg")
        if program is None:
            raise SourceError(f"{name}: SRT needs the ffmpeg program, which is not on the path; install it")
        self._complaints = tempfile.TemporaryFile()  # noqa: SIM115 - lives as long as the program
        asked = ["-f", "data", "-protocol_whitelist", "srt,udp", "-timeout", str(int(timeout * 1_000_000)), "-i", url]
        try:
            self._process = subprocess.Popen(
                [program, "-nostdin", "-loglevel", "error", *asked, "-map", "0", "-c", "copy", "-f", "data", "pipe:1"],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=self._complaints,
                start_new_session=True,  # Ctrl-C is for us
            )
        except OSError as error:  # no more processes or files
            self._complaints.close()
            raise SourceUnavailable(f"{name}: the ffmpeg program cannot be started ({error.strerror})") from error
        assert self._process.stdout is not None
        self._pipe = PipeReader(os.dup(self._process.stdout.fileno()), timeout + _GRACE)
        self._process.stdout.close()
        self._has_come = False

    def read(self, size: int) -> bytes:
        """Up to `size` bytes; empty at the end.

        Raises TimeoutError if nothing comes, and before the first byte ConnectionError or ProtocolNotFoundError.
        """
        data = self._pipe.read(size)
        if not data and not self._has_come:
            from av.error import ProtocolNotFoundError

            complaint = self._complaint()
            if "Protocol not found" in complaint:
                raise ProtocolNotFoundError(0, complaint)
            says_little = complaint in ("", os.strerror(errno.EIO))
            raise ConnectionRefusedError(0, "nobody answers" if says_little else complaint)
        self._has_come = True
        return data

    def _complaint(self) -> str:
        """The program's own, which names the address at its beginning, without it."""
        self._complaints.seek(0)
        lines = self._complaints.read().decode(errors="replace").strip().splitlines()
        return reason_of(lines[-1].rpartition(": ")[2]) if lines else ""

    def close(self) -> None:
        self._process.kill()
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(_END_SECONDS)
        self._pipe.close()
        self._complaints.close()
