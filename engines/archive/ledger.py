"""The ledger of an archive: one row per recording, in SQLite; what became of it, and an index of what is done.

It is an account. Whether a recording is done is decided by its run folder; the ledger only remembers the decision, with
what it rested on. So a lost ledger loses no score (engines/archive/rebuilding.py), and one that cannot be written, for
instance because the disk is full, ends nothing.
"""

import json
import sqlite3
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any, Literal, Self

from kuaihl.engines.archive.jobs import Job, JobResult, LeftOut
from kuaihl.engines.archive.processes import ProcessName, own_name
from kuaihl.models.credentials import mask_credentials, shown_source

LEDGER_FILE = "ledger.sqlite"
State = Literal["waiting", "running", "done", "failed", "quarantined", "left out"]

_VERSION = 1  # raised by one if a column means something else; a ledger of another version is rebuilt
_BUSY_SECONDS = 30.0  # to wait for another process that writes
_POLL_SECONDS = 0.01
_SCHEMA = """
CREATE TABLE recordings (
    name TEXT PRIMARY KEY,
    source TEXT NOT NULL,
    state TEXT NOT NULL,
    tries INTEGER NOT NULL DEFAULT 0,
    reason TEXT,
    warnings TEXT NOT NULL DEFAULT '[]',
    options TEXT, bundle TEXT, inputs TEXT,
    size INTEGER, modified_ns INTEGER, ends_sha256 TEXT,
    products TEXT,
    told INTEGER NOT NULL DEFAULT 1,
    begun REAL, ended REAL, seconds REAL, media_seconds REAL,
    host TEXT, process INTEGER, process_begun INTEGER
) WITHOUT ROWID;
CREATE INDEX by_state ON recordings (state);
CREATE INDEX untold ON recordings (told) WHERE told = 0;
CREATE TABLE export (bytes INTEGER NOT NULL);
INSERT INTO export VALUES (0);
"""


@dataclass(frozen=True)
class Basis:
    """What the result of a job rests on, as it was when its try began; None for what only a file has."""

    options: str  # a hash of those that what is made depends on
    bundle: str  # the SHA-256 of the bundle
    inputs: str | None  # sizes and times of the files that it is made from
    size: int | None = None
    modified_ns: int | None = None
    ends_sha256: str | None = None  # as in run.json


@dataclass(frozen=True)
class Row:
    """What the ledger knows of a recording; times are seconds since the epoch."""

    name: str  # of its run folder, by which it is found again wherever the archive lies
    source: str  # without credentials
    state: State
    tries: int = 0  # that came to an end with this content, these options and weights
    reason: str | None = None
    warnings: str = "[]"  # as JSON
    options: str | None = None
    bundle: str | None = None
    inputs: str | None = None
    size: int | None = None
    modified_ns: int | None = None
    ends_sha256: str | None = None
    products: str | None = None  # sizes and times of the files that were made
    told: int = 1  # 0 while batch.jsonl lacks the line of the last result
    begun: float | None = None
    ended: float | None = None
    seconds: float | None = None
    media_seconds: float | None = None
    host: str | None = None  # the process that runs it
    process: int | None = None
    process_begun: int | None = None

    @property
    def is_running(self) -> bool:
        """Whether a process that may live is doing it; one that was killed left `running` behind."""
        if self.state != "running" or self.host is None or self.process is None:
            return False
        return ProcessName(self.host, self.process, self.process_begun or 0).may_live()

    def has_basis(self, basis: "Basis") -> bool:
        """Whether nothing that its result rests on has changed, as far as sizes, times and hashes tell."""
        return (self.options, self.bundle, self.inputs) == (basis.options, basis.bundle, basis.inputs)

    @property
    def warning_list(self) -> list[str]:
        return list(json.loads(self.warnings))


_COLUMNS = tuple(one.name for one in fields(Row))
_SELECT = f"SELECT {', '.join(_COLUMNS)} FROM recordings"


class Ledger:
    """The ledger of a folder, open until `close`; several processes may have it open at once.

    After an error of the file it reads as empty and writes nothing; `report` gets one line about that.
    """

    def __init__(self, path: Path, report: Callable[[str], None]) -> None:
        """Open the file, or make it; `is_new` if so. One that is damaged is moved aside."""
        self.path, self._report = path, report
        self.is_new = not path.exists()
        self._told_error = False
        self._own = own_name()
        try:
            self._database = _open(path)
        except sqlite3.OperationalError as error:
            self._complain(error)
            self._database = _open(Path(":memory:"))
        except sqlite3.DatabaseError:
            report(f"{path}: the ledger is damaged; it is moved aside and made again from the run folders")
            _move_aside(path)
            self.is_new = True
            self._database = _open(path)

    def find(self, name: str) -> Row | None:
        """The row of a recording by the name of its run folder."""
        for row in self._query(f"{_SELECT} WHERE name = ?", (name,)):
            return row
        return None

    def names(self, state: State) -> set[str]:
        """The names of all rows in a state."""
        return {name for (name,) in self._execute("SELECT name FROM recordings WHERE state = ?", (state,))}

    def rows(self, *states: State) -> Iterator[Row]:
        """The rows in some states, by name."""
        marks = ", ".join("?" * len(states))
        return self._query(f"{_SELECT} WHERE state IN ({marks}) ORDER BY name", states)

    def counts(self) -> dict[str, int]:
        """The number of rows by state."""
        return dict(self._execute("SELECT state, count(*) FROM recordings GROUP BY state"))

    def rate(self, seconds: float) -> float | None:
        """Media seconds per second over the last `seconds` in which something was done; None if nothing was."""
        found = self._execute(
            "SELECT sum(media_seconds), max(ended) - min(begun) FROM recordings WHERE state = 'done' AND ended >= "
            "(SELECT max(ended) FROM recordings WHERE state = 'done') - ?",
            (seconds,),
        )
        media, wall = next(iter(found), (None, None))
        return media / wall if media and wall else None

    def enter(self, jobs: Iterable[Job]) -> None:
        """Enter those that have no row, or were left out, as waiting."""
        self._write_all(
            "INSERT INTO recordings (name, source, state) VALUES (?, ?, 'waiting') ON CONFLICT (name) DO "
            "UPDATE SET state = excluded.state, reason = NULL WHERE state = 'left out'",
            ((job.output.name, shown_source(job.source)) for job in jobs),
        )

    def leave_out(self, files: Iterable[LeftOut], *, only: bool) -> None:
        """Enter files that are no job as left out; if `only`, those of earlier calls that are not among them go.

        A recording that is done stays so: only its comments may have changed.
        """
        if only:
            self._execute("DELETE FROM recordings WHERE state = 'left out'")
        self._write_all(
            "INSERT INTO recordings (name, source, state, reason) VALUES (?, ?, 'left out', ?) ON CONFLICT (name) DO "
            "UPDATE SET state = excluded.state, reason = excluded.reason WHERE state <> 'done'",
            ((one.name, shown_source(one.source), one.reason) for one in files if one.name),
        )

    def begin(self, job: Job, basis: Basis) -> None:
        """Note that this process does a job. Tries on another basis count no more, nor do those of a quarantined one.

        A job that another living process is doing stays its own.
        """
        own = self._own
        running = _row_of(job, "running", basis, begun=time.time())
        running = replace(running, host=own.host, process=own.number, process_begun=own.begun)
        with self.transaction():
            row = self.find(job.output.name)
            if row is not None and row.is_running and not self._is_own(row):
                return
            counts = row is not None and row.has_basis(basis) and row.state != "quarantined"
            self._write(replace(running, tries=row.tries) if row is not None and counts else running)

    def end(self, result: JobResult, state: State, products: str | None) -> None:
        """Note how a try ended that this process began; `products` are the sizes and times of what was made."""
        self._execute(
            "UPDATE recordings SET state = ?, tries = tries + 1, reason = ?, warnings = ?, products = ?, told = 0, "
            "ended = ?, seconds = ?, media_seconds = ?, host = NULL, process = NULL, process_begun = NULL "
            "WHERE name = ?",
            (
                state,
                None if result.reason is None else mask_credentials(str(result.reason)),
                json.dumps(result.warnings),
                products,
                time.time(),
                round(result.seconds, 3),
                round(result.progress.media_seconds, 3),
                result.job.output.name,
            ),
        )

    def confirm(self, job: Job, basis: Basis, products: str | None, warnings: Callable[[], Sequence[str]]) -> None:
        """Note that a recording was found done, with its `warnings` if the ledger did not know that yet."""
        row = self.find(job.output.name)
        if row is not None and row.is_running and not self._is_own(row):
            return
        if row is None or row.state != "done":
            said = json.dumps(list(warnings()))
            row = replace(_row_of(job, "done", basis, tries=1), warnings=said, told=0, ended=time.time(), seconds=0.0)
        self._write(replace(row, **asdict(basis), products=products))

    def give_back(self, name: str | None = None, state: State = "waiting") -> None:
        """Let a recording, or all that this process was doing, have another state: the try came to no end."""
        self._execute(
            "UPDATE recordings SET state = ?, host = NULL, process = NULL, process_begun = NULL WHERE "
            "state = 'running' AND host = ? AND process = ? AND (? IS NULL OR name = ?)",
            (state, self._own.host, self._own.number, name, name),
        )

    def put_back(self, row: Row) -> None:
        """Write a row of a lost ledger again."""
        self._write(row)

    def untold(self) -> list[Row]:
        """The rows whose last result batch.jsonl lacks, in the order in which they ended."""
        return list(self._query(f"{_SELECT} WHERE told = 0 ORDER BY ended", ()))

    def note_told(self, names: Iterable[str], *, told: bool = True) -> None:
        """Note whether batch.jsonl has the lines of rows."""
        with self.transaction():
            self._database.executemany("UPDATE recordings SET told = ? WHERE name = ?", ((told, one) for one in names))

    @property
    def exported_bytes(self) -> int:
        """The size of batch.jsonl when this or another process last wrote to it."""
        return next((int(found) for (found,) in self._execute("SELECT bytes FROM export")), 0)

    def note_exported(self, size: int) -> None:
        self._execute("UPDATE export SET bytes = ?", (size,))

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Keep other processes from writing meanwhile; all or nothing is written. An error of the file ends it."""
        if self._database.in_transaction:
            yield
            return
        try:
            self._database.execute("BEGIN IMMEDIATE")
            with self._database:
                yield
        except sqlite3.Error as error:
            self._complain(error)

    def close(self) -> None:
        """Let what this process was doing wait again, and close the file."""
        self.give_back()
        with suppress(sqlite3.Error):
            self._database.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _is_own(self, row: Row) -> bool:
        return (row.host, row.process) == (self._own.host, self._own.number)

    def _write(self, row: Row) -> None:
        marks = ", ".join("?" * len(_COLUMNS))
        self._execute(
            f"INSERT OR REPLACE INTO recordings ({', '.join(_COLUMNS)}) VALUES ({marks})",
            tuple(getattr(row, name) for name in _COLUMNS),
        )

    def _query(self, statement: str, values: tuple[Any, ...]) -> Iterator[Row]:
        return (Row(*map(_read, found)) for found in self._execute(statement, values))

    def _execute(self, statement: str, values: tuple[Any, ...] = ()) -> Iterable[Any]:
        try:
            return self._database.execute(statement, tuple(map(_bound, values)))
        except sqlite3.Error as error:
            self._complain(error)
            return ()

    def _write_all(self, statement: str, values: Iterable[tuple[Any, ...]]) -> None:
        with self.transaction():
            self._database.executemany(statement, (tuple(map(_bound, each)) for each in values))

    def _complain(self, error: sqlite3.Error) -> None:
        if not self._told_error:
            self._told_error = True
            self._report(f"{self.path}: the ledger cannot be kept ({error}); the run folders have all that counts")


def _open(path: Path) -> sqlite3.Connection:
    """Open or make a ledger. Raises sqlite3.OperationalError if it cannot be, DatabaseError if it is damaged."""
    database = sqlite3.connect(path, timeout=_BUSY_SECONDS, isolation_level=None)
    try:
        _keep_write_ahead_log(database)
        database.execute("PRAGMA synchronous = NORMAL")  # a kill loses nothing, a power cut the last rows
        version = _version_of(database)
        if version not in (0, _VERSION):
            raise sqlite3.DatabaseError(f"version {version}")
        if version and database.execute("PRAGMA quick_check(1)").fetchone() != ("ok",):
            raise sqlite3.DatabaseError("damaged")
        if not version:
            _make_tables(database)
    except BaseException:
        database.close()
        raise
    return database


def _keep_write_ahead_log(database: sqlite3.Connection) -> None:
    """SQLite does not wait for another process that changes to it at this moment."""
    deadline = time.monotonic() + _BUSY_SECONDS
    while True:
        try:
            database.execute("PRAGMA journal_mode = WAL")
            return
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                raise
            time.sleep(_POLL_SECONDS)


def _make_tables(database: sqlite3.Connection) -> None:
    """Make the tables, unless another process was quicker."""
    database.execute("BEGIN IMMEDIATE")
    if not _version_of(database):
        for statement in _SCHEMA.split(";"):
            database.execute(statement)
        database.execute(f"PRAGMA user_version = {_VERSION}")
    database.execute("COMMIT")


def _version_of(database: sqlite3.Connection) -> int:
    return int(database.execute("PRAGMA user_version").fetchone()[0])


def _row_of(job: Job, state: State, basis: Basis, **columns: Any) -> Row:
    return Row(job.output.name, shown_source(job.source), state, **asdict(basis), **columns)


def _move_aside(path: Path) -> None:
    for suffix in ("-wal", "-shm"):
        path.with_name(path.name + suffix).unlink(missing_ok=True)
    path.replace(path.with_name(path.name + ".damaged"))


def _bound(value: Any) -> Any:
    """A value as SQLite takes it: a file's name that is not UTF-8 as bytes."""
    if isinstance(value, str) and not value.isascii():
        data = value.encode("utf-8", "surrogatepass")
        return data if any("\ud800" <= character <= "\udfff" for character in value) else value
    return value


def _read(value: Any) -> Any:
    return value.decode("utf-8", "surrogatepass") if type(value) is bytes else value
