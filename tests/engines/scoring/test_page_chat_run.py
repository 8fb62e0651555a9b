"""A run with the chat of a page: a recording gets the whole of it, a stream what is said, kept in the run folder.

The encoders and the network are stand-ins, and so is yt-dlp. Servers, files and processes are real.
"""

import json
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.chat_writer import install_chat_writer
from support.http_media import MediaServer
from support.paths import EXAMPLES
from support.rtmp_server import make_broadcast
from support.small_model import model_without_encoders

from kuaihl.engines.comments.page_chat import PageChat
from kuaihl.engines.scoring import run as run_module
from kuaihl.engines.scoring.model import Model
from kuaihl.engines.scoring.run import Run
from kuaihl.engines.scoring.settings import ScoreSettings
from kuaihl.engines.types import Comment, CommentFeed, ScoredSegment

DEMO = EXAMPLES / "demo.flv"
SETTINGS = ScoreSettings()
URL = "https://me:secret@www.youtube.com/watch/"


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Model:
    return model_without_encoders(tmp_path_factory.mktemp("bundle"), SETTINGS)


@pytest.fixture
def taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Comment]:
    """The comments of the one segment that is scored, 2 s on."""
    found: list[Comment] = []

    def score_source(*_: Any, comments: CommentFeed, **__: Any) -> Iterator[ScoredSegment]:
        if isinstance(comments, PageChat):
            time.sleep(2.0)
        found.extend(comments.take(0.0, 30.0))
        yield ScoredSegment(0, 0.0, 30.0, 30.0, 60.0, 0.5, "", len(found), False, time.time())

    install_chat_writer(tmp_path, monkeypatch)
    monkeypatch.setattr(run_module, "score_source", score_source)
    return found


def test_a_recording_gets_the_whole_chat_of_its_page(model: Model, taken: list[Comment], tmp_path: Path) -> None:
    said: list[str] = []
    Run(model, str(DEMO), SETTINGS, output=tmp_path / "out", comments=URL + "replay", report=said.append).finish()
    assert [comment.time for comment in taken] == [1.0]
    assert said[0] == "fetching the chat of https://www.youtube.com/watch/replay"
    assert said[1].startswith("3 comments from comments.live_chat.json")
    record = json.loads((tmp_path / "out" / "run.json").read_text(encoding="utf-8"))
    assert record["comments"]["name"] == "https://www.youtube.com/watch/replay"


def test_a_stream_gets_what_is_said_and_keeps_it_in_its_run_folder(
    model: Model, taken: list[Comment], http: MediaServer, tmp_path: Path
) -> None:
    url = http.live("/live.flv", make_broadcast(tmp_path / "room.flv", seconds=3.0).read_bytes())
    Run(model, url, SETTINGS, output=tmp_path / "out", comments=URL + "live").finish()
    assert len(taken) > 10
    kept = (tmp_path / "out" / "comments.live_chat.json").read_text(encoding="utf-8")
    assert all(f'"{comment.text}"' in kept for comment in taken)
    assert not any(thread.name == "kuaihl-chat" for thread in threading.enumerate())
