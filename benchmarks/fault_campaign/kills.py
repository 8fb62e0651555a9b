"""Kills: `kill -9` at random instants of every command that writes; the same command again then ends the work.

What lies there after that must be what an undisturbed run leaves, to the byte but for times of day. No worker may
outlive its command, and no temporary file the next run. A work is killed up to three times before it may end.
"""

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from support.media import make
from support.processes import is_alive
from support.small_dataset import small_dataset
from support.waiting import wait_until

from fault_campaign.result import Figure, Plan, Result

MOST_IN_A_ROW = 3  # kills of one work before it may end
LATE_SHARE = 0.75  # of the kills that come after the first file is written; the rest, at any instant
ORPHAN_SECONDS = 20.0  # within which the workers of a killed command must have ended
LONGEST_SECONDS = 600.0
LONG_AGO = 1_000_000_000.0
COMMAND = (sys.executable, "-m", "kuaihl_cli")
MARK = "KUAIHL_KILLED_WORK"  # in the environment, so that orphans are found
SCORING = ("--asr", "none", "--segment-seconds", "2", "--threads", "1", "-q")
NETWORK = ("--width", "16", "--heads", "2", "--layers", "2", "--window", "5")

Contents = dict[str, Any]


@dataclass(frozen=True)
class Work:
    """A command that writes into `out` of its working folder: as it is first given, and as given again."""

    name: str
    first: tuple[str, ...]
    again: tuple[str, ...]
    prepared: Path | None = None  # what lies in `out` before


@dataclass(frozen=True)
class Undisturbed:
    """What a run that nobody kills leaves, and its seconds before and after the first file."""

    contents: Contents
    temporaries: set[str]  # torch's own cache is one
    before: float
    after: float


def _works(inputs: Path) -> tuple[Work, ...]:
    """One of each kind, on inputs that are made once."""
    (inputs / "rooms").mkdir(parents=True)
    (inputs / "labelled").mkdir()
    one = make(inputs / "one.flv", seconds=24.0)
    for number in range(5):
        copy = make(inputs / "rooms" / f"{number}.flv", seconds=4.0 + number, first_number=7 * number)
        said = "".join(json.dumps({"time": at / 4, "text": f"well {at}"}) + "\n" for at in range(4 * (4 + number)))
        chat = inputs / "labelled" / f"{number}.jsonl"
        chat.write_text(said, encoding="utf-8")
        for place in (copy, Path(shutil.copy(copy, inputs / "labelled")), chat):
            os.utime(place, (LONG_AGO, LONG_AGO))  # or they would still count as growing, and be left out
    data = small_dataset(inputs / "data")
    score = ("score", str(one), "-o", "out", "--clips", "--format", "csv,srt", *SCORING)
    batch = ("batch", str(inputs / "rooms"), "-o", "out", "--jobs", "2", *SCORING)
    build = ("dataset", "build", str(inputs / "labelled"), "-o", "out", "--labels", "chat", "--jobs", "2", *SCORING)
    train = ("train", str(data), "-o", "out", *NETWORK, "--batch", "8", "--epochs", "3", "--validate-every", "4", "-q")
    highlights = ("highlights", "out", "--clips", "--format", "csv,srt,vtt", "--padding", "1s", "-q")
    scored = inputs / "scored"
    subprocess.run([*COMMAND, "score", str(one), "-o", str(scored), *SCORING], check=True, timeout=LONGEST_SECONDS)
    export = ("export", "edge", "--to", "onnx", "--graphs", "step,window", "--threads", "1", "-o", "out", "-q")
    return (
        Work("score", score, (*score, "--resume")),
        Work("highlights", highlights, highlights, scored),
        Work("batch", batch, batch),
        Work("dataset build", build, build),
        Work("train", (*train, "--device", "cpu"), (*train, "--device", "cpu", "--resume")),
        Work("export", export, export),
    )


class Trial:
    """A working folder of its own in which one work is done, with its own folder for temporary files."""

    def __init__(self, folder: Path, work: Work, cache: Path) -> None:
        self.folder, self.work, self.temporary = folder, work, folder.with_name(f"{folder.name}.tmp")
        folder.mkdir(parents=True)
        if work.prepared is not None:
            shutil.copytree(work.prepared, folder / "out")
        self.temporary.mkdir()
        one_thread = {"OMP_NUM_THREADS": "1", "TMPDIR": str(self.temporary), "KUAIHL_CACHE": str(cache)}
        self.environment = os.environ | one_thread | {MARK: folder.name}

    def start(self, arguments: Sequence[str]) -> "subprocess.Popen[str]":
        command = [*COMMAND, *arguments]
        return subprocess.Popen(
            command,
            cwd=self.folder,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def finish(self, arguments: Sequence[str]) -> None:
        """Run to the end. Raises AssertionError with the command's words if it fails."""
        process = self.start(arguments)
        said, _ = process.communicate(timeout=LONGEST_SECONDS)
        assert process.returncode == 0, f"exit code {process.returncode}: {said[-300:].strip()!r}"

    def kill_after(self, arguments: Sequence[str], chance: random.Random, usual: Undisturbed) -> bool:
        """Kill the command at a random instant; False if it was faster."""
        before = self.written()
        process = self.start(arguments)
        if chance.random() < LATE_SHARE:
            wait_until(lambda: process.poll() is not None or self.written() != before, seconds=LONGEST_SECONDS)
            time.sleep(chance.uniform(0.0, usual.after))
        else:
            time.sleep(chance.uniform(0.0, usual.before + usual.after))
        process.kill()
        process.communicate()
        return process.returncode == -signal.SIGKILL

    def written(self) -> set[tuple[str, int]]:
        """What lies in the working folder, by name and time."""
        found = set()
        for path in self.folder.rglob("*"):
            try:
                found.add((str(path), path.stat().st_mtime_ns))
            except FileNotFoundError:  # it has just been moved to its place
                continue
        return found

    def temporaries(self) -> set[str]:
        return {path.name for path in self.temporary.iterdir()}

    def orphans(self) -> list[int]:
        """The processes that this trial's commands have left."""
        mark = f"{MARK}={self.folder.name}\0".encode()
        found = []
        for entry in Path("/proc").iterdir():
            try:
                if entry.name.isdigit() and mark in (entry / "environ").read_bytes() + b"\0":
                    found.append(int(entry.name))
            except OSError:
                continue
        return [process for process in found if is_alive(process)]

    def contents(self) -> Contents:
        """Every file by its path, as it must come out again."""
        files = sorted(path for path in self.folder.rglob("*") if not path.is_dir() or not any(path.iterdir()))
        return {str(path.relative_to(self.folder)): _comparable(path) for path in files}


def _comparable(path: Path) -> Any:
    """What a file says apart from times of day, and from the command that made it."""
    if path.is_dir():
        return "an empty folder"
    if path.name.startswith("ledger.sqlite"):
        return "a ledger"  # it has times of day and of files
    if path.name == "checkpoint.safetensors":
        return "a checkpoint"  # its network is in the bundle
    if path.suffix not in (".json", ".jsonl"):
        return path.read_bytes()
    documents = [json.loads(part) for part in ([path.read_text()] if path.suffix == ".json" else path.open())]
    for one in documents:
        for told in (one, one.get("metrics", {})):
            for key in ("wall_time", "seconds", "command"):
                told.pop(key, None)
    return sorted(documents, key=json.dumps) if path.name == "batch.jsonl" else documents


def _difference(found: Contents, expected: Contents) -> str:
    """The first way in which two folders differ, in words; "" if they do not."""
    for name in sorted(found.keys() | expected.keys()):
        if name not in expected:
            return f"{name} is left over"
        if name not in found:
            return f"{name} is missing"
        if found[name] != expected[name]:
            return f"{name} is another: {found[name]!s:.300} instead of {expected[name]!s:.300}"
    return ""


def _do_undisturbed(trial: Trial) -> Undisturbed:
    began, before = time.monotonic(), trial.written()
    process = trial.start(trial.work.first)
    wait_until(lambda: process.poll() is not None or trial.written() != before, seconds=LONGEST_SECONDS)
    first = time.monotonic()
    said, _ = process.communicate(timeout=LONGEST_SECONDS)
    assert process.returncode == 0, said
    return Undisturbed(trial.contents(), trial.temporaries(), first - began, time.monotonic() - first)


def _kill_and_go_on(trial: Trial, kills: int, chance: random.Random, usual: Undisturbed) -> tuple[int, str]:
    """The number of kills that met a running command, and what was wrong afterwards; "" if nothing was."""
    done, arguments = 0, trial.work.first
    for _ in range(kills):
        if not trial.kill_after(arguments, chance, usual):
            break
        done, arguments = done + 1, trial.work.again
        try:
            wait_until(lambda: not trial.orphans(), seconds=ORPHAN_SECONDS)
        except AssertionError:
            return done, f"processes {trial.orphans()} live on"
    if not done:
        return 0, ""
    try:
        trial.finish(trial.work.again)
    except AssertionError as error:
        return done, str(error)
    if wrong := _difference(trial.contents(), usual.contents):
        return done, wrong
    left = trial.temporaries() - usual.temporaries
    return done, f"temporary files are left: {sorted(left)}" if left else ""


def run(plan: Plan) -> Result:
    """Force `plan.faults` kills, work after work in turn."""
    chance = random.Random(plan.seed)
    works, cache = _works(plan.folder / "inputs"), plan.folder / "cache"
    usual = {work.name: _do_undisturbed(Trial(plan.folder / f"usual-{work.name}", work, cache)) for work in works}
    kills: Counter[str] = Counter()
    failures: list[str] = []
    survived = number = 0
    while kills.total() < plan.faults:
        work = works[number % len(works)]
        wanted = min(chance.randint(1, MOST_IN_A_ROW), plan.faults - kills.total())
        trial = Trial(plan.folder / f"killed-{number}", work, cache)
        done, wrong = _kill_and_go_on(trial, wanted, chance, usual[work.name])
        kills[work.name] += done
        if not done:  # the machine was busier when it was timed
            this = usual[work.name]
            usual[work.name] = replace(this, before=this.before / 2, after=this.after / 2)
        if wrong:
            failures.append(f"{work.name}, {done} kills: {wrong}")
        else:
            survived += done
            shutil.rmtree(trial.folder)
        print(f"{work.name}: {done} kills{f': {wrong}' if wrong else ''}", file=sys.stderr, flush=True)
        number += 1
    if left := [path.name for path in cache.rglob(".*")]:
        failures.append(f"temporary files are left in the cache: {left}")
    figures = tuple(Figure(f"of {work.name}", kills[work.name]) for work in works)
    return Result(kills.total(), survived, figures, tuple(failures))
