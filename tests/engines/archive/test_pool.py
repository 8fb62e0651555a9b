"""An archive: every job ends in a result of its own, whatever happens to the others."""

import os
from functools import partial
from pathlib import Path

import pytest

from kuaihl.engines.archive.jobs import Job, JobResult, ScoreJob
from kuaihl.engines.archive.pool import score_archive
from kuaihl.models.errors import ModelError, Remedy, SourceError, UsageError

LOOK = Remedy("look at it", {"frames": "exact"})


def touch_output(job: Job) -> None:
    if "crash" in job.source:
        os._exit(7)
    if "killed" in job.source:
        os.kill(os.getpid(), 9)
    if "unreadable" in job.source:
        raise SourceError(f"{job.source}: not media", remedy=LOOK)
    if "bug" in job.source:
        raise ZeroDivisionError("a bug")
    job.output.mkdir(parents=True)
    (job.output / "worker").write_text(str(os.getpid()))


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


def run(names: list[str], folder: Path, processes: int = 1) -> dict[str, JobResult]:
    jobs = [Job(name, folder / name) for name in names]
    results = score_archive(jobs, processes=processes, prepare=prepare_well, finished=lambda job: job.output.exists())
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
