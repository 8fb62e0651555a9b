"""Tables that users bring, as csv or parquet: a path and the wanted columns in, batches of those columns out."""

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from kuaihl.models.errors import SourceError, UsageError, reason_of

if TYPE_CHECKING:
    import pyarrow as pa

Kind = Literal["text", "number"]
_BLOCK_BYTES = 16 << 20  # of csv, per read
BATCH_ROWS = 1 << 19  # of parquet, per batch
_PARQUET = b"PAR1"


def table_batches(path: Path, wanted: dict[str, Kind], optional: Sequence[str] = ()) -> "Iterator[pa.RecordBatch]":
    """Read a table batch by batch; `wanted` columns that are in `optional` may be missing.

    Raises SourceError if it cannot be read or lacks a column, UsageError if pyarrow is missing.
    """
    try:
        import pyarrow as pa
    except ImportError as error:
        raise UsageError("tables need pyarrow: pip install 'kuaihl[train]'") from error
    types: dict[Kind, Any] = {"text": pa.string(), "number": pa.float64()}
    is_parquet = False
    try:
        with path.open("rb") as file:
            is_parquet = file.read(len(_PARQUET)) == _PARQUET
        batches = _parquet_batches(path) if is_parquet else _csv_batches(path, types, wanted)
        for batch in batches:
            missing = [name for name in wanted if name not in batch.schema.names and name not in optional]
            if missing:
                raise SourceError(
                    f"{path}: has no column {' nor '.join(missing)}; it has {', '.join(batch.schema.names[:20])}"
                )
            doubled = [name for name in wanted if batch.schema.names.count(name) > 1]
            if doubled:
                raise SourceError(f"{path}: has the column {doubled[0]} more than once; keep one of them")
            present = [name for name in wanted if name in batch.schema.names]
            yield pa.RecordBatch.from_arrays(
                [_as_type(batch.column(name), types[wanted[name]]) for name in present], names=present
            )
    except OSError as error:
        raise SourceError(f"{path}: cannot be read ({error.strerror or error})") from error
    except (pa.ArrowException, UnicodeDecodeError) as error:
        reason = ("" if is_parquet else _line_that_fails(path, types, wanted)) or reason_of(error)
        raise SourceError(f"{path}: cannot be read as csv or parquet ({reason})") from error


def _as_type(column: Any, wanted: Any) -> Any:
    """A column as text or numbers: ids may be stored as numbers, times as integers or dates."""
    return column if column.type == wanted else column.cast(wanted)


def _parquet_batches(path: Path) -> "Iterator[pa.RecordBatch]":
    import pyarrow.parquet as pq

    with pq.ParquetFile(path) as file:
        yield from file.iter_batches(batch_size=BATCH_ROWS)


def _line_that_fails(path: Path, types: dict[Kind, Any], wanted: dict[str, Kind]) -> str:
    """The faulty line of a csv and its fault, which pyarrow reports only on one thread; "" if it does not."""
    import pyarrow as pa

    try:
        for _ in _csv_batches(path, types, wanted, threads=False):
            pass
    except (pa.ArrowException, UnicodeDecodeError) as error:
        found = re.search(r"Row #(\d+): .*invalid value (.*)", str(error).splitlines()[0])
        return f"line {found[1]}: {found[2]} is no number" if found else ""
    return ""


def _csv_batches(
    path: Path, types: dict[Kind, Any], wanted: dict[str, Kind], *, threads: bool = True
) -> "Iterator[pa.RecordBatch]":
    from pyarrow import csv

    with csv.open_csv(
        path,
        read_options=csv.ReadOptions(block_size=_BLOCK_BYTES, use_threads=threads),
        convert_options=csv.ConvertOptions(column_types={name: types[kind] for name, kind in wanted.items()}),
    ) as reader:
        yield from reader
