"""Tables that users bring, as csv or parquet: a path and the wanted columns in, batches of those columns out."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from kuaihl.models.errors import SourceError, UsageError

if TYPE_CHECKING:
    import pyarrow as pa

Kind = Literal["text", "number"]
BLOCK_BYTES = 16 << 20  # of csv, read at a time
BATCH_ROWS = 1 << 19  # of parquet
PARQUET = b"PAR1"


def table_batches(path: Path, wanted: dict[str, Kind], optional: Sequence[str] = ()) -> "Iterator[pa.RecordBatch]":
    """Read a table batch by batch; of the `wanted` columns those in `optional` may be missing.

    Raises SourceError where it cannot be read or lacks a column, UsageError where pyarrow is missing.
    """
    try:
        import pyarrow as pa
    except ImportError as error:
        raise UsageError("tables need pyarrow: pip install 'kuaihl[train]'") from error
    types = {"text": pa.string(), "number": pa.float64()}
    try:
        with path.open("rb") as file:
            is_parquet = file.read(len(PARQUET)) == PARQUET
        batches = parquet_batches(path) if is_parquet else csv_batches(path, {n: types[k] for n, k in wanted.items()})
        for batch in batches:
            missing = [name for name in wanted if name not in batch.schema.names and name not in optional]
            if missing:
                raise SourceError(
                    f"{path}: has no column {' nor '.join(missing)}; it has {', '.join(batch.schema.names[:20])}"
                )
            present = [name for name in wanted if name in batch.schema.names]
            yield pa.RecordBatch.from_arrays(
                [as_type(batch.column(name), types[wanted[name]]) for name in present], names=present
            )
    except OSError as error:
        raise SourceError(f"{path}: cannot be read ({error.strerror or error})") from error
    except (pa.ArrowException, UnicodeDecodeError) as error:
        reason = str(error).splitlines()[0]
        raise SourceError(f"{path}: cannot be read as csv or parquet ({reason})") from error


def as_type(column: Any, wanted: Any) -> Any:
    """A column as text or numbers: ids may have been written as numbers, times as whole ones or as dates."""
    return column if column.type == wanted else column.cast(wanted)


def parquet_batches(path: Path) -> "Iterator[pa.RecordBatch]":
    import pyarrow.parquet as pq

    with pq.ParquetFile(path) as file:
        yield from file.iter_batches(batch_size=BATCH_ROWS)


def csv_batches(path: Path, types: dict[str, Any]) -> "Iterator[pa.RecordBatch]":
    from pyarrow import csv

    with csv.open_csv(
        path,
        read_options=csv.ReadOptions(block_size=BLOCK_BYTES),
        convert_options=csv.ConvertOptions(column_types=types),
    ) as reader:
        yield from reader
