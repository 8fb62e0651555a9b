"""A pipe does not tell whether its media is on air: its comments' file does, by when it changed.

The encoders are small stand-ins. Pipes, media and files are real.
"""

import json
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from support.media import make
from support.small_model import small_model

from kuaihl.engines.scoring.model import Model
from kuaihl.engines.scoring.run import Run

SECONDS = 13.0  # of segments of 2 s
XML = "<?xml version='1.0' encoding='utf-8'?><i>"
DANMAKU = '<d p="{at},1,25,16777215,0,0,ann,0">what a play {at}</d>'
FIRST_HOURS = "".join(DANMAKU.format(at=at) for at in range(7200))


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Model:
    return small_model(tmp_path_factory.mktemp("bundle"))


@pytest.fixture
def flv(made: Path) -> bytes:
    path = made / "piped.flv"
    return (path if path.exists() else make(path, seconds=SECONDS)).read_bytes()


def counted(
    model: Model, flv: bytes, comments: Path, on_air: Callable[[], object] = lambda: None
) -> tuple[list[int], list[str]]:
    """The comments of each segment of a pipe, and what was said; `on_air` is called behind the first segment."""
    pipe, seen, said = comments.with_name("pipe.flv"), threading.Event(), list[str]()
    os.mkfifo(pipe)

    def write() -> None:
        with pipe.open("wb") as media:
            media.write(flv[: len(flv) // 2])
            media.flush()
            seen.wait(30)
            media.write(flv[len(flv) // 2 :])

    writer = threading.Thread(target=write)
    writer.start()
    found = []
    for scored in Run(model, str(pipe), model.settings, comments=comments, report=said.append):
        found.append(scored.comments)
        if scored.segment == 0:
            on_air()
            seen.set()
    writer.join()
    assert len(found) == 7
    return found, said


def test_danmaku_that_a_recorder_is_writing_are_followed(model: Model, flv: bytes, tmp_path: Path) -> None:
    path = tmp_path / "room.xml"
    path.write_text(XML + FIRST_HOURS)

    def write() -> None:
        with path.open("a") as file:
            file.write("".join(DANMAKU.format(at=7201 + tenth / 10) for tenth in range(5)))

    found, said = counted(model, flv, path, write)
    assert sum(found[1:]) == 5, "two hours before the run are over"
    assert said == ["room.xml may still be written: its comments are followed"]


def test_an_empty_file_is_followed_however_old_it_is(model: Model, flv: bytes, tmp_path: Path) -> None:
    path = tmp_path / "room.jsonl"
    path.touch()
    os.utime(path, (0, 0))
    found, _ = counted(model, flv, path, lambda: path.write_text(json.dumps({"text": "wow"}) + "\n"))
    assert sum(found[1:]) == 1


def test_danmaku_that_have_not_changed_for_a_minute_are_those_of_a_recording(
    model: Model, flv: bytes, tmp_path: Path
) -> None:
    path = tmp_path / "finished.xml"
    path.write_text(XML + FIRST_HOURS + "</i>")
    os.utime(path, (time.time() - 61.0,) * 2)
    found, said = counted(model, flv, path)
    assert found[:6] == [2] * 6
    assert said == ["7200 comments from finished.xml, Bilibili danmaku XML"]


TWITCH = {"comments": [{"content_offset_seconds": 3.0, "commenter": {"name": "mia"}, "message": {"body": "a play"}}]}
DOWNLOADED = [{"time_in_seconds": 3.0, "message": "a play", "author": {"name": "mia"}}]


@pytest.mark.parametrize("indent", [None, 4])
@pytest.mark.parametrize("chat", [TWITCH, DOWNLOADED])
def test_what_cannot_be_followed_is_read_whole_though_it_is_new(
    model: Model, flv: bytes, tmp_path: Path, chat: object, indent: int | None
) -> None:
    path = tmp_path / "chat.json"
    path.write_text(json.dumps(chat, indent=indent))
    assert counted(model, flv, path)[0] == [0, 1, 0, 0, 0, 0, 0]
