"""Highlights cut from a recording into their own files, by stream copy: no re-encoding, no loss, within seconds.

The packets come from `ingest.packets`, as for the scores, so both have one clock: time stamps that restart and files
that must be opened again make no difference. One pass finds the places to cut, a second one copies. Neither seeks,
which fails on FLV without an index and on damaged files.
"""

import re
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from kuaihl.engines.highlights.clip_writer import ClipWriter
from kuaihl.engines.highlights.cutting_points import CuttingPoints, Piece, survey
from kuaihl.engines.highlights.offline import rank_highlights
from kuaihl.engines.ingest.opening import is_stream, open_source
from kuaihl.engines.ingest.packets import TimedPacket, packets
from kuaihl.engines.types import SAME_TIME, Event, Highlight
from kuaihl.models.errors import UsageError, reason_of

# Codecs that MP4 accepts and players expect in it; anything else goes into Matroska.
_MP4_CODECS = frozenset({"h264", "hevc", "av1", "mpeg4", "aac", "mp3", "ac3", "eac3", "alac"})
_MATROSKA = {".mp4": ".mkv", ".m4a": ".mka", ".webm": ".mkv"}  # by the suffix of a container that is stricter
_WEBM_CODECS = frozenset({"vp8", "vp9", "av1", "opus", "vorbis"})

_LONGEST_STEM = 120  # characters, and …
_LONGEST_BYTES = 180  # … bytes of a clip's name before rank and time; file systems allow 255 in all


@dataclass(frozen=True)
class Clip:
    """A clip on disk; its media begins and ends at these seconds of the source's clock."""

    path: Path
    start: float  # of the first frame: the keyframe at or before the highlight's start
    end: float


@dataclass(frozen=True)
class FailedClip:
    """A highlight whose clip could not be cut, with the reason in one line."""

    reason: str


_NO_MEDIA = FailedClip("no clip: the recording has no media there that can be cut")


def cut_clips(source: str, highlights: Sequence[Highlight], folder: Path, stem: str) -> list[Clip | FailedClip]:
    """Cut each highlight to `folder/STEM_RANK_TIME.SUFFIX`. A clip that fails does not affect the others.

    Raises UsageError if the source is not a file, SourceError if the file cannot be read.
    """
    if is_stream(source) or (Path(source).exists() and not Path(source).is_file()):
        raise UsageError(f"{source}: clips can be cut from a file alone; record the stream, then score the recording")
    if not highlights:
        return []
    with ExitStack() as stack:
        surveyed = stack.enter_context(open_source(source))  # stays open: its streams are the models of the clips'
        points = survey(packets(surveyed), until=max(one.end for one in highlights))
        cuts = [_plan_cut(points, rank, one, folder, stem) for rank, one in _ranked(highlights)]
        begun = [cut for cut in cuts if cut is not None]
        for cut in begun:
            stack.callback(cut.clean_up)
        _copy(packets(stack.enter_context(open_source(source))), begun)
        refused = [cut for cut in begun if isinstance(cut.finish(), FailedClip) and cut.is_refused]
        if refused:  # MP4 checks what it holds: damaged E-AC-3, for one, goes into Matroska alone
            for cut in refused:
                cut.begin_as(_MATROSKA[cut.writer.path.suffix])
            _copy(packets(stack.enter_context(open_source(source))), refused)
        return [_NO_MEDIA if cut is None else cut.finish() for cut in cuts]


def clip_name(stem: str, rank: int, start: float, suffix: str) -> str:
    """`STEM_01_00-12-30.mp4`: sorts by rank, shows the time, and is a safe name on any file system."""
    kept = re.sub(r"[^\w.\-]+", "_", stem).strip("._-")[:_LONGEST_STEM]
    kept = kept.encode(errors="ignore")[:_LONGEST_BYTES].decode(errors="ignore") or "clip"
    seconds = int(start)
    return f"{kept}_{rank:02}_{seconds // 3600:02}-{seconds // 60 % 60:02}-{seconds % 60:02}{suffix}"


def _ranked(highlights: Sequence[Highlight]) -> list[tuple[int, Highlight]]:
    return list(zip(rank_highlights(highlights), highlights, strict=True))


def _plan_cut(points: CuttingPoints, rank: int, highlight: Highlight, folder: Path, stem: str) -> "_Cut | None":
    """The clip of a highlight before its first packet; None if the recording has no media there."""
    piece = points.piece(highlight.start, highlight.end)
    if piece is None:
        return None
    return _Cut(ClipWriter(folder / clip_name(stem, rank, highlight.start, _suffix_for(piece)), piece))


def _suffix_for(piece: Piece) -> str:
    """`.mp4` if the codecs allow it, else `.webm` or `.mkv`; `.m4a` or `.mka` without video."""
    codecs = {coding.codec for coding in piece.codings.values()}
    video = "video" in piece.codings
    if codecs <= _MP4_CODECS:
        return ".mp4" if video else ".m4a"
    if codecs <= _WEBM_CODECS and video:
        return ".webm"
    return ".mkv" if video else ".mka"


@dataclass
class _Cut:
    """One clip in the making; its outcome once it is whole or has failed."""

    writer: ClipWriter
    outcome: Clip | FailedClip | None = None
    is_refused: bool = False  # the container does not take the media; another one may

    def begin_as(self, suffix: str) -> None:
        """Begin again in another container."""
        self.writer = ClipWriter(self.writer.path.with_suffix(suffix), self.writer.piece)
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
                self.outcome = Clip(self.writer.path, self.writer.first or 0.0, self.writer.last)
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
