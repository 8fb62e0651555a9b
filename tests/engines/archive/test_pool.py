"""An archive: every job ends in a result of its own, whatever happens to the others."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest
from support.processes import is_alive
from support.waiting import wait_until

from kuaihl.engines.archive.jobs import InHand, Job, JobResult, Limits, Progress, ScoreJob
from kuaihl.engines.archive.pool import score_archive
from kuaihl.models.errors import ModelError, Remedy, SourceError, UsageError

TESTS = Path(__file__).parents[2]
LOOK = Remedy("look at it", {"frames": "exact"})


def touch_output(job: Job, tell: Callable[[Progress], None]) -> list[str]:
    if "crash" in job.source:
        os._exit(7)
    if "killed" in job.source:
        os.kill(os.getpid(), 9)
    if "unnamed" in job.source:
        os.kill(os.getpid(), signal.SIGRTMIN + 6)
    if "unreadable" in job.source:
        raise SourceError(f"{job.source}: not media", remedy=LOOK)
    if "held" in job.source:
        raise InHand("process 7 is writing into it")
    if "bug" in job.source:
        raise ZeroDivisionError("a bug")
    if "full" in job.source:
        write_to_a_full_disk(job)
    if "endless" in job.source:
        (job.output.parent / "pid").write_text(str(os.getpid()))
        time.sleep(600)
    job.output.mkdir(parents=True)
    (job.output / "worker").write_text(str(os.getpid()))
    return ["gap at 2.0 s: it was torn"] if "torn" in job.source else []


def write_to_a_full_disk(job: Job) -> None:
    try:
        Path("/dev/full").write_text("a line\n")
    except OSError as error:
        raise UsageError(f"{job.output}: cannot be written") from error


def prepare_well() -> ScoreJob:
    return touch_output


def prepare_without_weights() -> ScoreJob:
    raise ModelError("edge.safetensors is missing")


def prepare_for_no_such_device() -> ScoreJob:
    raise UsageError("give auto", setting="device", value="cuda:9")


def prepare_once(marker: Path) -> ScoreJob:
    with marker.open("a") as file:
        file.write("loaded\n")
    return touch_output


def run(names: list[str], folder: Path, processes: int = 1, time_limit: float | None = None) -> dict[str, JobResult]:
    jobs = [Job(name, folder / name) for name in names]
    results = score_archive(
        jobs,
        processes=processes,
        prepare=prepare_well,
        finished=lambda job: job.output.exists(),
        limits=Limits(time_limit),
    )
    return {result.job.source: result for result in results}


def test_every_job_is_scored_by_the_workers(tmp_path: Path) -> None:
    results = run(["a", "b", "c", "d"], tmp_path, processes=2)
    assert {result.status for result in results.values()} == {"done"}
    assert all((tmp_path / name / "worker").exists() for name in "abcd")


def test_a_second_run_skips_what_is_finished(tmp_path: Path) -> None:
    run(["a"], tmp_path)
    results = run(["a", "b"], tmp_path)
    assert results["a"].status == "skipped"
    assert results["b"].status == "done"


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        ("unreadable", "unreadable: not media; look at it"),
        ("bug", "unexpected ZeroDivisionError: a bug"),
        ("crash", "its process died (exit code 7)"),
        ("killed", "its process died (signal SIGKILL)"),
        ("unnamed", f"its process died (signal {signal.SIGRTMIN + 6})"),
    ],
)
def test_a_bad_job_is_reported_with_its_reason_and_the_rest_go_on(tmp_path: Path, bad: str, reason: str) -> None:
    results = run(["a", bad, "b"], tmp_path)
    assert (results[bad].status, str(results[bad].reason)) == ("failed", reason)
    assert results["a"].status == results["b"].status == "done"


def test_a_worker_loads_its_models_once(tmp_path: Path) -> None:
    jobs = [Job(name, tmp_path / name) for name in "abc"]
    marker = tmp_path / "marker"
    results = list(score_archive(jobs, processes=1, prepare=partial(prepare_once, marker), finished=lambda _: False))
    assert len(results) == 3
    assert marker.read_text() == "loaded\n"


def test_missing_weights_end_the_batch_at_once(tmp_path: Path) -> None:
    jobs = [Job(name, tmp_path / name) for name in "abc"]
    with pytest.raises(ModelError, match=r"edge\.safetensors is missing"):
        list(score_archive(jobs, processes=2, prepare=prepare_without_weights, finished=lambda _: False))


def test_an_error_leaves_its_worker_whole(tmp_path: Path) -> None:
    reason = run(["unreadable"], tmp_path)["unreadable"].reason
    assert isinstance(reason, SourceError)
    assert reason.remedy == LOOK
    with pytest.raises(UsageError, match=r"^device 'cuda:9': give auto$") as caught:
        list(
            score_archive(
                [Job("a", tmp_path / "a")], processes=1, prepare=prepare_for_no_such_device, finished=lambda _: False
            )
        )
    assert (caught.value.setting, caught.value.value) == ("device", "cuda:9")


def test_warnings_come_with_the_result(tmp_path: Path) -> None:
    results = run(["torn", "b"], tmp_path)
    assert (results["torn"].status, results["torn"].warnings) == ("done", ("gap at 2.0 s: it was torn",))
    assert results["b"].warnings == ()


def test_a_job_without_an_end_is_ended_and_the_rest_go_on(tmp_path: Path) -> None:
    results = run(["endless", "b"], tmp_path, time_limit=10.0)
    assert results["endless"].status == "failed"
    assert str(results["endless"].reason) == "not done after 10 s; allow more time"
    assert results["b"].status == "done"
    with pytest.raises(ProcessLookupError):
        os.kill(int((tmp_path / "pid").read_text()), 0)


def test_after_a_full_disk_nothing_more_is_begun(tmp_path: Path) -> None:
    results = run(["a", "full", "b", "c"], tmp_path)
    assert list(results) == ["a", "full"]
    assert results["full"].no_space
    assert not results["a"].no_space


def test_a_worker_ends_with_the_process_that_started_it(tmp_path: Path) -> None:
    """The parent is killed, and cannot tell its workers; one of them is in the middle of a job."""
    program = (
        "import sys; sys.path[:0] = sys.argv[2:]; from pathlib import Path; from test_pool import run\n"
        "if __name__ == '__main__': run(['endless', 'b'], Path(sys.argv[1]), processes=2)\n"
    )
    script = tmp_path / "parent.py"
    script.write_text(program)
    parent = subprocess.Popen([sys.executable, str(script), str(tmp_path), str(Path(__file__).parent), str(TESTS)])
    pid = int(wait_until(lambda: (tmp_path / "pid").is_file() and (tmp_path / "pid").read_text(), seconds=120.0))
    parent.kill()
    parent.wait()
    wait_until(lambda: not is_alive(pid), seconds=120.0)


def test_jobs_may_come_while_others_are_done_and_are_taken_when_a_worker_is_free(tmp_path: Path) -> None:
    done: list[str] = []

    def jobs_that_come() -> Iterator[Job | None]:
        yield Job("a", tmp_path / "a")
        assert done == ["a"]
        yield None
        yield Job("b", tmp_path / "b")
        assert done == ["a", "b"]

    marker = tmp_path / "marker"
    prepare = partial(prepare_once, marker)
    for result in score_archive(jobs_that_come(), processes=1, prepare=prepare, finished=lambda _: False):
        done += [result.job.source]
    assert done == ["a", "b"]
    assert marker.read_text() == "loaded\n"


def test_a_job_that_another_process_is_doing_is_skipped_and_says_so(tmp_path: Path) -> None:
    results = run(["held", "a"], tmp_path)
    assert (results["held"].status, results["held"].reason) == ("skipped", "process 7 is writing into it")
    assert results["a"].status == "done"
