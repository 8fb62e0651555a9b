"""Commands that are measured: what one takes with all its processes."""

import json
import os
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

OPTIONS = ("--asr", "none", "--segment-seconds", "2", "--threads", "1")
LONG_AGO = 1_000_000_000.0  # a time of change, so that nobody may still be writing


@dataclass(frozen=True)
class Spent:
    """What a command took, its workers included."""

    wall: float  # seconds
    processor: float  # seconds
    own: float  # seconds of processor time without its workers'
    peak_mb: float  # of the largest process


def start(*arguments: str | Path) -> "subprocess.Popen[bytes]":
    """`kuaihl` with these arguments; nothing of it is shown."""
    command = [sys.executable, "-m", "kuaihl_cli", *map(str, arguments)]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def measure(*arguments: str | Path, codes: tuple[int, ...] = (0,)) -> Spent:
    """Run `kuaihl` to its end. Raises CalledProcessError if it ends with another exit code."""
    began, own = time.monotonic(), 0.0
    process = start(*arguments)
    while True:
        ended, status, used = os.wait4(process.pid, os.WNOHANG)
        if ended:
            break
        own = max(own, processor_time(process.pid))
        time.sleep(0.02)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode not in codes:
        raise subprocess.CalledProcessError(process.returncode, process.args)
    return Spent(time.monotonic() - began, used.ru_utime + used.ru_stime, own, used.ru_maxrss / 1024)


def processor_time(process: int) -> float:
    """Seconds that a process has used without its children."""
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def read_status(output: Path) -> dict[str, Any]:
    """What `kuaihl batch status` says of an output folder."""
    command = [sys.executable, "-m", "kuaihl_cli", "batch", "status", str(output), "--json"]
    said: dict[str, Any] = json.loads(subprocess.run(command, capture_output=True, check=True).stdout)
    return said


def batch(folder: Path, *options: str) -> tuple[str | Path, ...]:
    """The arguments of a batch from `folder`/in to `folder`/out."""
    return "batch", folder / "in", "-o", folder / "out", *OPTIONS, *options
