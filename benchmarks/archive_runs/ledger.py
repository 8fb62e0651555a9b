"""A long ledger: how soon a run over an archive that is done but for one recording begins with that one.

One recording is scored; then its file and its run folder stand there many times, by hard links. The first run after
that has no ledger to trust and reads every run folder.
"""

import os
import shutil
import sqlite3
import time
from contextlib import closing, suppress
from pathlib import Path

from fault_campaign.result import Figure
from support.media import make

from archive_runs.commands import LONG_AGO, batch, measure, processor_time, start

FEW = 1_000  # recordings, with whose memory that of many is compared
MOST_SECONDS, MOST_MORE_MB = 3.0, 150.0
NEW = "9999999.flv"  # the last of the archive
PATIENCE = 600.0  # seconds
MOST_LINKS = 60_000  # to one file; a file system may allow no more than 65,000


def run(folder: Path, size: int) -> tuple[Figure, ...]:
    """Measure `size` recordings."""
    few, many = _done_archive(folder / "few", FEW), _done_archive(folder / "many", size)
    measure(*batch(few))
    rebuilt, small, again = measure(*batch(many)), measure(*batch(few)), measure(*batch(many))
    begins, processor = min(_time_to_begin(many) for _ in range(3))
    return (
        Figure("recordings", size),
        Figure("until the one that is new begins", begins, "s", MOST_SECONDS),
        Figure("processor time until then", processor, "s"),
        Figure("to look at all others, too", again.wall, "s"),
        Figure("of it processor time", again.processor, "s"),
        Figure("with a lost ledger", rebuilt.wall, "s"),
        Figure("peak memory", again.peak_mb, "MB"),
        Figure(f"more than of {FEW} recordings", again.peak_mb - small.peak_mb, "MB", MOST_MORE_MB),
        Figure("the ledger's file", (many / "out" / "ledger.sqlite").stat().st_size / 1e6, "MB"),
    )


def _done_archive(folder: Path, rows: int) -> Path:
    """A folder with `in` and `out`: so many recordings, each with the run folder of the first, and no ledger."""
    source, output = folder / "in", folder / "out"
    source.mkdir(parents=True)
    first = make(source / "0000000.flv", seconds=4.0)
    os.utime(first, (LONG_AGO, LONG_AGO))
    measure(*batch(folder))
    for ledger in output.glob("ledger.sqlite*"):
        ledger.unlink()
    files = [path for path in (output / first.name).iterdir() if path.is_file()]
    for number in range(1, rows):
        name = f"{number:07}.flv"
        put = os.link if number % MOST_LINKS else shutil.copy2
        put(first, source / name)
        (output / name).mkdir()
        for file in files:
            put(file, output / name / file.name)
        if put is shutil.copy2:
            first, files = source / name, [output / name / file.name for file in files]
    return folder


def _time_to_begin(folder: Path) -> tuple[float, float]:
    """Seconds until the ledger has the new recording as running, and of processor time; that run is killed."""
    new = folder / "in" / NEW
    shutil.copy(folder / "in" / "0000000.flv", new)
    os.utime(new, (LONG_AGO, LONG_AGO))
    shutil.rmtree(folder / "out" / NEW, ignore_errors=True)
    began = time.monotonic()
    process = start(*batch(folder))
    try:
        while not _is_running(folder / "out" / "ledger.sqlite"):
            if process.poll() is not None or time.monotonic() > began + PATIENCE:
                raise AssertionError(f"{NEW} was not begun")
            time.sleep(0.02)
        return time.monotonic() - began, processor_time(process.pid)
    finally:
        process.kill()
        process.wait()


def _is_running(ledger: Path) -> bool:
    with suppress(sqlite3.OperationalError), closing(sqlite3.connect(ledger, timeout=0.01)) as database:
        found = database.execute("SELECT process FROM recordings WHERE name = ? AND state = 'running'", (NEW,))
        return any(Path(f"/proc/{process}").exists() for (process,) in found)
    return False
