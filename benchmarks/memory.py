"""Peak memory and start-up of `kuaihl score`, with the edge bundle: every run is a process over the demonstration.

    python benchmarks/memory.py [--runs 3] [SOURCE] [--comments FILE]

Prints medians: the largest resident memory, seconds to the first score and to the end, and seconds of processor.
The first run is left out: it fills the caches.
"""

import argparse
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

EXAMPLES = Path(__file__).parent.parent / "examples"
POLL_SECONDS = 0.02
BYTES_PER_UNIT = 1 if sys.platform == "darwin" else 1024  # of ru_maxrss


@dataclass(frozen=True)
class Run:
    """One run of the command."""

    peak_mb: float
    first_score: float  # seconds of wall clock, as is `total`
    total: float
    processor: float  # seconds, user and system


def run_once(source: Path, comments: Path | None, folder: Path) -> Run:
    """Score the source, watching for the first line of scores.jsonl. Raises CalledProcessError if it fails."""
    command = [sys.executable, "-m", "kuaihl_cli", "score", str(source), "-o", str(folder), "--force", "--quiet"]
    if comments is not None:
        command += ["--comments", str(comments)]
    scores = folder / "scores.jsonl"
    scores.unlink(missing_ok=True)
    began = time.perf_counter()
    process = os.posix_spawn(sys.executable, command, os.environ)
    first = 0.0
    while True:
        ended, status, usage = os.wait4(process, os.WNOHANG)
        if not first and scores.is_file() and scores.stat().st_size:
            first = time.perf_counter() - began
        if ended:
            break
        time.sleep(POLL_SECONDS)
    total = time.perf_counter() - began
    if code := os.waitstatus_to_exitcode(status):
        raise subprocess.CalledProcessError(code, command)
    return Run(peak_of(usage), first, total, usage.ru_utime + usage.ru_stime)


def peak_of(usage: resource.struct_rusage) -> float:
    """The largest resident memory in MB of 1,000,000 bytes."""
    return usage.ru_maxrss * BYTES_PER_UNIT / 1e6


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source", type=Path, nargs="?", default=EXAMPLES / "demo.flv")
    parser.add_argument("--comments", type=Path, default=EXAMPLES / "demo.comments.xml")
    parser.add_argument("--runs", type=int, default=3)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        runs = [run_once(arguments.source, arguments.comments, Path(name)) for _ in range(arguments.runs + 1)][1:]
    print(f"{arguments.source.name}, medians of {arguments.runs} runs\n")
    print("| peak memory, MB | first score after, s | end after, s | processor, s |\n|---:|---:|---:|---:|")
    names = ("peak_mb", "first_score", "total", "processor")
    medians = [statistics.median(getattr(run, name) for run in runs) for name in names]
    print("| {:.0f} | {:.1f} | {:.1f} | {:.1f} |".format(*medians))


if __name__ == "__main__":
    main()
