"""scores.jsonl: one line per segment, on disk as soon as the segment is scored (docs/output.md)."""

import json
import math
from pathlib import Path
from types import TracebackType
from typing import Self

from kuaihl.engines.outputs.atomic import cannot_write
from kuaihl.engines.outputs.highlights_json import SCORE_DECIMALS, TIME_DECIMALS, event_entry
from kuaihl.engines.types import ScoredSegment
from kuaihl.models.errors import ModelError


class ScoresWriter:
    """Writes one line per segment and flushes it: a crash loses only the segment in flight.

    Raises UsageError if the file cannot be written.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            self.file = path.open("w", encoding="utf-8", errors="replace", newline="\n")
        except OSError as error:
            raise cannot_write(path, error) from error

    def write(self, scored: ScoredSegment) -> None:
        line = score_line(scored)
        try:
            self.file.write(line + "\n")
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

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


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
            "events": [event_entry(event) for event in scored.events],
        },
        ensure_ascii=False,
        allow_nan=False,
    )
