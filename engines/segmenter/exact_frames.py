"""The frames shown at the exact instants, by random access to a finished file.

decord runs in a process of its own: it has another build of FFmpeg than ours. It is known to spin or hang on damaged
files, so it must be possible to kill it. Frame times are time stamps, never index ÷ rate. Files with unclean time
stamps are refused; keyframes (`keyframes.py`) are right for them, too.
"""

import json
import os
import re
import select
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kuaihl.engines.ingest.opening import STDIN, open_source, scheme_of
from kuaihl.engines.ingest.packets import packets
from kuaihl.engines.segmenter.frame_decoder import bound_size, turn_upright
from kuaihl.engines.types import SAME_TIME, Event, Frame
from kuaihl.models.errors import Remedy, SourceError, reason_of

_OPEN_SECONDS = 30.0  # to index a file, and …
_BYTES_PER_SECOND = 10e6  # … its size at this rate on top, for indexing reads all of it
_FRAMES_SECONDS = 30.0  # to decode a segment's frames
_END_TOLERANCE = 2.0  # seconds by which decord's end may differ from the container's
_KEYFRAMES = Remedy("take keyframes", {"frames": "keyframe"})


@dataclass(frozen=True)
class _Probe:
    """The facts that decord does not report; times in seconds on the stream's clock."""

    path: str
    first: float  # of the first frame
    origin: float  # where the stream's clock begins on the file's own
    end: float  # of the last frame
    seconds: float | None  # its length or its last time, according to its header
    size: tuple[int, int]  # width and height to decode to
    rotation: int


class ExactFrames:
    """A file's frames by their instants; a worker process runs until `close`. Raises SourceError."""

    def __init__(self, path: str | Path, *, timeout: float = _FRAMES_SECONDS) -> None:
        self.name = str(path)
        self.timeout = timeout
        self.probe = _probe_file(self.name)
        self.buffer = bytearray()
        self.complaints = tempfile.TemporaryFile()  # noqa: SIM115 - lives as long as the worker
        width, height = self.probe.size
        self.worker = subprocess.Popen(
            [sys.executable, "-m", "kuaihl.engines.segmenter.exact_frames", self.probe.path, str(width), str(height)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.complaints,
        )
        try:
            opened = self.read_answer(_OPEN_SECONDS + Path(self.probe.path).stat().st_size / _BYTES_PER_SECOND)
            self.check(opened)
        except BaseException:
            self.close()
            raise

    def check(self, opened: dict[str, Any]) -> None:
        """Raise SourceError unless decord's timeline is the file's."""
        seconds = self.probe.seconds
        if not opened["clean"]:
            raise SourceError(
                f"{self.name}: its time stamps repeat or restart, which rules out exact frames", remedy=_KEYFRAMES
            )
        end = self.probe.first + opened["seconds"]
        ends = [self.probe.end]
        if seconds is not None:  # counted from 0 or from the first time stamp
            ends.append(min(seconds, seconds - self.probe.origin, key=lambda promised: abs(promised - end)))
        if any(abs(end - other) > _END_TOLERANCE for other in ends):
            raise SourceError(
                f"{self.name}: cut off, damaged or changed midway, which rules out exact frames", remedy=_KEYFRAMES
            )

    def frames_at(self, instants: Sequence[float]) -> list[Frame]:
        """The frame shown at each instant, in seconds of the stream's clock; the first or last beyond the ends."""
        if self.worker.stdin is None or self.worker.stdin.closed:
            raise SourceError(f"{self.name}: exact frames are over for this file")
        wanted = [instant - self.probe.first + SAME_TIME for instant in instants]
        try:
            self.worker.stdin.write(json.dumps(wanted).encode() + b"\n")
            self.worker.stdin.flush()
        except OSError as error:
            raise SourceError(f"{self.name}: {self.last_words()}") from error
        found = self.read_answer(self.timeout)
        shape = tuple(found["shape"])
        images = np.frombuffer(self.receive_bytes(int(np.prod(shape)), self.timeout), np.uint8).reshape(shape)
        return [
            Frame(float(at) + self.probe.first, turn_upright(image, self.probe.rotation))
            for at, image in zip(found["times"], images, strict=True)
        ]

    def read_answer(self, seconds: float) -> dict[str, Any]:
        """The worker's next line. Raises SourceError if it complains, dies or hangs."""
        length = int.from_bytes(self.receive_bytes(4, seconds), "big")
        answer: dict[str, Any] = json.loads(self.receive_bytes(length, seconds))
        if "error" in answer:
            self.close()
            raise SourceError(f"{self.name}: exact frames cannot be had ({answer['error']})", remedy=_KEYFRAMES)
        return answer

    def receive_bytes(self, count: int, seconds: float) -> bytes:
        assert self.worker.stdout is not None
        deadline = time.monotonic() + seconds
        descriptor = self.worker.stdout.fileno()
        while len(self.buffer) < count:
            ready, _, _ = select.select([descriptor], [], [], max(0.0, deadline - time.monotonic()))
            if not ready:
                self.close()
                raise SourceError(f"{self.name}: decord did not answer within {seconds:.0f} s and was stopped")
            chunk = os.read(descriptor, 1 << 20)
            if not chunk:
                raise SourceError(f"{self.name}: {self.last_words()}")
            self.buffer += chunk
        data = bytes(self.buffer[:count])
        del self.buffer[:count]
        return data

    def last_words(self) -> str:
        self.close(keep_complaints=True)
        self.complaints.seek(0)
        lines = self.complaints.read().decode(errors="replace").strip().splitlines()
        self.complaints.close()
        return f"decord gave up ({reason_of(lines[-1]) if lines else 'without a word'})"

    def close(self, *, keep_complaints: bool = False) -> None:
        """Idempotent; the worker is gone afterwards, whatever it was doing."""
        self.worker.kill()
        self.worker.wait()
        for pipe in (self.worker.stdin, self.worker.stdout):
            if pipe is not None:
                with suppress(OSError):  # unwritten data has no reader any more
                    pipe.close()
        if not keep_complaints:
            self.complaints.close()

    def __enter__(self) -> "ExactFrames":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def exact_frames(path: str | Path, instants: Sequence[float]) -> list[Frame]:
    """The frames of a finished file shown at the instants, in seconds of the stream's clock. Raises SourceError."""
    with ExactFrames(path) as frames:
        return frames.frames_at(instants)


def _probe_file(name: str) -> _Probe:
    """Open the file with FFmpeg and decode its first frame. Raises SourceError if random access is impossible."""
    import av

    if name == STDIN or scheme_of(name) not in (None, "file") or not Path(name).is_file():
        raise SourceError(f"{name}: exact frames need a finished file")
    with open_source(name) as source:
        if source.video is None:
            raise SourceError(f"{name}: has no video to take frames from")
        try:
            frame = next(source.container.decode(source.video))
        except (av.FFmpegError, StopIteration) as error:
            raise SourceError(f"{name}: its video cannot be decoded from the start") from error
        origin, end = _place_on_clock(name)
        first = 0.0 if frame.time is None else frame.time - origin
        size = bound_size(frame.width, frame.height)
        return _Probe(str(Path(name).absolute()), first, origin, end, source.promised, size, frame.rotation)


def _place_on_clock(name: str) -> tuple[float, float]:
    """Where the stream's clock begins on the file's own, and where its video ends; demuxes the file once.

    Raises SourceError if the time stamps jump: decord would count the seconds otherwise than the stream's clock.
    """
    origin, end = None, 0.0
    with open_source(name) as source:
        for item in packets(source):
            if isinstance(item, Event) or item.kind != "video":
                continue
            own = item.media_time - item.time
            origin = own if origin is None else origin
            if abs(own - origin) > SAME_TIME:
                raise SourceError(f"{name}: its time stamps jump, which rules out exact frames", remedy=_KEYFRAMES)
            end = max(end, item.time + item.duration)
    return origin or 0.0, end


def work(path: str, width: int, height: int) -> None:
    """The worker: opens the file, then answers each line of instants with times and pixels, until its input ends."""
    replies = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # decord's own output must not mix with the replies
    try:
        import decord  # type: ignore[import-untyped]

        reader = decord.VideoReader(path, ctx=decord.cpu(0), width=width, height=height, num_threads=1)
        spans = np.asarray(reader.get_frame_timestamp(list(range(len(reader)))), np.float64)  # [frames, 2] seconds
    except Exception as error:
        _send_reply(replies, {"error": _decord_reason(error)})
        return
    starts: NDArray[np.float64] = spans[:, 0] - spans[0, 0]
    clean = bool((np.diff(starts) > 0).all())
    _send_reply(replies, {"clean": clean, "seconds": float(spans[-1, 1] - spans[0, 0])})
    for line in sys.stdin.buffer:
        indices = np.searchsorted(starts, np.asarray(json.loads(line)), "right") - 1
        indices = indices.clip(0, len(starts) - 1)
        try:
            images = reader.get_batch(indices.tolist()).asnumpy()
        except Exception as error:
            _send_reply(replies, {"error": _decord_reason(error)})
            return
        _send_reply(replies, {"times": starts[indices].tolist(), "shape": images.shape})
        replies.write(np.ascontiguousarray(images, np.uint8).tobytes())
        replies.flush()


def _send_reply(replies: Any, answer: dict[str, Any]) -> None:
    data = json.dumps(answer).encode()
    replies.write(len(data).to_bytes(4, "big") + data)
    replies.flush()


def _decord_reason(error: Exception) -> str:
    """A readable reason: decord's own lines begin with its clock and the places in its source."""
    if isinstance(error, ImportError):
        return "decord is not installed: pip install decord"
    said, _, _ = str(error).strip().partition("\n")  # a stack trace follows
    return reason_of(re.sub(r"\[[\d:]+\] \S+:\d+: ", "", said) or error)


if __name__ == "__main__":
    work(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
