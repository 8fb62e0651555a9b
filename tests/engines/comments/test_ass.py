"""Danmaku in ASS subtitles."""

from pathlib import Path

from kuaihl.engines.comments.reader import read_comment_file
from kuaihl.engines.types import Comment

HEAD = """[Script Info]
Title: room
ScriptType: v4.00+
PlayResX: 1920

[V4+ Styles]
Format: Name, Fontname, Fontsize
Style: R2L,Microsoft YaHei,45

[Events]
Format: Layer, Start, End, Style, Name, MarginL, MarginR, MarginV, Effect, Text
"""


def line(start: str, text: str, kind: str = "Dialogue") -> str:
    return f"{kind}: 0,{start},09:59:59.00,R2L,,0,0,0,,{{\\move(1920,1,-200,1)}}{{\\c&HFF}}{text}\n"


def test_lines_are_comments_without_their_tags(tmp_path: Path) -> None:
    file = tmp_path / "room.ass"
    lines = [line("00:00:12.50", "你好, 主播"), line("0:0:0.15", "first"), line("01:00:00.00", "a\\Nb")]
    file.write_text("\ufeff" + HEAD + "".join(lines) + line("0:00:01.00", "a remark", "Comment"), encoding="utf-8")
    found = read_comment_file(file)
    assert found.format == "danmaku in ASS subtitles"
    assert found.comments == (Comment(0.15, "first"), Comment(12.5, "你好, 主播"), Comment(3600.0, "a b"))


def test_torn_lines_are_counted_and_cost_only_themselves(tmp_path: Path) -> None:
    file = tmp_path / "room.ass"
    good = [line(f"0:{minute:02}:00.00", f"at {minute}") for minute in range(50)]
    bad = ["Dialogue: torn\n", line("0:0x:01.00", "x"), "Dialogue:\n", line("0:00:05.00", "")]
    file.write_text(HEAD + "".join(good[:25] + bad + good[25:]) + "Dialogue: 0,00:01", encoding="utf-8")
    found = read_comment_file(file)
    assert [comment.text for comment in found.comments] == [f"at {minute}" for minute in range(50)]
    assert found.skipped == len(bad) + 1


def test_columns_in_another_order_are_found_by_their_names(tmp_path: Path) -> None:
    file = tmp_path / "room.ass"
    head = HEAD.replace("Format: Layer, Start, End, Style, Name,", "Format: Marked, Start, End, Style, Actor,")
    file.write_text(head + line("0:00:02.00", "hi"), encoding="utf-8")
    (comment,) = read_comment_file(file).comments
    assert (comment.time, comment.text) == (2.0, "hi")
