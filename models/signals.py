"""Signals: facts about a segment that are free beside words and pictures (DESIGN section 5; not in the paper).

`kuaihl.engines.signals` measures a segment's values. Here each value also becomes a standard score over the room's own
past. Both fill the columns of the array `signals` [S, SIGNALS_WIDTH] that data sets hold and networks read. The room's
past is kept as running moments, whose size does not depend on the length of the stream.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

SIGNALS_VERSION = 1  # raised if a signal is measured differently: a model trained on another version cannot read it
SignalGroup = Literal["comments", "sound", "speech", "pictures"]
GROUPS: tuple[SignalGroup, ...] = ("comments", "sound", "speech", "pictures")

Floats = NDArray[np.float32]


@dataclass(frozen=True)
class _Signal:
    """One number per segment; the signals of a group are known together or not at all."""

    name: str
    group: SignalGroup
    spread: float  # its usual deviation within a room, assumed until the room has shown its own
    meaning: str


SIGNALS = (
    _Signal("comments", "comments", 0.5, "ln(1 + comments per 30 s)"),
    _Signal("chatters", "comments", 0.5, "ln(1 + distinct authors per 30 s)"),
    _Signal("gifts", "comments", 0.3, "ln(1 + gifts per 30 s)"),
    _Signal("gift_value", "comments", 0.5, "ln(1 + value of the gifts per 30 s, in the platform's own unit)"),
    _Signal("laughter", "comments", 0.1, "share of comments that laugh"),
    _Signal("capitals", "comments", 0.1, "share of comments in capital letters"),
    _Signal("exclamations", "comments", 0.1, "share of comments with an exclamation mark"),
    _Signal("repeats", "comments", 0.15, "share of comments that repeat another one of the segment"),
    _Signal("emotes", "comments", 0.15, "share of comments with an emote or emoji"),
    _Signal("comment_length", "comments", 0.4, "ln(1 + mean characters per comment)"),
    _Signal("loudness", "sound", 0.5, "log10 of the mean square, full scale 1: a tenth of dBFS"),
    _Signal("peak", "sound", 0.5, "log10 of the mean square of the loudest twentieth of 0.1 s frames"),
    _Signal("dynamics", "sound", 0.2, "deviation of log10 of the mean square of 0.1 s frames"),
    _Signal(
        "fullness", "sound", 0.25, "mean over 5 s of how far below its loudest cell each cell of a log-mel picture is"
    ),
    _Signal("low_band", "sound", 0.5, "log10 of the mean square below 300 Hz"),
    _Signal("middle_band", "sound", 0.5, "log10 of the mean square from 300 to 2,000 Hz"),
    _Signal("high_band", "sound", 0.5, "log10 of the mean square above 2,000 Hz"),
    _Signal("cheering", "sound", 0.15, "share of the segment that is loud for this segment and sounds like noise"),
    _Signal("speech", "speech", 0.2, "share of the segment in which words are spoken"),
    _Signal("words", "speech", 0.5, "ln(1 + words per 30 s)"),
    _Signal("spoken_exclamations", "speech", 0.5, "ln(1 + exclamation marks per 30 s of transcript)"),
    _Signal("spoken_laughter", "speech", 0.3, "ln(1 + laughs per 30 s of transcript)"),
    _Signal("spoken_repeats", "speech", 0.05, "share of spoken words that repeat the word before"),
    _Signal("change", "pictures", 0.1, "mean difference between consecutive frames, in [0, 1]"),
    _Signal("shots", "pictures", 0.3, "share of consecutive frames with a shot change between them"),
    _Signal("static", "pictures", 0.3, "1 if the picture does not change at all, else 0"),
)
SIGNAL_NAMES = tuple(signal.name for signal in SIGNALS)
COLUMNS = (
    *(f"has_{group}" for group in GROUPS),
    *SIGNAL_NAMES,
    *(f"{name}_standardised" for name in SIGNAL_NAMES),
)
SIGNALS_WIDTH = len(COLUMNS)
PRIOR = 4.0  # segments as which a signal's usual spread counts, beside those that the room has shown
FARTHEST = 5.0  # deviations, to which standard scores are clipped: a higher one carries no more information
_SPREADS = np.array([signal.spread for signal in SIGNALS])
_GROUP_OF = np.array([GROUPS.index(signal.group) for signal in SIGNALS])


@dataclass(frozen=True)
class SignalsFacts:
    """The columns of an array `signals`; stored in `dataset.json` and `bundle.json`."""

    version: int = SIGNALS_VERSION
    names: tuple[str, ...] = COLUMNS


def parse_signals(said: Mapping[str, Any]) -> SignalsFacts:
    """The inverse of `asdict`. Raises KeyError, TypeError or ValueError."""
    return SignalsFacts(int(said["version"]), tuple(str(name) for name in said["names"]))


def columns_of(groups: Collection[SignalGroup]) -> NDArray[np.intp]:
    """The places in COLUMNS of all columns about some groups: known or not, values and standard scores."""
    told = np.isin(_GROUP_OF, [GROUPS.index(group) for group in groups])
    return np.flatnonzero(np.concatenate([[group in groups for group in GROUPS], told, told]))


def unknown_values() -> Floats:
    """Values [SIGNALS] that are all unknown."""
    return np.full(len(SIGNALS), np.nan, np.float32)


@dataclass
class RunningMoments:
    """Count, mean and sum of squared deviations of every signal of a room so far (Welford), [SIGNALS] each."""

    count: NDArray[np.float64] = field(default_factory=lambda: np.zeros(len(SIGNALS)))
    mean: NDArray[np.float64] = field(default_factory=lambda: np.zeros(len(SIGNALS)))
    squares: NDArray[np.float64] = field(default_factory=lambda: np.zeros(len(SIGNALS)))

    def push(self, values: Floats) -> Floats:
        """Add a segment's values [SIGNALS], NaN if unknown, to the room's past and return its columns [SIGNALS_WIDTH].

        A standard score is over the segments before this one. It is 0 in the first segment and for an unknown value.
        """
        known = np.isfinite(values)
        value = np.where(known, values, 0.0).astype(np.float64)
        deviation = np.sqrt((PRIOR * _SPREADS**2 + self.squares) / (PRIOR + self.count))
        scores = np.where(known & (self.count > 0), (value - self.mean) / deviation, 0.0)
        self.count += known
        step = np.where(known, value - self.mean, 0.0)
        self.mean += step / np.maximum(self.count, 1.0)
        self.squares += step * np.where(known, value - self.mean, 0.0)
        has = np.bincount(_GROUP_OF[known], minlength=len(GROUPS)) > 0
        return np.concatenate([has, value, np.clip(scores, -FARTHEST, FARTHEST)]).astype(np.float32)

    def to_array(self) -> NDArray[np.float64]:
        """All moments as [3, SIGNALS], to be stored with a room's state."""
        return np.stack([self.count, self.mean, self.squares])

    @classmethod
    def from_array(cls, stored: NDArray[np.float64]) -> "RunningMoments":
        """The inverse of `to_array`. Raises ValueError for another shape."""
        if stored.shape != (3, len(SIGNALS)):
            raise ValueError(f"running moments are {list(stored.shape)} and should be {[3, len(SIGNALS)]}")
        return cls(*(row.astype(np.float64) for row in stored))


def with_standard_scores(values: Iterable[Floats]) -> Floats:
    """The columns [S, SIGNALS_WIDTH] of a room with these values of its segments, from the first on."""
    moments = RunningMoments()
    rows = [moments.push(each) for each in values]
    return np.stack(rows) if rows else np.empty((0, SIGNALS_WIDTH), np.float32)
