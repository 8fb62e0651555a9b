"""The chat of a page: a recorder in a process of its own writes it, and each message counts once, when it was said."""

import math
import subprocess
import sys
import threading
import time
from importlib.util import find_spec
from itertools import pairwise
from pathlib import Path

import pytest
from support.chat_writer import install_chat_writer
from support.http_media import media_server
from support.paths import EXAMPLES
from support.processes import is_alive
from support.waiting import wait_until

from kuaihl.engines.comments import chat_recorder
from kuaihl.engines.comments.chat_recorder import ChatRecorder, download_chat, is_page
from kuaihl.engines.comments.filters import keep_all
from kuaihl.engines.comments.page_chat import PageChat
from kuaihl.engines.comments.reader import read_comments
from kuaihl.engines.types import Comment, Event
from kuaihl.models.errors import SourceError, UsageError

SECONDS = 0.5  # of a segment


@pytest.fixture
def writer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install_chat_writer(tmp_path, monkeypatch)
    monkeypatch.setattr(chat_recorder, "_FIRST_DELAY", 0.1)


def follow(url: str, folder: Path, began: float, until: float) -> tuple[list[Comment], list[Event]]:
    """What comes from now to `until` in a stream that began at `began`, which a run goes on with unless that is now."""
    chat, found, events = PageChat(url, folder, offset=0.0, keep=keep_all), list[Comment](), list[Event]()
    number = math.ceil((time.time() - began) / SECONDS)
    if number > 1:
        chat.skip_until(number * SECONDS)
    chat.start()
    while not found or found[-1].time < until:
        number += 1
        time.sleep(max(0.0, began + number * SECONDS - time.time()))
        found += chat.take((number - 1) * SECONDS, number * SECONDS)
        events += chat.take_events(number * SECONDS)
    chat.close()
    for comment in found:  # each was said at the tenth of a second that it names
        assert comment.time == pytest.approx(int(comment.text) / 10 - began, abs=0.5)
    return found, events


@pytest.mark.parametrize("how", ["ended", "killed"])
def test_a_recorder_that_ends_is_started_again_and_no_message_is_lost_or_counted_twice(
    how: str, writer: None, tmp_path: Path
) -> None:
    folder = tmp_path / "run"
    found, events = follow(f"http://example.org/{how}?for=0.8", folder, time.time(), until=2.0)  # 0.8 s at once
    assert found[0].time < 0.5
    assert all(int(after.text) == int(before.text) + 1 for before, after in pairwise(found))
    assert [event.kind for event in events] == ["comments"] * len(events)
    assert [path.name for path in folder.iterdir()] == ["comments.live_chat.json"]
    assert len(read_comments(folder / "comments.live_chat.json", offset=60.0)) >= len(found)


def test_a_run_that_goes_on_has_the_chat_of_the_earlier_one_and_takes_none_of_it_twice(
    writer: None, tmp_path: Path
) -> None:
    began = time.time()
    earlier, _ = follow("http://example.org/live", tmp_path / "run", began, until=0.5)
    time.sleep(1.0)
    away_until = time.time() - began
    found, events = follow("http://example.org/live", tmp_path / "run", began, until=earlier[-1].time + 0.5)
    assert found[0].time > away_until - 0.1  # what was said meanwhile belongs to no segment
    numbers = [int(comment.text) for comment in (*earlier, *found)]
    assert len(set(numbers)) == len(numbers) and events == []
    kept = {comment.text for comment in read_comments(tmp_path / "run" / "comments.live_chat.json", offset=60.0)}
    assert kept >= {str(number) for number in numbers}


def test_a_recorder_that_was_not_started_leaves_the_folder_of_another_one_alone(tmp_path: Path) -> None:
    torn = tmp_path / "comments.live_chat.json.part"
    torn.write_text('{"being written": ', encoding="utf-8")
    PageChat("http://example.org/live", tmp_path, offset=0.0, keep=keep_all).close()
    assert torn.read_text(encoding="utf-8") == '{"being written": '


@pytest.mark.parametrize(
    ("page", "words"),
    [
        ("none", "it knows YouTube's alone; it is started again"),
        ("gone?key=secret", "yt-dlp: [youtube] abc: gone, see http://example.org/gone; it is started again"),
    ],
)
def test_a_page_without_a_chat_is_one_event_and_no_silent_chat(
    page: str, words: str, writer: None, tmp_path: Path
) -> None:
    chat = PageChat(f"http://me:secret@example.org/{page}", None, offset=0.0, keep=keep_all)
    chat.start()
    (event,) = wait_until(lambda: chat.take_events(0.0))
    assert chat.take(0.0, 30.0) == () and not chat.has_chat
    assert words in event.detail and "secret" not in event.detail
    time.sleep(0.5)  # it is tried again, and fails again
    assert chat.take_events(30.0) == []
    chat.close()


def test_of_a_finished_video_the_whole_chat_is_fetched(writer: None, tmp_path: Path) -> None:
    path = download_chat("http://example.org/replay", tmp_path, threading.Event())
    assert path is not None and [comment.time for comment in read_comments(path)] == [1.0, 31.0, 61.0]
    for page in ("none", "gone", "live"):
        with pytest.raises(SourceError, match=f"example.org/{page}: its chat cannot be fetched whole"):
            download_chat(f"http://example.org/{page}", tmp_path / "..", threading.Event())
    stop = threading.Event()
    stop.set()
    assert download_chat("http://example.org/live", tmp_path, stop) is None


def test_the_recorder_ends_with_whoever_started_it_even_by_a_kill(writer: None, tmp_path: Path) -> None:
    code = (
        "import sys, time; from pathlib import Path\n"
        "from kuaihl.engines.comments.chat_recorder import ChatRecorder\n"
        "ChatRecorder('http://example.org/live', Path(sys.argv[1])).start(); time.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", code, str(tmp_path / "run")]) as process:
        part = tmp_path / "run" / "comments.live_chat.json.part-Frag1"
        recorder = int(wait_until(lambda: part.exists() and part.read_text()))
        assert is_alive(recorder)
        process.kill()
    wait_until(lambda: not is_alive(recorder), seconds=5)


def test_without_yt_dlp_a_page_is_refused_and_only_urls_of_the_web_are_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    assert is_page("https://www.youtube.com/watch?v=abc") and not is_page("chat.xml") and not is_page("s3://a/b.xml")
    monkeypatch.setitem(sys.modules, "yt_dlp", None)
    with pytest.raises(UsageError, match=r"pip install 'kuaihl\[chat\]'"):
        ChatRecorder("https://www.youtube.com/watch?v=abc", Path())


@pytest.mark.skipif(find_spec("yt_dlp") is None, reason="yt-dlp is not installed")
def test_the_real_yt_dlp_takes_our_options_and_finds_no_chat_on_any_page(tmp_path: Path) -> None:
    with media_server() as server, pytest.raises(SourceError, match="finds none there"):
        download_chat(server.file("/video.flv", EXAMPLES / "demo.flv"), tmp_path, threading.Event())
