"""batch.jsonl as an export of the ledger: one line more per result, written once, whichever process made the result."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self

from kuaihl.engines.archive.ledger import Ledger, Row
from kuaihl.engines.outputs.batch_jsonl import BATCH_FILE, last_entries
from kuaihl.engines.outputs.json_lines import LineWriter
from kuaihl.models.errors import KuaihlError

_STATUS = {"done": "done", "failed": "failed", "quarantined": "failed"}  # of a row by its state


class BatchExport:
    """The file, open until `close`. `show` gets each line as an object too."""

    def __init__(self, ledger: Ledger, folder: Path, show: Callable[[dict[str, Any]], None]) -> None:
        """Lines that a kill or a loss of power kept from the file are written. Raises UsageError if it cannot be."""
        self._ledger, self._folder, self._show = ledger, folder, show
        self._lines = LineWriter(folder / BATCH_FILE)
        with ledger.transaction():
            if ledger.exported_bytes != self._size():
                self._compare()
        self.write()

    def write(self) -> None:
        """Write the results that the file lacks. If it cannot take them, the next run writes them."""
        try:
            with self._ledger.transaction():
                rows = [row for row in self._ledger.untold() if row.state in _STATUS]
                for row in rows:
                    entry = _entry_of(row, self._folder)
                    self._lines.write(entry)
                    self._show(entry)
                if rows:
                    self._ledger.note_told(row.name for row in rows)
                    self._ledger.note_exported(self._size())
        except KuaihlError:
            return

    def close(self) -> None:
        self._lines.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _compare(self) -> None:
        """Note for each row whether the file has its result: it is not as this ledger left it."""
        last = last_entries(self._lines.path)
        for row in self._ledger.rows("done", "failed", "quarantined"):
            is_told = row.name in last and last[row.name].get("status") == _STATUS[row.state]
            if is_told != bool(row.told):
                self._ledger.note_told([row.name], told=is_told)
        self._ledger.note_exported(self._size())

    def _size(self) -> int:
        return os.fstat(self._lines.file.fileno()).st_size  # somebody may have deleted the file


def _entry_of(row: Row, folder: Path) -> dict[str, Any]:
    return {
        "source": row.source,
        "output": str(folder / row.name),
        "status": _STATUS[row.state],
        "reason": row.reason,
        "warnings": row.warning_list,
        "seconds": row.seconds or 0.0,
    }
