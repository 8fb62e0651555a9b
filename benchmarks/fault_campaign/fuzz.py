"""Mutated input files of every kind: each is read or refused in one line, in bounded time and memory.

Child processes read them, each file under a limit of processor time and of memory. So a hang, a crash in a library and
a file that needs gigabytes count as failures of that file, and the rest go on.
"""

import math
import multiprocessing
import os
import random
import resource
import signal
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import NamedTuple

from fault_campaign.result import Figure, Plan, Result
from kuaihl.models.errors import KuaihlError

SECONDS, MEGABYTES = 10, 500  # of one input; processor time, for other work may share the machine
SILENT_SECONDS = 120.0  # of the clock, after which a reader that uses no processor counts as hung
LOADING_SECONDS = 300.0
_NO_MEMORY = "Cannot allocate memory"  # in the words of FFmpeg and of the system
_TOKENS = (
    b"\0",
    b"[",
    b"{",
    b'"',
    b"<",
    b"&",
    b"\xff",
    b"\n",
    b"-",
    b"9" * 400,
    b"1e999",
    b"null",
    b"[" * 3000,
    b"../",
)


def mutated(data: bytes, chance: random.Random) -> bytes:
    """One to eight changes: bits, bytes, repeats, cuts, moves and tokens that parsers stumble over."""
    found = bytearray(data)
    for _ in range(chance.randint(1, 8)):
        at = chance.randrange(len(found) + 1)
        end = min(len(found), at + chance.choice((1, 2, 4, 16, 256)))
        match chance.randrange(6):
            case 0 if at < len(found):
                found[at] ^= 1 << chance.randrange(8)
            case 1:
                found[at:end] = chance.randbytes(end - at)
            case 2:
                found[at:at] = found[at:end] * chance.choice((1, 2, 50))
            case 3:
                del found[at:end]
            case 4:
                found[at:at] = chance.choice(_TOKENS)
            case _:
                found[at:end] = (2 ** chance.choice((7, 15, 31)) - 1).to_bytes(4, chance.choice(("big", "little")))
    return bytes(found[: chance.randrange(len(found) + 1)] if chance.random() < 0.1 else found)


class Task(NamedTuple):
    """A mutation: what its kind and its seed make of the valid file."""

    kind: str
    seed: int


class Answer(NamedTuple):
    """What became of it; `failure` is empty if it was read or refused as it should be."""

    was_read: bool
    failure: str
    seconds: float  # of processor time
    grown: int  # bytes by which the process's peak of memory rose


Read = Callable[[Path], object]
Places = Callable[[Path, Path], dict[str, tuple[Path, Read]]]


def read_all(connection: Connection, places: Places, folder: Path, made: Path, valid: dict[str, bytes]) -> None:
    """A child's life: answer each task, in a folder of its own."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    folder.mkdir()
    os.chdir(folder)
    readers = places(folder, made)
    for kind, (path, read) in readers.items():  # what is loaded once does not count
        path.write_bytes(valid[kind])
        with suppress(KuaihlError):  # of some, nothing can be followed
            read(path)
    connection.send("ready")
    while True:
        task: Task = connection.recv()
        path, read = readers[task.kind]
        path.write_bytes(mutated(valid[task.kind], random.Random(task.seed)))
        began, before = time.process_time(), _peak()
        _limit_next(began)
        was_read, failure = False, ""
        try:
            read(path)
            was_read = True
        except KuaihlError as error:
            if "\n" in str(error):
                failure = f"more than one line: {error!s:.200}"
            elif _NO_MEMORY in str(error):
                failure = _read_without_limit(read, path, before)
        except Exception as error:
            failure = f"{type(error).__name__}: {error!s:.200}"
        connection.send(Answer(was_read, failure, time.process_time() - began, _peak() - before))


def _read_without_limit(read: Read, path: Path, before: int) -> str:
    """The failure of an input that got too little memory; none if FFmpeg would give it none, however much there is."""
    resource.setrlimit(resource.RLIMIT_AS, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    try:
        read(path)
    except KuaihlError as error:
        if _NO_MEMORY in str(error) and _peak() - before <= MEGABYTES << 20:
            return ""
    except Exception as error:
        return f"with more memory {type(error).__name__}: {error!s:.200}"
    return f"more than {MEGABYTES} MB: {path.name}"


def _limit_next(used: float) -> None:
    """Let the next input take SECONDS of processor time and MEGABYTES of memory beyond what is used."""
    resource.setrlimit(resource.RLIMIT_CPU, (math.ceil(used) + SECONDS, resource.RLIM_INFINITY))
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    space = pages * resource.getpagesize() + (MEGABYTES << 20)
    resource.setrlimit(resource.RLIMIT_AS, (space, resource.RLIM_INFINITY))


def _peak() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss << 10


@dataclass
class _Reader:
    """A child process, and its task."""

    process: BaseProcess
    connection: Connection
    task: Task | None = None
    since: float = 0.0

    def give(self, task: Task) -> None:
        self.task, self.since = task, time.monotonic()
        self.connection.send(task)

    def end(self) -> None:
        self.process.kill()
        self.process.join()


class Readers:
    """A pool of child processes; one that dies or hangs is replaced."""

    def __init__(self, places: Places, folder: Path, made: Path, valid: dict[str, bytes]) -> None:
        self.places, self.folder, self.made, self.valid = places, folder, made, valid
        self.started = 0
        self.readers: list[_Reader] = []

    def start(self) -> _Reader:
        context = multiprocessing.get_context("spawn")  # a fork of a process with threads may hang
        ours, theirs = context.Pipe()
        self.started += 1
        arguments = (theirs, self.places, self.folder / f"reader{self.started}", self.made, self.valid)
        process = context.Process(target=read_all, args=arguments, daemon=True)
        process.start()
        theirs.close()
        if not ours.poll(LOADING_SECONDS) or ours.recv() != "ready":
            raise RuntimeError("the readers do not start")
        return _Reader(process, ours)

    def answers(self, tasks: Iterator[Task]) -> Iterator[tuple[Task, Answer]]:
        """Every task with its answer, as they come."""
        self.readers = [self.start() for _ in range(os.cpu_count() or 1)]
        try:
            idle = list(self.readers)
            while True:
                while idle and (task := next(tasks, None)) is not None:
                    idle.pop().give(task)
                busy = {one.connection: one for one in self.readers if one.task is not None}
                if not busy:
                    return
                heard = wait(list(busy), timeout=1.0)
                late = [one for one in busy.values() if time.monotonic() > one.since + SILENT_SECONDS]
                for reader in {id(one): one for one in [*(busy[one] for one in heard), *late]}.values():  # type: ignore[index]
                    assert reader.task is not None
                    yield reader.task, self.collect(reader)
                    reader.task = None
                    if not reader.process.is_alive():
                        self.readers.remove(reader)
                        self.readers.append(reader := self.start())
                    idle.append(reader)
        finally:
            for reader in self.readers:
                reader.end()

    def collect(self, reader: _Reader) -> Answer:
        """What a reader says, or why it says nothing more."""
        if not reader.connection.poll():
            reader.end()
            return Answer(False, f"no answer after {SILENT_SECONDS:.0f} s", 0.0, 0)
        try:
            answer: Answer = reader.connection.recv()
            return answer
        except (EOFError, ConnectionResetError):
            reader.process.join()
            code = reader.process.exitcode or 0
            why = signal.Signals(-code).name if code < 0 else f"exit code {code}"
            return Answer(False, f"more than {SECONDS} s" if why == "SIGXCPU" else f"its reader died ({why})", 0.0, 0)


def _draw(kinds: list[str], plan: Plan) -> Iterator[Task]:
    chance = random.Random(plan.seed)
    for _ in range(plan.faults):
        yield Task(chance.choice(kinds), chance.getrandbits(48))


def run(plan: Plan) -> Result:
    """Read `plan.faults` mutations. A failure names the kind and the seed of `mutated` that made its input."""
    from fault_campaign.fuzz_inputs import make_valid, places  # here, for torch must not swell the other parts

    made = plan.folder / "made"
    made.mkdir(parents=True)
    valid = make_valid(made)
    outcomes: Counter[str] = Counter()
    kinds: Counter[str] = Counter()
    failures: list[str] = []
    longest, largest, seconds, began = 0.0, 0, 0.0, time.monotonic()
    for task, answer in Readers(places, plan.folder, made, valid).answers(_draw(sorted(valid), plan)):
        kinds[task.kind] += 1
        outcomes["read" if answer.was_read else "refused"] += not answer.failure
        if answer.failure:
            failures.append(f"{task.kind}, seed {task.seed}: {answer.failure}")
            print(failures[-1], file=sys.stderr, flush=True)
        longest, largest = max(longest, answer.seconds), max(largest, answer.grown)
        seconds += answer.seconds
        if kinds.total() % 5000 == 0:
            print(f"fuzz: {kinds.total()} in {time.monotonic() - began:.0f} s", file=sys.stderr, flush=True)
    figures = (
        Figure("kinds of files", len(kinds)),
        Figure("read", outcomes["read"]),
        Figure("refused in one line", outcomes["refused"]),
        Figure("longest input", round(longest, 2), "s of processor time", SECONDS),
        Figure("most memory that one added", largest >> 20, "MB", MEGABYTES),
        Figure("inputs per second of processor time", round(plan.faults / max(seconds, 1e-9))),
    )
    return Result(plan.faults, plan.faults - len(failures), figures, tuple(failures[:20]))
