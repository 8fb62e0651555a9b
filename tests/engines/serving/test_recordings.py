"""A recorder's webhook announces finished files: each is scored once, behind the live rooms, also after a restart."""

import json
import os
import threading
from pathlib import Path
from typing import Any

import pytest
from support.serving import Client, serving
from support.waiting import wait_until

from kuaihl.engines.outputs.lock import FolderLock
from kuaihl.engines.scoring.model import Model
from kuaihl.engines.scoring.run import Run
from kuaihl.engines.serving.recordings import Recordings
from kuaihl.engines.serving.register import Register
from kuaihl.engines.serving.server import serve
from kuaihl.engines.serving.settings import ServeSettings
from kuaihl.models.errors import UsageError


def file_closed(name: str, event: str) -> dict[str, Any]:
    """What BililiveRecorder posts."""
    return {
        "EventType": "FileClosed", "EventTimestamp": "2026-01-01T20:00:00+08:00", "EventId": event,
        "EventData": {"RelativePath": name, "FileSize": 1, "Duration": 12.0, "RoomId": 23058, "SessionId": "s"},
    }  # fmt: skip


def announce(client: Client, name: str, event: str) -> int:
    return client.call("POST", "/hooks/bililive-recorder", file_closed(name, event)).status


def is_complete(folder: Path) -> bool:
    document = folder / "highlights.json"
    return document.exists() and json.loads(document.read_text(encoding="utf-8"))["complete"] is True


def test_an_announced_recording_is_scored_once(model: Model, flv: bytes, tmp_path: Path) -> None:
    root, output = tmp_path / "recordings", tmp_path / "out"
    (root / "23058").mkdir(parents=True)
    (root / "23058" / "day.flv").write_bytes(flv)
    folder = output / "recordings" / "23058__day.flv"
    with serving(model, output, recordings=Path(os.path.relpath(root))) as client:
        assert announce(client, "23058/day.flv", "one") == 204
        wait_until(lambda: is_complete(folder), "the scores")
        scores = (folder / "scores.jsonl").read_bytes()
        assert announce(client, "23058/day.flv", "one") == 204  # repeated
        assert announce(client, str(root / "23058" / "day.flv"), "two") == 204  # again, by its whole path
        wait_until(lambda: json.loads((output / ".serve" / "recordings.json").read_bytes()) == [], "the list's end")
        assert (folder / "scores.jsonl").read_bytes() == scores


def test_what_waits_is_scored_by_the_next_process(model: Model, flv: bytes, tmp_path: Path) -> None:
    root, output = tmp_path / "recordings", tmp_path / "out"
    root.mkdir()
    (root / "day.flv").write_bytes(flv)
    (output / ".serve").mkdir(parents=True)
    (output / ".serve" / "recordings.json").write_text('["gone.flv", "day.flv"]', encoding="utf-8")
    with serving(model, output, recordings=root):
        wait_until(lambda: is_complete(output / "recordings" / "day.flv"), "the scores")


def listed(output: Path) -> Any:
    return json.loads((output / ".serve" / "recordings.json").read_bytes())


def test_a_recording_waits_for_a_disk_that_is_full_and_for_a_folder_in_use(
    model: Model, flv: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("kuaihl.engines.serving.recordings._AGAIN", 0.2)
    root, output = tmp_path / "recordings", tmp_path / "out"
    root.mkdir()
    output.mkdir()
    names = ["one.flv", "two.flv"]
    for name in names:
        (root / name).write_bytes(flv)
    (output / "recordings").write_text("in the way", encoding="utf-8")  # as good as a full disk
    with serving(model, output, recordings=root) as client:
        for name in names:
            assert announce(client, name, name) == 204
        wait_until(lambda: any(line.startswith("recording one.flv: waits: ") for line in client.lines))
        wait_until(lambda: [one["recording"] for one in listed(output)] == names)
        (output / "recordings").unlink()
        (output / "recordings" / "one.flv").mkdir(parents=True)
        lock = FolderLock(output / "recordings" / "one.flv")
        wait_until(lambda: is_complete(output / "recordings" / "two.flv"), "the scores behind the one in use")
        wait_until(lambda: [one["recording"] for one in listed(output)] == names[:1])
        lock.release()
        wait_until(lambda: is_complete(output / "recordings" / "one.flv"), "the scores")
        wait_until(lambda: listed(output) == [])
        assert sum(line.startswith("recording one.flv: waits: ") for line in client.lines) <= 3  # once per reason


def test_a_recording_that_failed_may_be_announced_again(model: Model, flv: bytes, tmp_path: Path) -> None:
    root, output = tmp_path / "recordings", tmp_path / "out"
    root.mkdir()
    with serving(model, output, recordings=root) as client:
        announce(client, "day.flv", "one")
        wait_until(lambda: any(line.startswith("recording day.flv: failed: ") for line in client.lines))
        (root / "day.flv").write_bytes(flv)
        announce(client, "day.flv", "one")
        wait_until(lambda: is_complete(output / "recordings" / "day.flv"), "the scores")


def test_a_recording_that_kills_the_server_is_left_out(
    model: Model, flv: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root, output = tmp_path / "recordings", tmp_path / "out"
    root.mkdir()
    for name in ("bad.flv", "day.flv"):
        (root / name).write_bytes(flv)
    (output / ".serve").mkdir(parents=True)
    entries = [{"recording": "bad.flv", "tries": 2}, {"recording": "day.flv", "tries": 0}]
    (output / ".serve" / "recordings.json").write_text(json.dumps(entries), encoding="utf-8")
    began = []

    class NotedRun(Run):
        def __init__(self, *given: Any, **more: Any) -> None:
            super().__init__(*given, **more)
            began.append(listed(output))

    monkeypatch.setattr("kuaihl.engines.serving.recordings.Run", NotedRun)
    with serving(model, output, recordings=root) as client:
        wait_until(lambda: is_complete(output / "recordings" / "day.flv"), "the scores of the other one")
        assert began == [[{"recording": "day.flv", "tries": 1}]], "the try is on disk before it can kill"
        assert any(line.startswith("recording bad.flv: failed: the server died 2 times") for line in client.lines)


def test_an_end_in_order_counts_as_no_try(model: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    begun, ended = threading.Event(), threading.Event()

    def score(recordings: Recordings, path: Path) -> None:
        begun.set()
        ended.wait(20)  # longer than the server waits

    monkeypatch.setattr(Recordings, "_score", score)
    root, output = tmp_path / "recordings", tmp_path / "out"
    root.mkdir()
    with serving(model, output, recordings=root) as client:
        announce(client, "day.flv", "one")
        assert begun.wait(20)
        assert listed(output) == [{"recording": "day.flv", "tries": 1}]
    assert listed(output) == [{"recording": "day.flv", "tries": 0}]
    ended.set()


def test_what_is_not_the_recorders_is_refused(model: Model, tmp_path: Path) -> None:
    root = tmp_path / "recordings"
    root.mkdir()
    with serving(model, tmp_path / "out", recordings=root) as client:
        assert announce(client, "../secret.flv", "one") == 400
        assert client.call("POST", "/hooks/bililive-recorder", "no JSON").status == 400
        assert client.call("POST", "/hooks/bililive-recorder", {"EventType": "SessionStarted"}).status == 204
        assert client.call("POST", "/hooks/obs", {}).status == 404
    with serving(model, tmp_path / "other") as client:
        assert announce(client, "day.flv", "one") == 404  # no recorder was named


def test_a_list_that_cannot_be_read_ends_the_server_and_frees_its_folder(model: Model, tmp_path: Path) -> None:
    (tmp_path / ".serve").mkdir()
    for text in ("{", "{}", "[1]", '[{"recording": "day.flv"}]'):
        (tmp_path / ".serve" / "recordings.json").write_text(text, encoding="utf-8")
        with pytest.raises(UsageError, match="delete it"):
            serve(model, ServeSettings(output=tmp_path, port=0, recordings=tmp_path), threading.Event(), print)
    Register(tmp_path).close()
