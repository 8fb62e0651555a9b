"""A stream of packets goes in, 30 s segments come out: three frames, 16 kHz mono sound, comments, faults.

Little is decoded: all of the sound, but only the nearest video keyframe before each of three evenly spaced instants
(DESIGN, section 3). Memory stays the same however long the stream is.
"""

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace

from kuaihl.engines.ingest.packets import TimedPacket
from kuaihl.engines.segmenter.audio import AudioDecoder
from kuaihl.engines.segmenter.frame_decoder import FrameDecoder
from kuaihl.engines.segmenter.keyframes import MAX_HELD_BYTES, SETTLED, FrameRequest, KeyframeSelector
from kuaihl.engines.types import (
    FRAMES_PER_SEGMENT,
    SAME_TIME,
    SEGMENT_SECONDS,
    CommentFeed,
    Event,
    Frame,
    FrameFinder,
    SeekPoint,
    Segment,
)
from kuaihl.models.errors import SourceError

_MIN_SECONDS = 1.0  # of the stream's last segment; a shorter one is left out, unless it is all there is
_KEYFRAME_SPACING = 0.4  # seconds: a camera's stream may be nothing but keyframes, and all that are noted are kept
LAG = 5.0  # seconds by which one stream may trail the other before it is no longer waited for


def segments(
    stream: Iterable[TimedPacket | Event],
    *,
    segment_seconds: float = SEGMENT_SECONDS,
    exact: FrameFinder | None = None,
    comments: CommentFeed | None = None,
    start: float = 0.0,
    end: float | None = None,
    first: int = 0,
    locate: Callable[[TimedPacket], int | None] | None = None,
    rests: bool = False,
) -> Iterator[Segment]:
    """Cut the stream from `start` on, in seconds of its clock, to `end` if it goes on for that long.

    `exact` replaces the keyframes with the frames shown at the exact instants. `first` is the number of the first
    segment, which begins that many segments behind `start`. `locate` tells at which byte of a file a keyframe begins.
    `rests`: the stream is slow, so memory between the frames counts for more than the time to open a decoder, or than
    the nearest keyframes of a last segment that is shorter.

    Every segment is `segment_seconds` long except the last, which ends with the stream. A rest at the end is left out
    if it is shorter than MIN_SECONDS. A segment comes out as soon as the streams are MIN_SECONDS beyond its end and
    its frames are decoded.
    """
    cutter = _Cutter(segment_seconds, exact, comments, start, end, first, locate, rests=rests)
    with cutter.worker:
        for item in stream:
            if isinstance(item, Event):
                cutter.event(item)
                continue
            cutter.push(item)
            while item.decode_time >= cutter.enough and cutter.is_complete():
                yield from cutter.collect()
                cutter.cut(segment_seconds)
            if cutter.pending is not None and cutter.pending.is_done():
                yield from cutter.collect()
        yield from cutter.finish()


@dataclass(frozen=True)
class _PendingSegment:
    """A segment that lacks only its frames, which are being decoded."""

    segment: Segment
    frames: list[Future[Frame | None]]

    def is_done(self) -> bool:
        return all(frame.done() for frame in self.frames)


class _Cutter:
    """The segment in the making, and the one whose frames are being decoded."""

    def __init__(
        self,
        length: float,
        exact: FrameFinder | None,
        comments: CommentFeed | None,
        origin: float = 0.0,
        limit: float | None = None,
        first: int = 0,
        locate: Callable[[TimedPacket], int | None] | None = None,
        *,
        rests: bool = False,
    ) -> None:
        self.length = length
        self.origin = origin  # where segment 0 begins
        self.limit = limit  # where the last one ends at the latest
        self.exact = exact
        self.comments = comments
        self.locate = locate
        self.keyframes = KeyframeSelector(length / FRAMES_PER_SEGMENT, origin, sparing=rests)
        self.index = first
        self.sound = AudioDecoder(self.start)
        self.decoder = FrameDecoder(rests=rests)
        self.worker = ThreadPoolExecutor(1, "frames")  # one thread: decoding frames and sound overlap
        self.enough = self.start + length + _MIN_SECONDS  # the time that streams must reach before the segment can end
        self.reached: dict[str, float] = {}  # decode time of the latest packet, by its kind
        self.end = self.start  # of the media so far, as shown
        self.events: list[Event] = []
        self.keyframe_times: list[float] = []
        self.seeks: list[SeekPoint] = []
        self.heard: TimedPacket | None = None  # the latest packet of sound
        self.gaps: list[tuple[float, float]] = []
        self.gap_start: float | None = None  # of a gap that ends at the next packet
        self.announced = 0  # changes of the video's header that the container announced before the decoder saw them
        self.early: dict[float, Future[Frame | None]] = {}  # frames that could not wait for the segment's end
        self.pending: _PendingSegment | None = None

    @property
    def start(self) -> float:
        return self.origin + self.index * self.length

    def instants(self, seconds: float) -> tuple[float, ...]:
        """FRAMES_PER_SEGMENT evenly spaced instants: 5, 15 and 25 s into a segment of 30 s."""
        step = seconds / FRAMES_PER_SEGMENT
        return tuple(self.start + (k + 0.5) * step for k in range(FRAMES_PER_SEGMENT))

    def event(self, event: Event) -> None:
        self.events.append(event)
        if event.kind == "gap":
            self.gap_start = event.time
        elif event.kind == "header_change":
            self.announced += 1

    def push(self, timed: TimedPacket) -> None:
        if self.gap_start is not None:
            self.gaps.append((self.gap_start, timed.time))
            self.events = [
                replace(one, until=timed.time) if one.kind == "gap" and one.until is None else one
                for one in self.events
            ]
            self.gap_start = None
        kind = timed.kind
        self.reached[kind] = timed.decode_time
        if timed.time + timed.duration > self.end:
            self.end = timed.time + timed.duration
        if kind == "audio":
            self.heard = timed
            self.sound.push(timed)
            return
        self.keyframes.push(timed)
        if timed.keyframe:
            self.keyframe_times.append(timed.time)
            self.note_seek(timed)
        if self.keyframes.held > MAX_HELD_BYTES:
            self.relieve(timed.decode_time)

    def note_seek(self, timed: TimedPacket) -> None:
        """Note a keyframe as a place to read from, if one shift puts both streams on our clock there."""
        byte = self.locate(timed) if self.locate is not None else None
        shift = timed.time - timed.media_time
        heard = self.heard
        if byte is not None and (heard is None or abs(heard.time - heard.media_time - shift) <= SAME_TIME):
            self.seeks.append(SeekPoint(byte, timed.time, shift))

    def relieve(self, front: float) -> None:
        """Decode early: the held packets have too many bytes to wait for the segment's end."""
        for instant in self.instants(self.length):
            if instant not in self.early and instant <= front - SETTLED:
                self.early[instant] = self.submit(self.keyframes.request(instant, self.keyframes.tolerance))
        wanted = self.keyframes.relieve(front)
        if wanted is not None:
            self.submit(wanted)

    def is_complete(self) -> bool:
        """Whether each stream lags behind, or is so far beyond the segment's end that its sound and frames are here."""
        front = max(self.reached.values())
        return all(at >= self.enough or at < front - LAG for at in self.reached.values())

    def cut(self, seconds: float, *, last: bool = False) -> None:
        """End the segment after `seconds` of it, and begin the next; its frames are decoded meanwhile."""
        start, end = self.start, self.start + seconds
        self.events += self.sound.events
        self.sound.events = []
        audio = self.sound.take(start, end)
        comments = self.comments.take(start, end) if self.comments is not None else ()
        if self.comments is not None:
            self.events += self.comments.take_events(start)
        tolerance = seconds / FRAMES_PER_SEGMENT / 2
        frames = [
            self.early[one] if one in self.early else self.submit(self.keyframes.request(one, tolerance))
            for one in self.instants(seconds)
        ]
        self.worker.submit(self.decoder.rest)
        self.pending = _PendingSegment(
            Segment(
                index=self.index,
                start=start,
                end=end,
                frames=(),
                audio=audio,
                comments=comments,
                has_chat=self.comments is not None and self.comments.has_chat,
                events=tuple(one for one in self.events if last or one.time < end),
                keyframe_times=_spaced(one for one in self.keyframe_times if start <= one < end),
                seek=next((one for one in self.seeks if start <= one.time < end), None),
                gap=any(gap_start < end and gap_end >= start for gap_start, gap_end in self.gaps),
            ),
            frames,
        )
        self.events = [one for one in self.events if one.time >= end]
        self.keyframe_times = [one for one in self.keyframe_times if one >= end]
        self.seeks = [one for one in self.seeks if one.time >= end]
        self.gaps = [gap for gap in self.gaps if gap[1] >= end]
        self.early = {}
        self.index += 1
        self.enough += self.length
        self.keyframes.forget(end)

    def submit(self, wanted: FrameRequest) -> "Future[Frame | None]":
        return self.worker.submit(self.decode, wanted)

    def decode(self, wanted: FrameRequest) -> Frame | None:
        """In the worker: the frame at the exact instant if that was requested, otherwise the cheap one."""
        if self.exact is not None and wanted.gop is not None:
            try:
                return self.exact.frames_at([wanted.instant])[0]
            except SourceError as error:
                self.exact = None
                self.decoder.events.append(Event("corrupt", wanted.instant, f"keyframes from here on: {error}"))
        return self.decoder.frame(wanted)

    def collect(self) -> Iterator[Segment]:
        """The segment with frames in decoding, if any; waits for them."""
        if self.pending is None:
            return
        ready, self.pending = self.pending, None
        found = [frame.result() for frame in ready.frames]
        events = sorted((*ready.segment.events, *self.decoder_events()), key=lambda one: (one.kind == "eof", one.time))
        yield replace(ready.segment, frames=_complete_frames(found), events=tuple(events), wall_time=time.time())

    def decoder_events(self) -> Iterator[Event]:
        """The decoder's events, without those that the container had announced."""
        while self.decoder.events:
            event = self.decoder.events.pop(0)
            if event.kind == "header_change" and self.announced:
                self.announced -= 1
            else:
                yield event

    def finish(self) -> Iterator[Segment]:
        """The stream has ended: whole segments, then the rest."""
        self.keyframes.finish()
        self.sound.finish()
        self.end = max(self.end, self.sound.end)
        if self.limit is not None:
            self.end = min(self.end, self.limit)
        while self.reached and self.end - self.start > self.length + _MIN_SECONDS:
            yield from self.collect()
            self.cut(self.length)
        rest = min(self.end - self.start, self.length)
        if self.reached and (rest >= _MIN_SECONDS or (self.index == 0 and rest > 0)):
            yield from self.collect()
            self.cut(rest, last=True)
        yield from self.collect()


def _spaced(times: Iterable[float]) -> tuple[float, ...]:
    """The first of some times, and each later one that is not too near to the one kept before it."""
    spaced: list[float] = []
    for at in times:
        if not spaced or at >= spaced[-1] + _KEYFRAME_SPACING - SAME_TIME:
            spaced.append(at)
    return tuple(spaced)


def _complete_frames(found: Sequence[Frame | None]) -> tuple[Frame, ...]:
    """All the frames or none: the nearest neighbour stands in for a missing one."""
    there = [frame for frame in found if frame is not None]
    if not there:
        return ()
    before = there[0]
    frames = []
    for frame in found:
        before = frame or before
        frames.append(before)
    return tuple(frames)
