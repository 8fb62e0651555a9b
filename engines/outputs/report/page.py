"""The contract of the two pages: all that their templates show. Times are seconds on the recording's clock.

Texts are as the media or the viewers have them, without control characters; the templates escape them.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Mark:
    """A label beside an axis: its place in percent of the axis, and its text."""

    at: float
    label: str


@dataclass(frozen=True)
class Block:
    """A span of the time axis, `x` and `width` in seconds from its start."""

    x: float
    width: float
    label: str
    rank: int = 0  # of a highlight


@dataclass(frozen=True)
class Chart:
    """The curve and what lies under it, as SVG paths: x in seconds from `start`, y from 0 (top) to 1000."""

    start: float
    seconds: float
    line: str
    area: str
    comments: str  # bars per segment; empty without comments
    most_comments: float  # per minute, the height of the highest bar
    rates: tuple[Mark, ...]
    times: tuple[Mark, ...]
    highlights: tuple[Block, ...]
    gaps: tuple[Block, ...]
    points: tuple[tuple[float, float, float], ...]  # start, end, score: what a reader sees under the pointer


@dataclass(frozen=True)
class Picture:
    """A small picture at a time, as a data URI."""

    time: float
    uri: str


@dataclass(frozen=True)
class Said:
    """A comment that stood out: how often it was written, and the highest price paid for it."""

    text: str
    count: int
    value: float | None


@dataclass(frozen=True)
class Effect:
    """What a highlight would be without a part of the input."""

    part: str  # in words
    score: float
    lift: float  # of the score over the median of the same curve
    bar: float  # the lift in percent of the chart's width
    above: float  # share of the recording, in percent, that it would still be above


@dataclass(frozen=True)
class Why:
    """Why a highlight stands out: a sentence, itself with everything, and without each part."""

    sentence: str
    whole: Effect
    without: tuple[Effect, ...]


@dataclass(frozen=True)
class Card:
    """One highlight."""

    rank: int
    start: float
    end: float
    score: float
    above: float  # share of the recording, in percent, that scores lower
    words: str
    pictures: tuple[Picture, ...]
    comments: tuple[Said, ...]
    per_minute: float  # comments in it
    usual_per_minute: float  # comments in the whole recording
    why: Why | None
    clip: str | None  # relative link
    clip_start: float  # where its media begins; the highlight's start without a clip
    clip_failure: str | None
    name: str  # one line for editors' files


@dataclass(frozen=True)
class NearMissRow:
    """A peak that is no highlight."""

    start: float
    end: float
    score: float
    above: float
    reason: str
    words: str
    picture: Picture | None


@dataclass(frozen=True)
class Media:
    """The recording: its name, and a relative link if it was found; whether a browser may play it."""

    name: str
    link: str | None
    plays: bool
    rates: tuple[tuple[str, str, bool], ...]  # frames per second to choose from: exact, in words, whether it is its own


@dataclass(frozen=True)
class Fault:
    """A fault of the stream."""

    time: float
    kind: str
    detail: str


@dataclass(frozen=True)
class ReportPage:
    """The page of one recording; `cards` are in order of rank."""

    title: str
    key: str  # tells one run's page from another's
    source: str
    start: float
    end: float
    complete: bool
    why_incomplete: str | None
    model: str
    hindsight: bool  # the curve is made from both outputs, with hindsight
    facts: tuple[tuple[str, str], ...]
    chart: Chart
    cards: tuple[Card, ...]
    left_out: int  # highlights of a lower rank than the last card
    near_misses: tuple[NearMissRow, ...]
    media: Media
    faults: tuple[Fault, ...]
    notes: tuple[str, ...]  # what the page leaves out, and why


@dataclass(frozen=True)
class RoomRow:
    """One recording of a batch."""

    name: str
    source: str
    link: str | None  # to its page
    state: str  # complete, incomplete, failed
    reason: str | None
    seconds: float | None
    highlights: int
    best: float | None


@dataclass(frozen=True)
class Moment:
    """A highlight among the best of a batch."""

    place: int
    room: str
    link: str | None  # to the highlight on its room's page
    start: float
    end: float
    score: float
    words: str
    picture: Picture | None


@dataclass(frozen=True)
class IndexPage:
    """The page over a batch's output folder; rows with the best scores first."""

    title: str
    rows: tuple[RoomRow, ...]
    left_out: tuple[tuple[str, str], ...]  # source and reason of each file that was not scored
    moments: tuple[Moment, ...]
    seconds: float  # scored, of all recordings
