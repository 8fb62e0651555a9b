"""A recorder's webhook announces finished files: each is scored once, behind the live rooms, also after a restart."""

import json
import os
import threading
from pathlib import Path
from typing import Any

import pytest
from support.serving import Client, serving
from support.waiting import wait_until

from kuaihl.engines.scoring.model import Model
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
    (tmp_path / ".serve" / "recordings.json").write_text("{", encoding="utf-8")
    with pytest.raises(UsageError, match="delete it"):
        serve(model, ServeSettings(output=tmp_path, port=0, recordings=tmp_path), threading.Event(), print)
    Register(tmp_path).close()
