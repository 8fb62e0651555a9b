"""A ledger made again from what a batch left: its run folders, and the failures in batch.jsonl."""

import json
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from kuaihl.engines.archive.ledger import Ledger, Row
from kuaihl.engines.outputs.batch_jsonl import BATCH_FILE, last_entries
from kuaihl.engines.outputs.run_folder import SCORES_FILE, has_scores, is_finished, was_interrupted
from kuaihl.engines.outputs.run_record import read_record
from kuaihl.engines.outputs.scores_jsonl import read_scores
from kuaihl.engines.warnings import warnings_of
from kuaihl.models.errors import SourceError


def rebuild(ledger: Ledger, folder: Path) -> int:
    """Fill an empty ledger from a batch's output folder; returns the number of rows.

    Options are not known by their hash, so the next run looks at each run folder itself.
    """
    last = last_entries(folder / BATCH_FILE)
    rows = 0
    with ledger.transaction():
        for row in _rows_of(folder, last):
            ledger.put_back(row)
            rows += 1
    return rows


def _rows_of(folder: Path, last: dict[str, dict[str, Any]]) -> Iterator[Row]:
    for run in sorted(one for one in folder.iterdir() if one.is_dir()):
        record = read_record(run) if has_scores(run) else None
        if record is None or not (is_finished(run) or (record.source.size is not None and not was_interrupted(run))):
            continue
        entry = last.pop(run.name, {})
        is_told = entry.get("status") == "done"
        warnings = entry.get("warnings", []) if is_told else list(found_warnings(run))
        yield Row(
            name=run.name,
            source=record.source.name,
            state="done",
            tries=1,
            warnings=json.dumps(warnings),
            bundle=record.bundle_sha256,
            size=record.source.size,
            modified_ns=record.source.modified_ns,
            ends_sha256=record.source.ends_sha256,
            told=int(is_told),
            ended=(run / SCORES_FILE).stat().st_mtime,
            seconds=entry.get("seconds", 0.0),
        )
    for name, entry in last.items():
        if entry.get("status") == "failed":
            yield Row(name, str(entry.get("source", name)), "failed", tries=1, reason=str(entry.get("reason")))


def found_warnings(run: Path) -> Sequence[str]:
    """The warnings of a recording that an earlier run has scored, from its scores; none if they are damaged."""
    with suppress(SourceError):
        return warnings_of(event for one in read_scores(run / SCORES_FILE) for event in one.scored.events)
    return ()
