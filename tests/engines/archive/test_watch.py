"""Folders that recorders write into: each recording is a job once, when nothing writes to it, and after each change."""

import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from pathlib import Path

import pytest

from kuaihl.engines.archive.jobs import Job, JobResult, LeftOut
from kuaihl.engines.archive.watch import WatchedFolders
from kuaihl.models.errors import SourceError, UsageError

LONG_AGO = 1_000_000_000.0
MIN_AGE = 0.4


@pytest.fixture
def told() -> list[LeftOut]:
    return []


@pytest.fixture
def watch(tmp_path: Path, told: list[LeftOut]) -> Iterator[Callable[..., WatchedFolders]]:
    opened: list[WatchedFolders] = []

    def open_folders(*folders: Path, poll: bool = True, output: Path = tmp_path / "out", **more: int) -> WatchedFolders:
        opened.append(WatchedFolders(folders, output, min_age=MIN_AGE, poll=poll, report=told.append, **more))
        return opened[-1]

    yield open_folders
    for one in opened:
        one.close()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "in").mkdir()
    return tmp_path / "in"


def put(path: Path, content: str = "flv", changed: float | None = LONG_AGO) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content)
    if changed is not None:
        os.utime(path, (changed, changed))
    return path


def wait_for_job(jobs: Iterator[Job | None], seconds: float = 5.0) -> Job:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if (job := next(jobs)) is not None:
            return job
        time.sleep(0.02)
    raise AssertionError("no job came")


def jobs_within(jobs: Iterator[Job | None], seconds: float) -> list[str]:
    end, found = time.monotonic() + seconds, []
    while time.monotonic() < end:
        if (job := next(jobs)) is not None:
            found.append(Path(job.source).name)
        time.sleep(0.02)
    return found


@pytest.mark.parametrize("poll", [True, False], ids=["polled", "told by the system"])
def test_a_recording_is_a_job_once_and_only_when_nothing_writes_to_it(
    watch: Callable[..., WatchedFolders], folder: Path, poll: bool
) -> None:
    put(folder / "before.flv")
    put(folder / "before.xml")
    jobs = watch(folder, poll=poll).jobs()
    first = wait_for_job(jobs)
    assert (first.source, first.comments) == (str(folder / "before.flv"), folder / "before.xml")
    assert first.output.name == "before.flv"
    late = folder / "a room" / "late.flv"
    late.parent.mkdir()
    for size in range(1, 5):
        put(late, "x" * size, changed=None)
        assert jobs_within(jobs, 0.2) == []
    written = time.time()
    assert wait_for_job(jobs).source == str(late)
    assert time.time() - written >= MIN_AGE - 0.2  # the last write was 0.2 s before
    assert jobs_within(jobs, 1.2) == []


def test_what_grows_is_seen_although_the_clock_of_its_disk_is_behind(
    watch: Callable[..., WatchedFolders], folder: Path
) -> None:
    growing = put(folder / "a.flv")
    watched = watch(folder)
    jobs = watched.jobs()
    job = wait_for_job(jobs)  # by its time it had settled long ago
    watched.conclude(JobResult(job, "done"))
    for size in range(4, 8):
        put(growing, "x" * size, LONG_AGO + size)
        assert jobs_within(jobs, 0.3) == []
    assert wait_for_job(jobs).source == str(growing)


def test_comments_that_come_later_are_a_change_and_are_waited_for(
    watch: Callable[..., WatchedFolders], folder: Path
) -> None:
    put(folder / "a.flv")
    watched = watch(folder)
    jobs = watched.jobs()
    job = wait_for_job(jobs)
    assert job.comments is None
    watched.conclude(JobResult(job, "done"))
    put(folder / "a.xml", "<i>", changed=None)
    assert wait_for_job(jobs).comments == folder / "a.xml"


def test_a_recording_that_is_deleted_or_renamed_before_its_turn_is_forgotten(
    watch: Callable[..., WatchedFolders], folder: Path
) -> None:
    for name in ("a.flv", "b.flv", "c.flv"):
        put(folder / name)
    jobs = watch(folder).jobs()
    assert Path(wait_for_job(jobs).source).name == "a.flv"
    (folder / "b.flv").unlink()
    (folder / "c.flv").rename(folder / "d.flv")
    assert jobs_within(jobs, 1.2) == ["d.flv"]


def test_a_recording_in_hand_is_not_given_again_until_its_job_has_ended(
    watch: Callable[..., WatchedFolders], folder: Path
) -> None:
    recording = put(folder / "a.flv")
    watched = watch(folder)
    jobs = watched.jobs()
    job = wait_for_job(jobs)
    put(recording, "longer", LONG_AGO + 1)
    assert jobs_within(jobs, 1.5) == []
    assert watched.conclude(JobResult(job, "done")).status == "done"
    assert wait_for_job(jobs).source == str(recording)


def test_the_failure_of_a_recording_that_changed_meanwhile_is_none(
    watch: Callable[..., WatchedFolders], folder: Path
) -> None:
    for name in ("gone.flv", "grown.flv", "same.flv"):
        put(folder / name)
    watched = watch(folder)
    jobs = watched.jobs()
    failed = [JobResult(wait_for_job(jobs), "failed", "not media") for _ in range(3)]
    (folder / "gone.flv").unlink()
    put(folder / "grown.flv", "longer")
    gone, grown, same = map(watched.conclude, failed)
    assert (gone.status, gone.reason) == ("skipped", "deleted or renamed meanwhile")
    assert (grown.status, grown.reason) == ("skipped", "written to meanwhile, so its turn comes again")
    assert (same.status, same.reason) == ("failed", "not media")
    assert jobs_within(jobs, 1.5) == ["grown.flv"]


def test_a_recording_that_another_process_has_comes_again_for_that_may_die(
    watch: Callable[..., WatchedFolders], folder: Path
) -> None:
    put(folder / "a.flv")
    watched = watch(folder)
    jobs = watched.jobs()
    job = wait_for_job(jobs)
    watched.conclude(JobResult(job, "skipped", "process 7 is writing into it"))
    assert jobs_within(jobs, MIN_AGE / 2) == []
    assert wait_for_job(jobs) == job


def test_a_folder_that_vanishes_and_comes_back_ends_nothing(
    watch: Callable[..., WatchedFolders], folder: Path, told: list[LeftOut]
) -> None:
    jobs = watch(folder).jobs()
    folder.rmdir()
    assert jobs_within(jobs, 0.8) == []
    assert [one.reason for one in told] == ["cannot be read (No such file or directory)"]
    put(folder / "a.flv")
    assert wait_for_job(jobs, seconds=8.0).source == str(folder / "a.flv")


def test_two_folders_with_one_run_folder_are_told(
    watch: Callable[..., WatchedFolders], tmp_path: Path, told: list[LeftOut]
) -> None:
    for name in ("x", "y"):
        put(tmp_path / name / "live.flv")
    put(tmp_path / "y" / "other.flv")
    jobs = watch(tmp_path / "x", tmp_path / "y").jobs()
    assert jobs_within(jobs, 1.2) == ["live.flv", "other.flv"]
    (one,) = told
    assert one.source == str(tmp_path / "y" / "live.flv")
    assert one.reason == f"its run folder, live.flv, is that of {tmp_path / 'x' / 'live.flv'}"


def test_what_cannot_be_watched_is_said_at_once(watch: Callable[..., WatchedFolders], folder: Path) -> None:
    (folder / "deep").mkdir()
    with pytest.raises(SourceError, match="nowhere: no such folder"):
        watch(folder, folder / "nowhere")
    with pytest.raises(UsageError, match="is a folder of recordings"):
        watch(folder, output=folder)
    with pytest.raises(UsageError, match=r"deep: lies in .*, whose subfolders are watched too"):
        watch(folder, folder / "deep")


def test_a_system_that_cannot_watch_is_told_and_polled_instead(
    watch: Callable[..., WatchedFolders], folder: Path, told: list[LeftOut], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_folders: Path, **_options: object) -> None:
        raise OSError("OS file watch limit reached.")  # as watchfiles says it once a user's inotify watches are used up

    monkeypatch.setattr("watchfiles.watch", refuse)
    jobs = watch(folder, poll=False).jobs()
    assert jobs_within(jobs, 0.2) == []
    put(folder / "a.flv")
    assert wait_for_job(jobs).source == str(folder / "a.flv")
    assert [one.reason for one in told] == ["polled, because the system cannot watch: OS file watch limit reached."]


def test_without_watchfiles_folders_can_be_polled(
    watch: Callable[..., WatchedFolders], folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "watchfiles", None)
    put(folder / "a.flv")
    with pytest.raises(UsageError, match=r"pip install 'kuaihl\[watch\]'; or poll the folders"):
        watch(folder, poll=False)
    with closing(watch(folder, poll=True)) as watched:
        assert wait_for_job(watched.jobs()).source == str(folder / "a.flv")


def test_a_recording_is_followed_once_while_it_grows_and_a_job_again_at_its_end(
    watch: Callable[..., WatchedFolders], folder: Path
) -> None:
    put(folder / "before.flv")
    watched = watch(folder, follow=1, most=1)
    jobs = watched.jobs()
    before = wait_for_job(jobs)
    for size in range(1, 200):  # the other worker is busy
        put(folder / "a.flv", "x" * size, changed=None)
        put(folder / "b.flv", "x" * size, changed=None)
        if (job := next(jobs)) is not None:
            break
        time.sleep(0.05)
    assert job is not None and job.grows and not before.grows
    assert jobs_within(jobs, 1.0) == []  # as many as may be are followed, and as many as may be are scored
    told = watched.conclude(JobResult(job, "failed", SourceError("its streams are told at its end")))
    assert told.status == "skipped" and "scored at its end" in str(told.reason)
    watched.conclude(JobResult(before, "done"))
    ends = wait_for_job(jobs)
    assert Path(ends.source).name in ("a.flv", "b.flv") and not ends.grows


def grow(paths: Sequence[Path], jobs: Iterator[Job | None], seconds: float) -> list[Job]:
    """The jobs that come while recordings grow."""
    end, found = time.monotonic() + seconds, []
    while time.monotonic() < end:
        for path in paths:
            with path.open("a") as file:
                file.write("x")
        if (job := next(jobs)) is not None:
            found.append(job)
        time.sleep(0.05)
    return found


def test_of_two_that_grow_into_one_run_folder_the_first_is_followed(
    watch: Callable[..., WatchedFolders], tmp_path: Path, told: list[LeftOut]
) -> None:
    both = [put(tmp_path / name / "live.flv") for name in ("x", "y")]
    jobs = watch(tmp_path / "x", tmp_path / "y", follow=2).jobs()
    followed = grow(both, jobs, 2.5)
    assert [job.source for job in followed] == [str(both[0])]
    assert {one.source for one in told} == {str(both[1])}


def test_one_that_grows_again_in_hand_is_not_given_twice(watch: Callable[..., WatchedFolders], folder: Path) -> None:
    path = put(folder / "stalled.flv")
    jobs = watch(folder, follow=1).jobs()
    assert not wait_for_job(jobs).grows
    assert grow([path], jobs, 2.0) == []
