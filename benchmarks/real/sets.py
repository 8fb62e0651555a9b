"""The labelled broadcasts of ../shared/real as streams of segments, with each segment's known inputs and label.

A set is read whole; its README there names sources and licences. Missing inputs of a set stay unknown: NaN in the
signals, no words, no pictures.
"""

import gzip
import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kuaihl.engines.encoders.signals.comments import comment_signals
from kuaihl.engines.encoders.signals.measure import values_of
from kuaihl.engines.encoders.signals.speech import speech_signals
from kuaihl.engines.types import SEGMENT_SECONDS, Comment, Sentence, Transcript

Floats = NDArray[np.float64]

FOLDS = 5
BLOCK_SECONDS = 600.0  # drawn together if a set has too few recordings to draw: longer than any label's run
STEP_SECONDS, STEPS = 5.0, 6  # of the esports features; STEPS make a segment


@dataclass(frozen=True)
class Recording:
    """A stream of S segments in order of time."""

    name: str
    unit: str  # scores are compared within it
    values: NDArray[np.float32]  # [S, SIGNALS], NaN if unknown
    present: Floats  # [S] labels in [0, 1]
    starts: Floats  # [S] seconds
    drawn: tuple[str, ...]  # [S] the unit that the bootstrap draws whole
    folds: NDArray[np.int64]  # [S] the part of cross-validation that tests a segment
    speech: tuple[str, ...]  # [S]
    comments: tuple[tuple[str, ...], ...]  # [S]

    @property
    def next(self) -> Floats:
        """[S] labels of the segment after each; NaN for the last."""
        return np.append(self.present[1:], np.nan)


@dataclass(frozen=True)
class RealSet:
    """Recordings with one kind of label."""

    name: str
    title: str
    label: str  # the kind of label, for human readers
    recordings: tuple[Recording, ...]
    positive: float  # a segment whose label is greater is a highlight, for average precision
    within: bool  # blocks are drawn within every unit; False: whole units are drawn
    drawn: str  # the unit that the bootstrap draws, for human readers
    follows: bool = True  # segments follow each other without a gap, so that there is a next one
    ordered: str = "tau"  # or "AUC", of labels 0 and 1


def share_within(spans: Iterable[Sequence[float]], segments: int, seconds: float = SEGMENT_SECONDS) -> Floats:
    """For each segment of a grid from 0, the share inside spans [start, end] which do not overlap."""
    edges = np.arange(segments + 1) * seconds
    inside = np.zeros(segments)
    for start, end in spans:
        inside += np.clip(np.minimum(end, edges[1:]) - np.maximum(start, edges[:-1]), 0.0, None)
    return np.minimum(inside / seconds, 1.0)


def read_lines(file: Path) -> list[dict[str, Any]]:
    with gzip.open(file, "rt", encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


def football(folder: Path) -> RealSet:
    """Halves of football with the broadcaster's summary: commentators' sentences alone.

    A sentence belongs to the segment that contains its middle.
    """
    halves = [half for half in read_lines(folder / "football" / "halves.jsonl.gz") if half["summary"]]
    games = sorted({half["half"].rpartition("-")[0] for half in halves})
    recordings = []
    for half in halves:
        game = half["half"].rpartition("-")[0]
        sentences = [Sentence(*sentence) for sentence in half["sentences"]]
        count = int(np.ceil(max(sentence.end for sentence in sentences) / SEGMENT_SECONDS))
        spoken: list[list[Sentence]] = [[] for _ in range(count)]
        for sentence in sentences:
            spoken[int((sentence.start + sentence.end) / 2 / SEGMENT_SECONDS)].append(sentence)
        transcripts = [Transcript(" ".join(each.text for each in some), tuple(some)) for some in spoken]
        recordings.append(
            Recording(
                name=half["half"],
                unit=half["half"],
                values=np.stack([values_of(speech_signals(each, SEGMENT_SECONDS)) for each in transcripts]),
                present=share_within(half["summary"], count),
                starts=SEGMENT_SECONDS * np.arange(count, dtype=np.float64),
                drawn=(game,) * count,
                folds=np.full(count, games.index(game) % FOLDS),
                speech=tuple(each.text for each in transcripts),
                comments=((),) * count,
            )
        )
    label = "share of the segment that the broadcaster's summary shows"
    return RealSet("football", "Football, words alone", label, tuple(recordings), 0.0, False, "games")


def chat_zh(folder: Path) -> RealSet:
    """One Chinese broadcast: its chat alone."""
    spans = json.loads((folder / "chat_zh" / "highlights.json").read_text(encoding="utf-8"))
    count = int(np.ceil(spans["seconds"] / SEGMENT_SECONDS))
    written: list[list[Comment]] = [[] for _ in range(count)]
    for message in read_lines(folder / "chat_zh" / "messages.jsonl.gz"):
        place = min(int(message["time"] / SEGMENT_SECONDS), count - 1)
        written[place].append(Comment(message["time"], message["text"], message["author"]))
    starts = SEGMENT_SECONDS * np.arange(count, dtype=np.float64)
    recording = Recording(
        name="chat_zh",
        unit="chat_zh",
        values=np.stack([values_of(comment_signals(some, SEGMENT_SECONDS)) for some in written]),
        present=share_within(spans["highlights"], count),
        starts=starts,
        drawn=tuple(f"{start // BLOCK_SECONDS:.0f}" for start in starts),
        folds=np.arange(count) * FOLDS // count,
        speech=("",) * count,
        comments=tuple(tuple(comment.text for comment in some) for some in written),
    )
    label = "share of the segment inside a highlight marked by hand"
    return RealSet("chat_zh", "Chinese chat", label, (recording,), 0.0, True, "blocks of 10 minutes")


def chat_en(folder: Path) -> RealSet:
    """Bursts of English chat: each is a segment for as long as it lasts, and those of a broadcast follow each other.

    The set does not name authors: every message counts as one chatter's, as `comment_signals` has it.
    """
    bursts = read_lines(folder / "chat_en" / "bursts.jsonl.gz")
    recordings = []
    for broadcast in sorted({burst["broadcast"] for burst in bursts}):
        own = sorted((burst for burst in bursts if burst["broadcast"] == broadcast), key=lambda burst: burst["start"])
        written = [[Comment(burst["start"], text) for text in burst["messages"]] for burst in own]
        seconds = [burst["end"] - burst["start"] for burst in own]
        recordings.append(
            Recording(
                name=f"broadcast {broadcast}",
                unit=str(broadcast),
                values=np.stack(
                    [values_of(comment_signals(some, long)) for some, long in zip(written, seconds, strict=True)]
                ),
                present=np.array([float(burst["reaction"]) for burst in own]),
                starts=np.array([burst["start"] for burst in own]),
                drawn=(str(broadcast),) * len(own),
                folds=np.full(len(own), broadcast % FOLDS),
                speech=("",) * len(own),
                comments=tuple(tuple(burst["messages"]) for burst in own),
            )
        )
    label = '1 if somebody labelled the burst amusement, amazement or "nice try"'
    return RealSet(
        "chat_en", "Bursts of English chat", label, tuple(recordings), 0.5, False, "broadcasts", False, "AUC"
    )  # fmt: skip


def esports(folder: Path) -> RealSet:
    """Two games, sound alone: steps of 5 s in segments of six, as six streams that begin a step apart."""
    recordings = []
    for fold, file in enumerate(sorted((folder / "esports").glob("*.npz"))):
        with np.load(file) as game:
            labels, starts = game["label"].astype(np.float64), game["start"].astype(np.float64)
            sound = game["sound"].astype(np.float64)
        for first in range(STEPS):
            count = (len(labels) - first) // STEPS
            steps = slice(first, first + count * STEPS)
            own_starts = starts[steps][::STEPS]
            recordings.append(
                Recording(
                    name=f"{file.stem}, from {first * STEP_SECONDS:.0f} s",
                    unit=file.stem,
                    values=np.stack([values_of(sound_of(part)) for part in np.split(sound[steps], count)]),
                    present=labels[steps].reshape(count, STEPS).mean(axis=1),
                    starts=own_starts,
                    drawn=tuple(f"{file.stem}:{start // BLOCK_SECONDS:.0f}" for start in own_starts),
                    folds=np.full(count, fold),
                    speech=("",) * count,
                    comments=((),) * count,
                )
            )
    label = "mean over the segment's six steps of 1 in a highlight, 0.5 near one"
    return RealSet("esports", "Esports, sound alone", label, tuple(recordings), 0.499, True, "blocks of 10 minutes")


def sound_of(steps: Floats) -> dict[str, float]:
    """Signals of sound from steps [T, 128]: 64 means and 64 deviations of log-mels in decibels.

    Each step was computed alone, with its own loudest cell as 0 dB (librosa's `power_to_db(ref=np.max)`, 16 kHz, 1,024
    samples, mels up to 8 kHz). So their mean is `fullness`, and no level of the whole or of a band can be recovered.
    Issue 12 and the folder's README call that mean loudness.
    """
    return {"fullness": float(steps[:, :64].mean() / 10)}


READERS: dict[str, Callable[[Path], RealSet]] = {
    "football": football,
    "chat_zh": chat_zh,
    "chat_en": chat_en,
    "esports": esports,
}
