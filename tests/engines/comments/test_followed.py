"""Comments from a file that grows: each in its segment, and no fault of the file ends the run."""

import json
import os
from pathlib import Path

import pytest

from kuaihl.engines.comments.followed import FollowedComments
from kuaihl.engines.types import Comment
from kuaihl.models.errors import SourceError


def lines(*values: object) -> str:
    return "".join(json.dumps(value, ensure_ascii=False) + "\n" for value in values)


def append(path: Path, text: str) -> None:
    with path.open("a", encoding="utf-8") as file:
        file.write(text)


def test_a_growing_file_gives_each_comment_once_in_its_segment(tmp_path: Path) -> None:
    path = tmp_path / "live.jsonl"
    followed = FollowedComments(path, offset=1.0)
    assert followed.take(0, 30) == ()  # not there yet
    append(path, lines({"time": 5, "text": "late"}, {"time": 40, "text": "now"}, {"time": 59, "text": "at 60"}))
    assert [comment.text for comment in followed.take(30, 60)] == ["late", "now"]
    append(path, '{"time": 70, "text": "writt')
    assert [comment.text for comment in followed.take(60, 90)] == ["at 60"]
    append(path, 'en in two"}\nnot json\n')
    assert [comment.text for comment in followed.take(90, 120)] == ["written in two"] and followed.skipped == 1


def test_a_live_line_without_a_time_belongs_to_the_segment_that_reads_it(tmp_path: Path) -> None:
    path = tmp_path / "live.jsonl"
    path.touch()
    followed = FollowedComments(path, offset=-100.0)
    append(path, lines({"text": "hello"}))
    assert followed.take(300, 330) == (Comment(300.0, "hello"),)


def test_a_first_line_that_is_half_written_is_waited_for(tmp_path: Path) -> None:
    path = tmp_path / "live.jsonl"
    append(path, '{"time": 70, "te')
    followed = FollowedComments(path)
    assert followed.take(60, 90) == ()
    append(path, 'xt": "one"}\n')
    assert [comment.text for comment in followed.take(90, 120)] == ["one"]


def test_a_followed_file_may_be_cut_back_or_replaced(tmp_path: Path) -> None:
    path = tmp_path / "live.jsonl"
    append(path, lines({"time": 1, "text": "one"}, {"time": 2, "text": "two"}))
    followed = FollowedComments(path)
    assert len(followed.take(0, 30)) == 2
    path.write_text(lines({"time": 31, "text": "x"}))
    assert [comment.text for comment in followed.take(30, 60)] == ["x"]
    path.unlink()
    assert followed.take(60, 90) == ()


@pytest.mark.parametrize("comment", [{"time": 3.5, "text": "hi", "room": 7}, {"text": "hi", "user": {"id": 1}}])
def test_keys_that_nobody_reads_make_no_difference(comment: dict[str, object], tmp_path: Path) -> None:
    path = tmp_path / "live.jsonl"
    followed = FollowedComments(path)
    append(path, lines(comment))
    assert [one.text for one in followed.take(0, 30)] == ["hi"]


@pytest.mark.parametrize(
    "line",
    [
        {"time": 3.5, "text": "hi"},
        {"videoOffsetTimeMsec": "3500", "isLive": True, "replayChatItemAction": {"actions": [
            {"addChatItemAction": {"item": {
                "liveChatTextMessageRenderer": {"message": {"runs": [{"text": "hi"}]}}}}}]}},
        {"message": "hi", "message_type": "text_message", "time_in_seconds": 3.5},
    ],
    ids=["ours", "yt-dlp live", "chat-downloader JSONL"],
)  # fmt: skip
def test_every_form_that_can_be_followed_is_read_also_behind_noise(line: dict[str, object], tmp_path: Path) -> None:
    path = tmp_path / "live.jsonl"
    append(path, "starting …\n\0\0\n" + lines(line, line))
    followed = FollowedComments(path)
    assert [comment.time for comment in followed.take(0, 90)] == [3.5, 3.5]
    assert followed.has_chat and not followed.take_events(0)


def test_what_cannot_be_followed_says_so_before_the_run(tmp_path: Path) -> None:
    (tmp_path / "chat.html").write_text("<html><body>moved</body></html>\n")
    with pytest.raises(SourceError, match="cannot be followed live"):
        FollowedComments(tmp_path / "chat.html")
    with pytest.raises(SourceError, match="not a regular file"):
        FollowedComments(tmp_path)


def break_by_folder(path: Path) -> None:
    path.unlink(missing_ok=True)
    path.mkdir()


def break_by_pipe(path: Path) -> None:
    path.unlink(missing_ok=True)
    os.mkfifo(path)


def break_by_link(path: Path) -> None:
    path.unlink(missing_ok=True)
    path.symlink_to(path)


def break_by_form(path: Path) -> None:
    path.unlink(missing_ok=True)
    path.write_text("<html>\n" * 30)


BREAKS = {"a folder": break_by_folder, "a pipe": break_by_pipe, "a link to itself": break_by_link,
          "another form": break_by_form, "gone": lambda path: path.unlink(missing_ok=True)}  # fmt: skip


@pytest.mark.parametrize("how", BREAKS)
@pytest.mark.parametrize("there", [True, False])
def test_a_file_that_fails_is_an_event_and_is_tried_again(how: str, there: bool, tmp_path: Path) -> None:
    path = tmp_path / "live.jsonl"
    if there:
        append(path, lines({"time": 1, "text": "one"}))
    followed = FollowedComments(path)
    assert len(followed.take(0, 30)) == there and followed.has_chat == there
    followed.take_events(0)
    BREAKS[how](path)
    for start in (30, 60):
        assert followed.take(start, start + 30) == () and not followed.has_chat
        events = followed.take_events(start)
        told_before = start == 60 or (how == "gone" and not there)
        assert [(event.kind, event.time) for event in events] == [] if told_before else [("comments", 30)]
    path.rmdir() if path.is_dir() else path.unlink(missing_ok=True)
    append(path, lines({"text": "again"}))
    assert [comment.text for comment in followed.take(90, 120)] == ["again"] and followed.has_chat
    assert [event.detail for event in followed.take_events(90)] == [f"{path}: read again"]


def test_a_file_without_permission_is_an_event(tmp_path: Path) -> None:
    if os.geteuid() == 0:
        pytest.skip("root may read everything")
    append(tmp_path / "live.jsonl", lines({"time": 1, "text": "one"}))
    followed = FollowedComments(tmp_path / "live.jsonl")
    (tmp_path / "live.jsonl").chmod(0)
    assert followed.take(0, 30) == () and not followed.has_chat and len(followed.take_events(0)) == 1


def test_a_file_that_never_appears_is_no_silent_chat(tmp_path: Path) -> None:
    followed = FollowedComments(tmp_path / "never.jsonl")
    assert followed.take(0, 30) == () and not followed.has_chat
    (event,) = followed.take_events(0)
    assert "never.jsonl: No such file" in event.detail
    followed.take(30, 60)
    assert followed.take_events(30) == []  # once is enough
    (tmp_path / "never.jsonl").touch()
    assert followed.take(60, 90) == () and followed.has_chat  # it is there, and nobody has written


def test_what_was_written_before_the_run_is_not_piled_onto_its_first_segment(tmp_path: Path) -> None:
    path = tmp_path / "live.jsonl"
    hours = [{"text": f"old {number}"} for number in range(5000)]
    early = [{"time": time, "text": "too early"} for time in range(0, 3600, 5)]
    append(path, lines(*hours, *early, {"time": 3605, "text": "just now"}))
    followed = FollowedComments(path, offset=-3600.0)  # the stream was joined an hour late
    append(path, lines({"text": "new"}))
    assert [comment.text for comment in followed.take(0, 30)] == ["new", "just now"]
    assert followed.skipped == len(hours) + len(early)


def test_of_a_backlog_beyond_bounds_the_end_is_read(tmp_path: Path) -> None:
    path = tmp_path / "live.jsonl"
    old = lines({"time": 1, "text": "x" * 1000})
    append(path, old * ((20 << 20) // len(old)) + lines({"time": 2, "text": "last"}))
    followed = FollowedComments(path)
    append(path, lines({"text": "new"}))
    found = followed.take(0, 30)
    assert len(found) * len(old) < 17 << 20
    assert {comment.text[:4] for comment in found} == {"xxxx", "last", "new"}


def test_a_comment_that_comes_minutes_late_counts_nowhere(tmp_path: Path) -> None:
    path = tmp_path / "live.jsonl"
    followed = FollowedComments(path)
    append(path, lines({"time": 10, "text": "old"}, {"time": 3590, "text": "late"}, {"time": 3601, "text": "now"}))
    assert [comment.text for comment in followed.take(3600, 3630)] == ["late", "now"]
    assert followed.skipped == 1


def test_a_stream_that_goes_on_takes_no_comment_twice(tmp_path: Path) -> None:
    path = tmp_path / "live.jsonl"
    old = ({"time": 10, "text": "taken"}, {"text": "at some time"}, {"time": 95, "text": "in between"})
    append(path, lines(*old))
    followed = FollowedComments(path)
    followed.skip_until(90.0)
    assert [comment.text for comment in followed.take(120, 150)] == ["in between"]
    append(path, lines({"text": "now"}, {"time": 80, "text": "late"}))
    assert [comment.text for comment in followed.take(150, 180)] == ["late", "now"]
