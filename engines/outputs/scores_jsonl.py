"""scores.jsonl: one line per segment, on disk as soon as the segment is scored (docs/output.md).

A line holds all that highlights are chosen from, so a run can go on from the file, and highlights can be made again.
"""

import json
import math
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple, Self

from kuaihl.engines.outputs.atomic import cannot_write
from kuaihl.engines.outputs.highlights_json import SCORE_DECIMALS, TIME_DECIMALS, event_entry
from kuaihl.engines.types import Event, ScoredSegment, SeekPoint, Sentence
from kuaihl.models.errors import ModelError, SourceError
from kuaihl.models.json_text import parse_json

_SHIFT_DECIMALS = 6  # of seconds: a clip's times are read through it


class ScoresWriter:
    """Appends one line per segment and flushes it: a crash loses only the segment in flight.

    `keep` is the number of bytes that stay, None for all; what follows them goes with the first new line. Raises
    UsageError if the file cannot be written.
    """

    def __init__(self, path: Path, *, keep: int | None = None) -> None:
        self.path = path
        self.keep = keep
        try:
            self.file = path.open("ab")
        except OSError as error:
            raise cannot_write(path, error) from error

    def write(self, scored: ScoredSegment) -> None:
        line = score_line(scored)
        try:
            if self.keep is not None and self.file.tell() > self.keep:
                self.file.truncate(self.keep)
            self.keep = None
            self.file.write(f"{line}\n".encode("utf-8", "replace"))
            self.file.flush()
        except OSError as error:
            raise cannot_write(self.path, error) from error

    def close(self) -> None:
        try:
            self.file.close()
        except OSError as error:
            raise cannot_write(self.path, error) from error

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class WrittenScore(NamedTuple):
    """A segment as scores.jsonl has it, and where its line ends in the file."""

    scored: ScoredSegment
    ends_at: int  # bytes


def read_scores(path: Path) -> list[WrittenScore]:
    """The segments of a file that a run wrote; a last line that a crash has torn is left out.

    Raises SourceError if the file cannot be read or holds something else.
    """
    try:
        return list(_read_lines(path))
    except FileNotFoundError:
        return []
    except OSError as error:
        raise SourceError(f"{path}: cannot be read ({error.strerror})") from error


def _read_lines(path: Path) -> Iterator[WrittenScore]:
    at = 0
    with path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            at += len(line)
            if not line.endswith(b"\n"):
                return
            try:
                yield WrittenScore(parse_score(line.decode("utf-8")), at)
            except (ValueError, TypeError, KeyError) as error:
                raise SourceError(f"{path}, line {number}: not a line of scores") from error


def score_line(scored: ScoredSegment) -> str:
    """One segment as a line of JSON; `interest` only if the network gave one. Raises ModelError if not finite."""
    interest = {} if scored.interest is None else {"interest": round(scored.interest, SCORE_DECIMALS)}
    for value in (scored.score, *interest.values()):
        if not math.isfinite(value):
            raise ModelError(f"the model gave {value} for segment {scored.segment}: the bundle's head is damaged")
    return json.dumps(
        {
            "segment": scored.segment,
            "start": round(scored.start, TIME_DECIMALS),
            "end": round(scored.end, TIME_DECIMALS),
            "predicts_start": round(scored.predicts_start, TIME_DECIMALS),
            "predicts_end": round(scored.predicts_end, TIME_DECIMALS),
            "score": round(scored.score, SCORE_DECIMALS),
            **interest,
            "text": scored.text,
            "comments": scored.comments,
            "gap": scored.gap,
            "wall_time": round(scored.wall_time, TIME_DECIMALS),
            "sentences": [
                {"start": round(one.start, TIME_DECIMALS), "end": round(one.end, TIME_DECIMALS), "text": one.text}
                for one in scored.sentences
            ],
            "keyframes": [round(time, TIME_DECIMALS) for time in scored.keyframe_times],
            **({} if scored.seek is None else {"seek": _seek_entry(scored.seek)}),
            **({"loudness": scored.loudness} if scored.loudness else {}),
            "events": [event_entry(event) for event in scored.events],
        },
        ensure_ascii=False,
        allow_nan=False,
    )


def _seek_entry(point: SeekPoint) -> dict[str, float]:
    return {
        "byte": point.byte,
        "time": round(point.time, TIME_DECIMALS),
        "shift": round(point.shift, _SHIFT_DECIMALS),
    }


@cache
def _shared(decibels: float) -> float:
    """The same object for the same level: a stream of days has millions, and some hundred differ."""
    return decibels


def parse_score(line: str) -> ScoredSegment:
    """The inverse of `score_line`, within its rounding. Raises ValueError, TypeError or KeyError for another line."""
    said = parse_json(line)
    return ScoredSegment(
        sentences=tuple(Sentence(**one) for one in said.pop("sentences", ())),
        keyframe_times=tuple(said.pop("keyframes", ())),
        seek=SeekPoint(**said.pop("seek")) if "seek" in said else None,
        loudness=tuple(map(_shared, said.pop("loudness", ()))),
        events=tuple(Event(**one) for one in said.pop("events")),
        **said,
    )
