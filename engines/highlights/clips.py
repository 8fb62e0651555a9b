"""Highlights cut from a recording into their own files: by stream copy, or with pictures encoded where asked for.

The packets come from `ingest.packets`, as for the scores, so both have one clock: time stamps that restart and files
that must be opened again make no difference. One pass holds a highlight's packets until the places to cut are known. It
begins at a keyframe whose byte and clock the scoring noted, or else at the recording's beginning. FFmpeg does not seek:
that fails on FLV without an index and on damaged files.
"""

import math
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

from kuaihl.engines.highlights.burner import Burner, check_fonts
from kuaihl.engines.highlights.captions import Caption, captions_of, captions_within, write_ass
from kuaihl.engines.highlights.clip_file import ClipFile
from kuaihl.engines.highlights.clip_names import name_clips
from kuaihl.engines.highlights.clip_readings import Reading, plan_readings
from kuaihl.engines.highlights.clip_style import ClipStyle, parse_aspect
from kuaihl.engines.highlights.clip_windows import read_windows
from kuaihl.engines.highlights.clip_writer import ClipWriter, CutName, Writer
from kuaihl.engines.highlights.cutting_points import CuttingPoints, Piece
from kuaihl.engines.highlights.framing import Framing
from kuaihl.engines.highlights.h264 import parse_header
from kuaihl.engines.highlights.recoding_writer import RecodingWriter, check_encoder
from kuaihl.engines.ingest.opening import is_stream, open_source
from kuaihl.engines.ingest.packets import TimedPacket, packets
from kuaihl.engines.ingest.seeking import KeyframeMoved, packets_from, source_from
from kuaihl.engines.ingest.source import Source
from kuaihl.engines.types import SAME_TIME, Event, Highlight, ScoredSegment
from kuaihl.models.errors import UsageError, reason_of

# Codecs that MP4 accepts and players expect in it; anything else goes into Matroska.
_MP4_CODECS = frozenset({"h264", "hevc", "av1", "mpeg4", "aac", "mp3", "ac3", "eac3", "alac"})
_MATROSKA = {".mp4": ".mkv", ".m4a": ".mka", ".webm": ".mkv"}  # by the suffix of a container that is stricter
_WEBM_CODECS = frozenset({"vp8", "vp9", "av1", "opus", "vorbis"})

_USUAL_STYLE = ClipStyle()


@dataclass(frozen=True)
class Clip:
    """A clip on disk; its media begins and ends at these seconds of the source's clock."""

    path: Path
    start: float  # of the first frame: the highlight's, or that of the keyframe before it if all of it is copied
    end: float
    cut: CutName = "copy"
    captions: Path | None = None  # the file of them
    size: tuple[int, int] | None = None  # width and height of its picture, if known


@dataclass(frozen=True)
class FailedClip:
    """A highlight whose clip could not be cut, with the reason in one line."""

    reason: str


_NO_MEDIA = FailedClip("no clip: the recording has no media there that can be cut")


def cut_clips(
    source: str,
    highlights: Sequence[Highlight],
    folder: Path,
    stem: str,
    *,
    style: ClipStyle = _USUAL_STYLE,
    scored: Sequence[ScoredSegment] = (),
    seek: bool = False,
) -> list[Clip | FailedClip]:
    """Cut each highlight to a file in `folder`, with captions from what is said. A clip that fails affects no other.

    With `seek`, the file is the one that was scored, and is read only near the highlights if its keyframes are known.
    `stem` is the template's source. Raises UsageError if the source is not a file or FFmpeg lacks the encoder, and
    SourceError if the file cannot be read.
    """
    if is_stream(source) or (Path(source).exists() and not Path(source).is_file()):
        raise UsageError(f"{source}: clips can be cut from a file alone; record the stream, then score the recording")
    if not highlights:
        return []
    if style.reencodes or style.exact:
        check_encoder("exact" if style.exact else "aspect" if style.aspect else "captions")
    captions = captions_of(scored) if style.captions else []
    names = name_clips(style.clip_name, stem, highlights)

    def plan(place: int, points: CuttingPoints) -> "_Cut | FailedClip":
        return _plan_cut(points, highlights[place], folder, names[place], style, captions)

    cuts: dict[int, _Cut | FailedClip] = {}
    waiting = plan_readings(highlights, scored if seek else ())
    with ExitStack() as stack:
        head = cache(lambda: stack.enter_context(open_source(source)))  # for readings that begin at a keyframe
        while waiting:
            reading, *waiting = waiting
            try:
                cuts |= _cut_reading(source, head, reading, highlights, plan)
            except KeyframeMoved:  # the rest as if no keyframe were known
                left = [place for one in (reading, *waiting) for place in one.places]
                waiting = [Reading(None, tuple(left))]
    return [_with_captions(cuts[place], style, captions) for place in range(len(highlights))]


def _cut_reading(
    source: str,
    head: Callable[[], Source],
    reading: Reading,
    highlights: Sequence[Highlight],
    plan: "Callable[[int, CuttingPoints], _Cut | FailedClip]",
) -> "dict[int, _Cut | FailedClip]":
    """What became of a reading's highlights, by their places. Raises KeyframeMoved."""
    cuts: dict[int, _Cut | FailedClip] = {}
    late: list[_Cut] = []  # their packets were too many to hold
    with ExitStack() as stack:  # sources stay open: their streams are the models of the clips'

        def read() -> Iterator[TimedPacket | Event]:
            if reading.point is None:
                return packets(stack.enter_context(open_source(source)))
            return packets_from(stack.enter_context(source_from(head(), reading.point)), reading.point)

        for window in read_windows(read(), [highlights[place] for place in reading.places]):
            place = reading.places[window.index]
            cut = cuts[place] = plan(place, window.points)
            if isinstance(cut, FailedClip):
                continue
            stack.callback(cut.clean_up)
            if (held := window.packets) is None:
                late.append(cut)
            else:
                _cut_all([cut], lambda held=held: held)  # type: ignore[misc]
        if late:
            _cut_all(late, read)
    return cuts


def cut_held(
    held: Sequence[TimedPacket], points: CuttingPoints, highlight: Highlight, folder: Path, name: str
) -> Clip | FailedClip:
    """Cut one highlight by stream copy out of packets in memory to a file in `folder`, `name` without its suffix."""
    cut = _plan_cut(points, highlight, folder, name, _USUAL_STYLE, ())
    if isinstance(cut, FailedClip):
        return cut
    try:
        _cut_all([cut], lambda: held)
        return cut.finish()
    finally:
        cut.clean_up()


def _cut_all(cuts: "Sequence[_Cut]", read: Callable[[], Iterable[TimedPacket | Event]]) -> None:
    """Cut clips out of the packets that `read` gives anew at each call."""
    _copy(read(), cuts)
    refused = [cut for cut in cuts if isinstance(cut.finish(), FailedClip) and cut.is_refused]
    if refused:  # MP4 checks what it holds: damaged E-AC-3, for one, goes into Matroska alone
        for cut in refused:
            cut.begin_as(_MATROSKA[cut.writer.path.suffix])
        _copy(read(), refused)
        for cut in refused:
            cut.finish()


def _plan_cut(
    points: CuttingPoints,
    highlight: Highlight,
    folder: Path,
    name: str,
    style: ClipStyle,
    captions: Sequence[Caption],
) -> "_Cut | FailedClip":
    """The clip of a highlight before its first packet; it fails if there is no media, or no font for its captions."""
    piece = points.piece(highlight.start, highlight.end)
    if piece is None:
        return _NO_MEDIA
    shown = piece.origin is not None and "video" in piece.codings
    if shown and style.captions == "burn":
        try:
            check_fonts(captions_within(captions, piece.start, piece.end))
        except UsageError as error:
            return FailedClip(error.line(error.subject, remedy=""))
    late = piece.origin is not None and piece.origin < piece.start - SAME_TIME
    recoded = shown and (style.reencodes or (style.exact and late))

    def make(suffix: str) -> Writer:
        file = ClipFile(folder / f"{name}{suffix}")
        return _recoding(file, piece, style, captions) if recoded else ClipWriter(file, piece)

    return _Cut(make, make(_suffix_for(piece, recoded=recoded)))


def _recoding(file: ClipFile, piece: Piece, style: ClipStyle, captions: Sequence[Caption]) -> RecodingWriter:
    coding = piece.codings["video"]
    header = None
    if not style.reencodes and coding.codec == "h264":
        header = parse_header(coding.header)
        if header is not None and header.unused_id() is None:
            header = None
    aspect = None if style.aspect is None else parse_aspect(style.aspect)
    burner = Burner(captions_within(captions, 0.0, math.inf)) if style.captions == "burn" else None
    return RecodingWriter(file, piece, Framing(aspect, style.fit or "crop"), burner, header)


def _suffix_for(piece: Piece, *, recoded: bool) -> str:
    """`.mp4` if the codecs allow it, else `.webm` or `.mkv`; `.m4a` or `.mka` without video."""
    codecs = {
        "h264" if recoded and kind == "video" else coding.codec  # what an encoded picture becomes
        for kind, coding in piece.codings.items()
    }
    video = "video" in piece.codings
    if codecs <= _MP4_CODECS:
        return ".mp4" if video else ".m4a"
    if codecs <= _WEBM_CODECS and video:
        return ".webm"
    return ".mkv" if video else ".mka"


@dataclass
class _Cut:
    """One clip in the making; its outcome once it is whole or has failed."""

    make: Callable[[str], Writer]  # for a suffix
    writer: Writer
    outcome: Clip | FailedClip | None = None
    is_refused: bool = False  # the container does not take the media; another one may

    def begin_as(self, suffix: str) -> None:
        """Begin again in another container."""
        self.writer = self.make(suffix)
        self.outcome, self.is_refused = None, False

    def offer(self, timed: TimedPacket) -> None:
        """Copy the packet if it belongs to the clip."""
        with self.watched():
            self.writer.offer(timed)
            if self.writer.is_done(timed.time):
                self.finish()

    def finish(self) -> Clip | FailedClip:
        """Put the clip in its place, unless it has failed."""
        with self.watched():
            if self.outcome is None and self.writer.finish():
                self.outcome = Clip(
                    self.writer.path, self.writer.first or 0.0, self.writer.last, self.writer.cut, size=self.writer.size
                )
        return self.outcome or _NO_MEDIA

    def clean_up(self) -> None:
        self.writer.clean_up()

    @contextmanager
    def watched(self) -> Iterator[None]:
        """Note an error as the outcome. The partial file goes at once: on a full disk it is in the others' way."""
        import av

        try:
            yield
        except (av.FFmpegError, OSError, ValueError) as error:
            path = self.writer.path
            if isinstance(error, ValueError):  # FFmpeg's muxers raise it for media that does not fit
                said = getattr(error, "strerror", None) or error
                reason = f"{path.name}: cannot be cut without re-encoding ({reason_of(said)})"
                self.is_refused = path.suffix in _MATROSKA
            else:
                reason = f"{path}: cannot be written ({reason_of(getattr(error, 'strerror', None) or error)})"
            self.outcome = FailedClip(reason)
            self.writer.clean_up()


def _with_captions(cut: _Cut | FailedClip, style: ClipStyle, captions: Sequence[Caption]) -> Clip | FailedClip:
    """The outcome of a cut, with its captions' file if it is wanted and something is said."""
    clip = cut if isinstance(cut, FailedClip) else cut.finish()
    if isinstance(clip, FailedClip):
        return clip
    path = clip.path.with_name(f"{clip.path.stem}.ass")
    said = captions_within(captions, clip.start, clip.end) if style.captions == "ass" else []
    try:
        if said:
            write_ass(path, said, clip.size)
            return replace(clip, captions=path)
        path.unlink(missing_ok=True)  # of an earlier clip: its times would not be this one's
    except OSError as error:
        return FailedClip(f"{path}: cannot be written ({reason_of(error.strerror or error)})")
    return clip


def _copy(stream: Iterable[TimedPacket | Event], cuts: Iterable[_Cut]) -> None:
    """Offer each packet to the clips that it may belong to."""
    waiting = deque(sorted(cuts, key=lambda cut: cut.writer.begin))
    running: list[_Cut] = []
    for item in stream:
        if isinstance(item, Event):
            continue
        while waiting and item.time >= waiting[0].writer.begin - SAME_TIME:
            running.append(waiting.popleft())
        if running:
            for cut in running:
                cut.offer(item)
            running = [cut for cut in running if cut.outcome is None]
            if not running and not waiting:
                return
