"""An archive with a ledger: what is done is skipped, what may succeed is tried again, what never does is left alone."""

import os
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable, Generator, Iterable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from support.processes import is_alive
from support.waiting import wait_until

from kuaihl.engines.archive.batch_export import BatchExport
from kuaihl.engines.archive.bookkeeping import Rules, Work, score_with_ledger, undone_first
from kuaihl.engines.archive.file_states import state_of, state_of_inputs
from kuaihl.engines.archive.jobs import (
    LEAST_SECONDS,
    NO_LIMITS,
    InHand,
    Job,
    JobResult,
    LeftOut,
    Limits,
    Progress,
    ScoreJob,
    WorkerLost,
)
from kuaihl.engines.archive.ledger import Ledger
from kuaihl.engines.archive.pool import score_archive
from kuaihl.engines.archive.rebuilding import rebuild
from kuaihl.engines.outputs.batch_jsonl import BATCH_FILE, last_entries
from kuaihl.models.errors import SourceError, SourceUnavailable

TESTS = Path(__file__).parents[2]
ONE_PROCESS = partial(score_archive, processes=1)


def write_output(job: Job, tell: Callable[[Progress], None]) -> Sequence[str]:
    """A job is what its source says; each try leaves a letter."""
    with job.output.with_suffix(".tries").open("a") as tries:
        tries.write("x")
    tell(Progress(1, 30.0, 0.0, 60.0))
    match Path(job.source).read_text():
        case "dies":
            os._exit(7)
        case "hangs":
            (job.output.parent / "pid").write_text(str(os.getpid()))
            wait_until(lambda: False, seconds=600.0)
        case "greedy":
            hoard = bytearray(os.urandom(1 << 20)) * 300
            wait_until(lambda: not hoard, seconds=600.0)
        case "unreadable":
            raise SourceError(f"{job.source}: not media")
        case "held" if tries_of(job) == 1:
            raise InHand("process 7 is writing into it")
        case "offline":
            raise SourceUnavailable(f"{job.source}: does not answer")
    tell(Progress(2, 60.0, 0.0, 60.0))
    job.output.mkdir(exist_ok=True)
    (job.output / "product").write_text("a product")
    return ["gap at 2.0 s"]


def prepare() -> ScoreJob:
    return write_output


def work(looked_at: list[str] | None = None, options: str = "options") -> Work:
    def is_done(job: Job) -> bool:
        if looked_at is not None:
            looked_at.append(job.output.name)
        return (job.output / "product").exists()

    return Work(
        prepare,
        is_done,
        key=lambda _: (options, "bundle"),
        inputs=state_of_inputs,
        products=lambda job: state_of(str(job.output), str(job.output / "product")),
        warnings=lambda _: (),
    )


def put(folder: Path, **sources: str) -> list[Job]:
    (folder / "out").mkdir(exist_ok=True)
    for name, content in sources.items():
        (folder / name).write_text(content)
    return [Job(str(folder / name), folder / "out" / name) for name in sources]


def run(
    jobs: Sequence[Job],
    made: Work | None = None,
    *,
    rules: Rules = Rules(),  # noqa: B008
    limits: Limits = NO_LIMITS,
) -> dict[str, JobResult]:
    with Ledger(jobs[0].output.parent / "ledger.sqlite", print) as ledger:
        results = score_with_ledger(jobs, made or work(), ONE_PROCESS, ledger, rules=rules, limits=limits)
        return {result.job.output.name: result for result in results}


def tries_of(job: Job) -> int:
    file = job.output.with_suffix(".tries")
    return len(file.read_text()) if file.exists() else 0


def row_of(job: Job) -> tuple[str, int]:
    with Ledger(job.output.parent / "ledger.sqlite", print) as ledger:
        row = ledger.find(job.output.name)
    assert row is not None
    return row.state, row.tries


def test_a_lost_worker_is_tried_again_then_quarantined_and_takes_nobody_with_it(tmp_path: Path) -> None:
    bad, good = put(tmp_path, bad="dies", good="a recording")
    results = run([bad, good], rules=Rules(tries=2))
    assert results["good"].status == "done"
    assert isinstance(results["bad"].reason, WorkerLost)
    assert (tries_of(bad), tries_of(good)) == (2, 1)
    assert row_of(bad) == ("quarantined", 2)

    again = run([bad, good], rules=Rules(tries=2))
    assert str(again["bad"].reason) == "quarantined after 2 tries: its process died (exit code 7)"
    assert {name: one.status for name, one in again.items()} == {"bad": "quarantined", "good": "skipped"}
    assert tries_of(bad) == 2

    run([bad], rules=Rules(tries=1, retry_quarantined=True))
    assert (tries_of(bad), row_of(bad)) == (3, ("quarantined", 1))
    put(tmp_path, bad="put right")
    assert run([bad])["bad"].status == "done"
    assert row_of(bad) == ("done", 1)


def test_a_job_waits_for_the_end_of_a_worker_that_was_ended_for_another_one(tmp_path: Path) -> None:
    (job,) = put(tmp_path, job="held")

    def moving(jobs: Iterable[Job | None], **others: Any) -> Generator[JobResult]:
        yield from (replace(result, was_moved=True) for result in ONE_PROCESS(jobs, **others))

    with Ledger(tmp_path / "ledger.sqlite", print) as ledger:
        (result,) = score_with_ledger([job], work(), moving, ledger, rules=Rules(tries=1))
    assert (result.status, tries_of(job)) == ("done", 2)


def test_what_cannot_be_read_has_one_try_per_run_and_other_options_begin_anew(tmp_path: Path) -> None:
    (bad,) = put(tmp_path, bad="unreadable")
    states = [(run([bad], rules=Rules(tries=2))["bad"].status, row_of(bad)) for _ in range(3)]
    assert states == [("failed", ("failed", 1)), ("failed", ("quarantined", 2)), ("quarantined", ("quarantined", 2))]
    assert tries_of(bad) == 2
    run([bad], work(options="others"), rules=Rules(tries=2))
    assert (tries_of(bad), row_of(bad)) == (3, ("failed", 1))


def test_what_does_not_answer_is_tried_again_and_never_quarantined(tmp_path: Path) -> None:
    (away,) = put(tmp_path, away="offline")
    assert run([away], rules=Rules(tries=2))["away"].status == "failed"
    assert (tries_of(away), row_of(away)) == (2, ("failed", 2))
    run([away], rules=Rules(tries=1))
    assert (tries_of(away), row_of(away)) == (3, ("failed", 3))


def test_what_is_done_is_known_by_sizes_and_times_and_looked_at_only_if_they_differ(tmp_path: Path) -> None:
    jobs = put(tmp_path, a="a recording", b="another")
    run(jobs)
    looked_at: list[str] = []
    assert {one.status for one in run(jobs, work(looked_at)).values()} == {"skipped"}
    assert looked_at == []
    os.utime(tmp_path / "out" / "b" / "product", (1.0, 1.0))
    run(jobs, work(looked_at))
    run(jobs, work(looked_at))
    assert looked_at == ["b"]
    assert {one.status for one in run(jobs, work(looked_at, "others")).values()} == {"skipped"}
    assert looked_at == ["b", "a", "b"]
    assert [tries_of(job) for job in jobs] == [1, 1]


def test_a_greedy_worker_is_ended_alone(tmp_path: Path) -> None:
    greedy, good = put(tmp_path, greedy="greedy", good="a recording")
    results = run([greedy, good], rules=Rules(tries=1), limits=Limits(memory=200_000_000))
    assert str(results["greedy"].reason) == "its process used more than 0.2 GB of memory; allow more memory"
    assert results["good"].status == "done"


def test_a_limit_by_length_follows_the_longer_of_what_is_said_and_what_was_scored() -> None:
    limits = Limits(per_second=2.0)
    assert limits.seconds_by_length(Progress(1, 30.0, 0.0, None)) is None
    assert limits.seconds_by_length(Progress(1, 30.0, 0.0, 60.0)) == LEAST_SECONDS
    assert limits.seconds_by_length(Progress(1, 30.0, 0.0, 3600.0)) == 7200.0
    assert limits.seconds_by_length(Progress(200, 6000.0, 0.0, 60.0)) == 12_000.0


def test_a_kill_leaves_a_ledger_that_knows_whom_it_hit(tmp_path: Path) -> None:
    program = (
        "import sys; sys.path[:0] = sys.argv[2:]; from pathlib import Path; from test_bookkeeping import put, run\n"
        "if __name__ == '__main__': run(put(Path(sys.argv[1]), a='a recording', b='hangs', c='a recording'))\n"
    )
    script = tmp_path / "parent.py"
    script.write_text(program)
    parent = subprocess.Popen([sys.executable, str(script), str(tmp_path), str(Path(__file__).parent), str(TESTS)])
    noted = tmp_path / "out" / "pid"
    pid = int(wait_until(lambda: noted.is_file() and noted.read_text(), seconds=120.0))
    with Ledger(tmp_path / "out" / "ledger.sqlite", print) as ledger:
        running = wait_until(lambda: (row := ledger.find("b")) is not None and row.is_running and row, "its note")
        assert running.process == parent.pid
    parent.kill()
    parent.wait()
    wait_until(lambda: not is_alive(pid), seconds=120.0)
    with Ledger(tmp_path / "out" / "ledger.sqlite", pytest.fail) as ledger:
        assert [row.name for row in ledger.rows("running")] == ["b"]
        assert not any(row.is_running for row in ledger.rows("running"))
    jobs = put(tmp_path, a="a recording", b="put right", c="a recording")
    assert {name: one.status for name, one in run(jobs).items()} == {"a": "skipped", "b": "done", "c": "done"}
    assert row_of(jobs[1]) == ("done", 1)


def test_a_damaged_ledger_is_moved_aside_and_failures_come_back_from_batch_jsonl(tmp_path: Path) -> None:
    said: list[str] = []
    with (
        Ledger(tmp_path / "ledger.sqlite", said.append) as ledger,
        BatchExport(ledger, tmp_path, lambda _: None) as lines,
    ):
        list(score_with_ledger(put(tmp_path, bad="unreadable"), work(), ONE_PROCESS, ledger))
        lines.write()
    (tmp_path / "ledger.sqlite").write_bytes(b"not a database" * 1000)
    with Ledger(tmp_path / "ledger.sqlite", said.append) as ledger:
        assert ledger.is_new
        assert rebuild(ledger, tmp_path) == 1
        (row,) = ledger.rows("failed")
    assert (row.name, row.reason) == ("bad", f"{tmp_path}/bad: not media")
    assert len(said) == 1
    assert "the ledger is damaged; it is moved aside" in said[0]
    assert (tmp_path / "ledger.sqlite.damaged").is_file()


def test_a_ledger_may_be_made_by_several_at_once(tmp_path: Path) -> None:
    said: list[str] = []
    for number in range(20):
        together = threading.Barrier(6)

        def make(path: Path = tmp_path / f"{number}.sqlite", together: threading.Barrier = together) -> None:
            together.wait()
            with Ledger(path, said.append) as ledger:
                list(ledger.rows("done"))

        makers = [threading.Thread(target=make) for _ in range(6)]
        for one in makers:
            one.start()
        for one in makers:
            one.join()
    assert not said


def test_a_ledger_that_cannot_be_written_ends_nothing(tmp_path: Path) -> None:
    (tmp_path / "ledger.sqlite").mkdir()
    said: list[str] = []
    with Ledger(tmp_path / "ledger.sqlite", said.append) as ledger:
        results = score_with_ledger(put(tmp_path, a="a recording"), work(), ONE_PROCESS, ledger)
        assert [one.status for one in results] == ["done"]
    assert len(said) == 1


def test_every_result_has_one_line_whoever_writes_it(tmp_path: Path) -> None:
    """Two processes share a ledger; one is killed between its line and the note of it, one before its line."""
    (job,) = put(tmp_path, a="a recording")
    out = job.output.parent
    run([job])
    with Ledger(out / "ledger.sqlite", print) as one, Ledger(out / "ledger.sqlite", print) as other:
        with BatchExport(one, out, lambda _: None) as first, BatchExport(other, out, lambda _: None) as second:
            first.write()
            second.write()
            (out / BATCH_FILE).unlink()
            one.note_told(["a"], told=False)
            first.write()  # into nothing, without an error
        one.note_told(["a"], told=False)
        one.note_exported(0)
    with Ledger(out / "ledger.sqlite", print) as ledger, BatchExport(ledger, out, lambda _: None):
        assert (out / BATCH_FILE).read_text().count("\n") == 1
    (out / BATCH_FILE).write_text('{"source": "a", "outp')
    with Ledger(out / "ledger.sqlite", print) as ledger, BatchExport(ledger, out, lambda _: None):
        assert last_entries(out / BATCH_FILE)["a"]["warnings"] == ["gap at 2.0 s"]


def test_rows_hold_any_name_without_credentials_and_what_is_left_out(tmp_path: Path) -> None:
    name = os.fsdecode(b"\xff\xfe.flv")
    jobs = [Job(name, tmp_path / "odd"), Job("https://ada:secret@host/b.flv?token=x", tmp_path / "b")]
    with Ledger(tmp_path / "ledger.sqlite", pytest.fail) as ledger:
        ledger.enter(jobs)
        ledger.leave_out([LeftOut("in/pipe.ts", "a named pipe, not a recording", name="pipe.ts")], only=True)
        assert [(row.name, row.source) for row in ledger.rows("waiting")] == [
            ("b", "https://host/b.flv"),
            ("odd", name),
        ]
        ledger.enter([Job("in/pipe.ts", tmp_path / "pipe.ts")])  # somebody has put a recording in its place
        assert ledger.counts() == {"waiting": 3}
    raw = sqlite3.connect(tmp_path / "ledger.sqlite").execute("SELECT * FROM recordings").fetchall()
    assert "secret" not in str(raw)


def test_what_is_not_done_comes_first(tmp_path: Path) -> None:
    jobs = put(tmp_path, a="a recording", b="another")
    run(jobs)
    (new,) = put(tmp_path, c="a third")
    with Ledger(tmp_path / "out" / "ledger.sqlite", print) as ledger:
        assert [job.output.name for job in undone_first([*jobs, new], ledger)] == ["c", "a", "b"]
