"""An archive: every room ends in a result of its own, whatever happens to the others."""

import os
from functools import partial
from pathlib import Path

import pytest

from kuaihl.engines.archive.jobs import Room, RoomResult, ScoreRoom
from kuaihl.engines.archive.pool import score_archive
from kuaihl.models.errors import ModelError, Remedy, SourceError, UsageError

LOOK = Remedy("look at it", {"frames": "exact"})


def touch_output(room: Room) -> None:
    if "crash" in room.source:
        os._exit(7)
    if "killed" in room.source:
        os.kill(os.getpid(), 9)
    if "unreadable" in room.source:
        raise SourceError(f"{room.source}: not media", remedy=LOOK)
    if "bug" in room.source:
        raise ZeroDivisionError("a bug")
    room.output.mkdir(parents=True)
    (room.output / "worker").write_text(str(os.getpid()))


def prepare_well() -> ScoreRoom:
    return touch_output


def prepare_without_weights() -> ScoreRoom:
    raise ModelError("edge.safetensors is missing")


def prepare_for_no_such_device() -> ScoreRoom:
    raise UsageError("give auto", setting="device", value="cuda:9")


def prepare_once(marker: Path) -> ScoreRoom:
    with marker.open("a") as file:
        file.write("loaded\n")
    return touch_output


def run(names: list[str], folder: Path, jobs: int = 1) -> dict[str, RoomResult]:
    rooms = [Room(name, folder / name) for name in names]
    results = score_archive(rooms, jobs=jobs, prepare=prepare_well, finished=lambda room: room.output.exists())
    return {result.room.source: result for result in results}


def test_every_room_is_scored_by_the_workers(tmp_path: Path) -> None:
    results = run(["a", "b", "c", "d"], tmp_path, jobs=2)
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
def test_a_bad_room_is_reported_with_its_reason_and_the_rest_go_on(tmp_path: Path, bad: str, reason: str) -> None:
    results = run(["a", bad, "b"], tmp_path)
    assert (results[bad].status, str(results[bad].reason)) == ("failed", reason)
    assert results["a"].status == results["b"].status == "done"


def test_a_worker_loads_its_models_once(tmp_path: Path) -> None:
    rooms = [Room(name, tmp_path / name) for name in "abc"]
    marker = tmp_path / "marker"
    results = list(score_archive(rooms, jobs=1, prepare=partial(prepare_once, marker), finished=lambda _: False))
    assert len(results) == 3
    assert marker.read_text() == "loaded\n"


def test_missing_weights_end_the_batch_at_once(tmp_path: Path) -> None:
    rooms = [Room(name, tmp_path / name) for name in "abc"]
    with pytest.raises(ModelError, match=r"edge\.safetensors is missing"):
        list(score_archive(rooms, jobs=2, prepare=prepare_without_weights, finished=lambda _: False))


def test_an_error_leaves_its_worker_whole(tmp_path: Path) -> None:
    reason = run(["unreadable"], tmp_path)["unreadable"].reason
    assert isinstance(reason, SourceError)
    assert reason.remedy == LOOK
    with pytest.raises(UsageError, match=r"^device 'cuda:9': give auto$") as caught:
        list(
            score_archive(
                [Room("a", tmp_path / "a")], jobs=1, prepare=prepare_for_no_such_device, finished=lambda _: False
            )
        )
    assert (caught.value.setting, caught.value.value) == ("device", "cuda:9")
