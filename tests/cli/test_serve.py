"""`kuaihl serve` as a user runs it: against a real nginx-rtmp server, killed, and started again."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from support.command import assert_one_line, kuaihl
from support.rtmp_server import free_port, make_broadcast, rtmp_server
from support.serving import Client
from support.waiting import wait_until


def start(port: int, output: Path, *more: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "kuaihl_cli", "serve", "-o", str(output), "--port", str(port), "--asr", "none"]
    command += ["--segment-seconds", "2", "--allow-host", "127.0.0.1", *more]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def is_up(client: Client) -> bool:
    try:
        return client.get("/readyz").status == 200
    except OSError:
        return False


def lines_of(path: Path) -> list[dict[str, Any]]:
    text = path.read_bytes()
    return [json.loads(line) for line in text[: text.rfind(b"\n") + 1].splitlines()]


@pytest.mark.slow
def test_after_a_kill_every_room_comes_back_and_sigterm_ends_it_in_time(tmp_path: Path) -> None:
    rooms, port = ("ann", "bob", "cid"), free_port()
    client, output = Client(port), tmp_path / "rooms"
    with rtmp_server(tmp_path) as server:
        media = make_broadcast(tmp_path / "room.flv", seconds=60.0)
        for room in rooms:
            server.publish(media, room)
        process = start(port, output)
        try:
            wait_until(lambda: is_up(client), seconds=60)
            for room in rooms:
                assert client.add(room, server.url(room)).status == 201
            wait_until(lambda: min(len(client.scores(room)) for room in rooms) >= 2, seconds=60)
        finally:
            process.kill()
            process.communicate()
        folders = {room: next((output / room).iterdir()) for room in rooms}
        kept = {room: lines_of(folder / "scores.jsonl") for room, folder in folders.items()}
        process = start(port, output)
        try:
            wait_until(lambda: is_up(client), seconds=60)
            wait_until(lambda: all(client.scores(room, kept[room][-1]["segment"] + 1) for room in rooms), seconds=60)
            began = time.monotonic()
            os.kill(process.pid, signal.SIGTERM)
            _, errors = process.communicate(timeout=30)
            assert time.monotonic() - began < 10.0
        finally:
            process.kill()
    assert process.returncode == 130, errors
    assert "3 rooms go on" in errors and "Traceback" not in errors
    for room, folder in folders.items():
        assert list((output / room).iterdir()) == [folder]
        scores = lines_of(folder / "scores.jsonl")
        assert scores[: len(kept[room])] == kept[room]
        numbers = [one["segment"] for one in scores]
        assert numbers == sorted(set(numbers)) and len(scores) > len(kept[room])
        assert (folder / "highlights.json").exists()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--host", "0.0.0.0"), ("--host 0.0.0.0", "token")),
        (("--token", "short"), ("16 characters",)),
        (("--token-file", "/nowhere"), ("/nowhere", "cannot be read")),
        (("--rooms", "/nowhere.yaml"), ("/nowhere.yaml", "cannot be read")),
        (("--allow-host", "a/b/c"), ("--allow-host a/b/c",)),
        (("--pull", "rtmp://media/live"), ("--pull rtmp://media/live", "{stream}")),
    ],
)
def test_what_is_wrong_is_one_line_before_a_model_is_loaded(
    options: tuple[str, ...], words: tuple[str, ...], tmp_path: Path
) -> None:
    assert_one_line(kuaihl("serve", "-o", str(tmp_path), *options), 2, *words)


def test_a_missing_package_is_one_line_that_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    from kuaihl.engines.serving import settings
    from kuaihl.models.errors import UsageError

    monkeypatch.setattr(settings, "find_spec", lambda name: None if name == "uvicorn" else name)
    with pytest.raises(UsageError, match=r"needs uvicorn: pip install 'kuaihl\[serve\]'"):
        settings.check_packages()
