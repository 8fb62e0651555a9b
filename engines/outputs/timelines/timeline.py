"""The highlights as an editor counts them: spans of the recording's frames, from its first one."""

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import PurePath, PurePosixPath, PureWindowsPath

from kuaihl.engines.one_line import one_line
from kuaihl.engines.outputs.cue import cue_lines
from kuaihl.engines.outputs.highlights_json import HighlightEntry, HighlightsDocument
from kuaihl.engines.outputs.timelines.smpte import frame_of, is_drop, time_code
from kuaihl.engines.outputs.timelines.stamps import own_span, stretches_of
from kuaihl.engines.types import MediaFacts
from kuaihl.models.errors import UsageError

_NOTE = 500  # characters of a marker's note
_HEADER_OFF = 1.0  # seconds by which a header may be short before the scored time counts instead
_ONE_HOUR = 3600  # seconds: an edited timeline begins at 01:00:00:00


@dataclass(frozen=True)
class Cut:
    """A highlight in the recording. Seconds count from its first time stamp, frames from its first frame."""

    entry: HighlightEntry
    start: float
    end: float
    first: int = 0  # of its frames
    last: int = 0  # the frame after its end

    @property
    def frames(self) -> int:
        return self.last - self.first

    @property
    def title(self) -> str:
        """`#1 · 0.713 · the first words`, on one line."""
        return " · ".join(cue_lines(self.entry))

    @property
    def label(self) -> str:
        """`#1 · 0.713`."""
        return cue_lines(self.entry)[0]

    @property
    def headline(self) -> str:
        """For viewers: the first words, or `Highlight 1`."""
        _, *words = cue_lines(self.entry)
        return words[0] if words else f"Highlight {self.entry['rank']}"

    @property
    def note(self) -> str:
        """The words spoken in it, on one line."""
        return one_line(self.entry["text"], _NOTE)


@dataclass(frozen=True)
class Timeline:
    """What every format is made from, beside the document: the cuts in order of time, and the recording's facts."""

    name: str
    cuts: tuple[Cut, ...]
    duration: float  # of the recording, in seconds
    known: MediaFacts | None  # None for a stream, or if the recording is gone
    frames: int = 0  # in the recording
    unmapped: int = 0  # highlights without a place of their own on the recording's time stamps

    @property
    def media(self) -> MediaFacts:
        """The recording's facts. Raises UsageError if they are unknown."""
        if self.known is None:
            raise UsageError("the recording's frames are unknown")
        return self.known

    @property
    def file(self) -> PurePath:
        """The recording's path, of this system or another one."""
        path = self.media.path
        return PureWindowsPath(path) if PureWindowsPath(path).drive else PurePosixPath(path)

    @property
    def file_name(self) -> str:
        """The recording's name, to show."""
        return one_line(self.file.name, _NOTE)

    @property
    def rate(self) -> Fraction:
        return self.media.rate

    @property
    def drops(self) -> bool:
        """Whether time codes are in drop frame, as those of the recording."""
        return is_drop(self.media.start_code, self.rate)

    @property
    def start_frame(self) -> int:
        """The number of the recording's first frame by its time code; 0 if it has none."""
        try:
            return frame_of(self.media.start_code, self.rate)
        except ValueError:
            return 0

    @property
    def record_start(self) -> int:
        """The frame number of 01:00:00:00, where an edited timeline begins."""
        return frame_of("01:00:00;00" if self.drops else "01:00:00:00", self.rate)

    def code(self, frame: int) -> str:
        """The time code of a frame number, in the recording's way of counting."""
        return time_code(frame, self.rate, drop=self.drops)

    def offsets(self) -> list[int]:
        """Where each cut begins if they stand back to back, in frames, and where the last one ends."""
        ends = [0]
        for cut in self.cuts:
            ends.append(ends[-1] + cut.frames)
        return ends


def build_timeline(
    document: HighlightsDocument, media: MediaFacts | None, name: str, *, on_run_clock: bool = False
) -> Timeline:
    """The cuts of a document's highlights. `on_run_clock`: the recording's time stamps are those of the run."""
    stretches = [] if on_run_clock else stretches_of(document["events"], document["duration"])
    spans = [
        (one, (one["start"], one["end"]) if on_run_clock else own_span(one["start"], one["end"], stretches))
        for one in document["highlights"]
    ]
    placed = [(one, span) for one, span in spans if span is not None]
    least = max([document["duration"], *(end for _, (_, end) in placed)])  # seconds of the recording
    name = one_line(name, _NOTE)
    if media is None:
        cuts = [Cut(one, *span) for one, span in placed]
        return Timeline(name, _in_order(cuts), least, None, 0, len(spans) - len(placed))
    frames = _frames_of(media, least)
    cuts = []
    for one, (start, end) in placed:
        first, last = (min(max(round((time - media.lead) * media.rate), 0), frames) for time in (start, end))
        if last > first:
            cuts.append(Cut(one, start, end, first, last))
    duration = media.lead + float(frames / media.rate)
    return Timeline(name, _in_order(cuts), max(duration, least), media, frames, len(spans) - len(placed))


def _in_order(cuts: Sequence[Cut]) -> tuple[Cut, ...]:
    return tuple(sorted(cuts, key=lambda cut: (cut.start, cut.end)))


def _frames_of(media: MediaFacts, scored: float) -> int:
    """The recording's frames; those of the scored seconds if its header knows less."""
    least = round((scored - media.lead) * media.rate)
    return least if media.frames < least - _HEADER_OFF * media.rate else media.frames
