"""Danmaku XML that a recorder writes while the stream is live, as five recorders do it."""

from collections.abc import Callable
from pathlib import Path

import pytest

from kuaihl.engines.comments.followed import FollowedComments
from kuaihl.engines.types import Comment

HEADER = '<?xml version="1.0" encoding="utf-8"?>\n<?xml-stylesheet type="text/xsl" href="#s"?>\n<i>\n'


def danmaku(*times: float, words: str = "at") -> str:
    return "".join(
        f'<d p="{time:.3f},1,25,16777215,1700000000,0,1,0" user="mia">{words} {time:g}</d>\n' for time in times
    )


def append(path: Path, text: str) -> None:
    with path.open("a", encoding="utf-8") as file:
        file.write(text)


def overwrite_end(path: Path, text: str) -> None:
    """As a recorder that closes the document at each flush, and writes over its end at the next one."""
    old = path.read_text(encoding="utf-8").removesuffix("</i>")
    path.write_text(old + text + "</i>", encoding="utf-8")


def write_anew(path: Path, text: str) -> None:
    """As a recorder that replaces the whole document."""
    other = path.with_suffix(".new")
    other.write_text(path.read_text(encoding="utf-8").removesuffix("</i>") + text + "</i>", encoding="utf-8")
    other.replace(path)


def words_of(comments: tuple[Comment, ...]) -> list[str]:
    return [comment.text for comment in comments]


@pytest.mark.parametrize("write", [append, overwrite_end, write_anew])
def test_each_comment_counts_once_in_the_segment_in_which_it_is_written(
    write: Callable[[Path, str], None], tmp_path: Path
) -> None:
    path = tmp_path / "room.xml"
    path.write_text(HEADER)
    followed = FollowedComments(path)
    write(path, danmaku(3, 29))
    assert words_of(followed.take(0, 30)) == ["at 3", "at 29"]
    assert words_of(followed.take(30, 60)) == [] and followed.has_chat
    write(path, danmaku(61, 75))
    assert words_of(followed.take(60, 90)) == ["at 61", "at 75"]
    assert not followed.skipped and not followed.take_events(0)


def test_the_clock_is_that_of_the_stream_not_of_the_recorder(tmp_path: Path) -> None:
    """The recorder has run for an hour; its file was flushed just before the stream was joined."""
    path = tmp_path / "room.xml"
    path.write_text(HEADER + danmaku(*range(0, 3600, 10), 3599))
    followed = FollowedComments(path)
    append(path, danmaku(3605, 3629))
    found = followed.take(0, 30)
    assert words_of(found) == ["at 3605", "at 3629"]
    assert found[0].time == pytest.approx(6.0, abs=2.0)
    append(path, danmaku(3640))
    (later,) = followed.take(30, 60)
    assert later.time == pytest.approx(41.0, abs=2.0)


def test_a_recorder_that_writes_late_moves_comments_little(tmp_path: Path) -> None:
    """It flushes when its buffer is full: what is read is up to 25 s old."""
    path = tmp_path / "room.xml"
    path.write_text(HEADER)
    followed = FollowedComments(path)
    late = [0.0, 25.0, 10.0, 1.0, 15.0, 3.0, 20.0, 2.0]
    shifts = []
    for index, delay in enumerate(late):
        end = (index + 1) * 30.0
        append(path, danmaku(1000 + end - delay))
        found = followed.take(end - 30.0, end)
        shifts += [comment.time - (end - delay) for comment in found]
    assert max(shifts[2:]) <= 5.0 and min(shifts) >= -0.2


def test_an_element_may_be_written_in_two_and_a_character_too(tmp_path: Path) -> None:
    path = tmp_path / "room.xml"
    followed = FollowedComments(path)
    assert followed.take(0, 30) == ()
    whole = (HEADER + danmaku(5, words="你好 &amp; &#x4f60;")).encode()
    for cut in (20, whole.index("你".encode()) + 1, whole.index(b"&amp;") + 2):
        path.write_bytes(whole[:cut])
        assert followed.take(0, 30) == ()
    path.write_bytes(whole)
    assert words_of(followed.take(0, 30)) == ["你好 & 你 5"]


def test_a_new_recording_at_the_same_place_begins_anew(tmp_path: Path) -> None:
    path = tmp_path / "room.xml"
    path.write_text(HEADER + danmaku(*range(100)))
    followed = FollowedComments(path)
    followed.take(0, 30)
    path.write_text(HEADER + danmaku(2))
    assert words_of(followed.take(30, 60)) == ["at 2"]


def test_a_stream_that_goes_on_leaves_out_what_was_written_meanwhile(tmp_path: Path) -> None:
    path = tmp_path / "room.xml"
    path.write_text(HEADER + danmaku(5, 100))
    followed = FollowedComments(path)
    followed.skip_until(90.0)
    assert followed.take(120, 150) == ()
    append(path, danmaku(160))
    assert words_of(followed.take(150, 180)) == ["at 160"]


def test_xml_that_declares_entities_is_an_event_and_ends_nothing(tmp_path: Path) -> None:
    path = tmp_path / "room.xml"
    followed = FollowedComments(path)
    path.write_text('<?xml version="1.0"?><!DOCTYPE i [<!ENTITY a "b">]><i>' + danmaku(1))
    assert followed.take(0, 30) == () and not followed.has_chat
    (event,) = followed.take_events(0)
    assert "declares XML entities" in event.detail
    append(path, danmaku(40))
    assert followed.take(30, 60) == ()
    path.write_text(HEADER + danmaku(1))
    assert words_of(followed.take(60, 90)) == ["at 1"]
