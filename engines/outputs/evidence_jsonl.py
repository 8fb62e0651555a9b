"""evidence.jsonl: what a report shows beside the scores, one line per segment (docs/report.md).

That is the network's answers with a part of its input left out, the comments that stood out, and small pictures. A
segment that was scored twice has two lines, and the last one counts.
"""

import base64
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

from kuaihl.engines.outputs.highlights_json import SCORE_DECIMALS, TIME_DECIMALS
from kuaihl.engines.outputs.json_lines import LineWriter, read_objects
from kuaihl.engines.types import SmallPicture

# What was left out: each takes the signals that are about it along; "signals" is all numbers beside pictures and words.
Part = Literal["pictures", "words", "comments", "sound", "signals"]
PARTS: tuple[Part, ...] = get_args(Part)


@dataclass(frozen=True)
class Answer:
    """The network's outputs after a segment, both in (0, 1)."""

    score: float
    interest: float | None


@dataclass(frozen=True)
class LoudComment:
    """A comment that stood out in a segment; its author is not kept."""

    time: float  # of the first one with this text, in seconds on the stream's clock
    text: str
    count: int  # of comments with this text in the segment
    value: float | None = None  # the highest price paid for one


@dataclass(frozen=True)
class SegmentEvidence:
    """One line; `without` is empty if the run went on from a state that had no such answers."""

    segment: int
    without: Mapping[Part, Answer]
    comments: tuple[LoudComment, ...]
    pictures: tuple[SmallPicture, ...]


class EvidenceWriter:
    """Appends lines; a torn last line of an earlier run goes first. Raises UsageError if it cannot be written."""

    def __init__(self, path: Path) -> None:
        self._lines = LineWriter(path)

    def write(self, evidence: SegmentEvidence) -> None:
        self._lines.write(_entry(evidence))

    def close(self) -> None:
        self._lines.close()


def read_evidence(path: Path) -> dict[int, SegmentEvidence]:
    """The evidence by segment; empty without such a file. A line that is torn or of another version is left out."""
    found = {}
    for entry in read_objects(path):
        with suppress(ValueError, KeyError, TypeError, AttributeError):
            evidence = _parse(entry)
            found[evidence.segment] = evidence
    return found


def _entry(evidence: SegmentEvidence) -> dict[str, Any]:
    return {
        "segment": evidence.segment,
        "without": {part: _answer_entry(answer) for part, answer in evidence.without.items()},
        "comments": [
            {
                "time": round(one.time, TIME_DECIMALS),
                "text": one.text,
                "count": one.count,
                **({} if one.value is None else {"value": one.value}),
            }
            for one in evidence.comments
        ],
        "pictures": [
            {"time": round(one.time, TIME_DECIMALS), "webp": base64.b64encode(one.webp).decode("ascii")}
            for one in evidence.pictures
        ],
    }


def _answer_entry(answer: Answer) -> dict[str, float]:
    interest = {} if answer.interest is None else {"interest": round(answer.interest, SCORE_DECIMALS)}
    return {"score": round(answer.score, SCORE_DECIMALS)} | interest


def _parse(said: dict[str, Any]) -> SegmentEvidence:
    return SegmentEvidence(
        segment=int(said["segment"]),
        without={
            part: Answer(float(said["without"][part]["score"]), said["without"][part].get("interest"))
            for part in PARTS
            if part in said["without"]
        },
        comments=tuple(LoudComment(**one) for one in said["comments"]),
        pictures=tuple(
            SmallPicture(float(one["time"]), base64.b64decode(one["webp"], validate=True)) for one in said["pictures"]
        ),
    )
