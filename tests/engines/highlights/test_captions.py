"""Captions of a clip: what is spoken, at its time; whatever the words are, they stay words."""

import itertools
import random
from dataclasses import replace
from pathlib import Path

import pysubs2
import pytest

from kuaihl.engines.highlights.captions import (
    Caption,
    captions_of,
    captions_within,
    columns,
    write_ass,
)
from kuaihl.engines.one_line import one_line
from kuaihl.engines.types import ScoredSegment, Sentence

SIZE = 1280, 720


def segment(index: int, text: str, *sentences: Sentence) -> ScoredSegment:
    start = 30.0 * index
    return ScoredSegment(index, start, start + 30, start + 30, start + 60, 0.5, text, 0, False, 0.0, None, sentences)


def read(path: Path) -> list[tuple[int, int, str]]:
    return [(one.start, one.end, one.text) for one in pysubs2.load(str(path), encoding="utf-8").events]


def test_sentences_keep_their_own_times() -> None:
    said = Sentence(31.5, 33.0, "what a goal"), Sentence(36.0, 38.5, "again!")
    assert captions_of([segment(0, ""), segment(1, "what a goal again!", *said)]) == [
        Caption(31.5, 33.0, "what a goal"),
        Caption(36.0, 38.5, "again!"),
    ]


def test_words_without_times_are_spread_over_their_segment() -> None:
    words = " ".join(f"word{number:03}" for number in range(60))
    spread = captions_of([segment(2, words)])
    assert spread[0].start == 60.0 and spread[-1].end == pytest.approx(90.0)
    assert " ".join(one.text for one in spread) == words
    assert all(one.end == pytest.approx(after.start) for one, after in itertools.pairwise(spread))
    assert all(columns(one.text) <= 72 for one in spread)
    speed = [columns(one.text) / (one.end - one.start) for one in spread]
    assert max(speed) == pytest.approx(min(speed))


def test_long_speech_without_spaces_is_split_too() -> None:
    spread = captions_of([segment(0, "直播间" * 100)])
    assert "".join(one.text for one in spread) == "直播间" * 100
    assert all(columns(one.text) <= 72 for one in spread)


def test_times_in_a_clip_count_from_its_start_and_no_two_are_at_once() -> None:
    said = [
        Caption(5.0, 9.0, "before"),
        Caption(9.5, 12.0, "over"),
        Caption(11.0, 14.0, "the"),
        Caption(19.9, 22.0, "end"),
    ]
    assert captions_within(said, 10.0, 20.0) == [Caption(0.0, 1.0, "over"), Caption(1.0, 4.0, "the")]
    assert captions_within(said, 30.0, 40.0) == []


def test_the_file_has_the_pictures_size_and_one_line_per_caption(tmp_path: Path) -> None:
    write_ass(tmp_path / "a.ass", [Caption(0.0, 1.25, "what a goal"), Caption(1.25, 4.0, "直播间 😀")], (404, 720))
    file = pysubs2.load(str(tmp_path / "a.ass"), encoding="utf-8")
    assert (file.info["PlayResX"], file.info["PlayResY"]) == ("404", "720")
    assert file.styles["Default"].fontsize == 24, "6% of the width of an upright picture"
    assert read(tmp_path / "a.ass") == [(0, 1250, "what a goal"), (1250, 4000, "直播间 😀")]
    assert [path.name for path in tmp_path.iterdir()] == ["a.ass"]


@pytest.mark.parametrize(
    ("said", "kept"),
    [
        (r"{\pos(0,0)\fs900}big", "｛＼pos(0,0)＼fs900｝big"),
        (r"one\Ntwo\hthree", "one＼Ntwo＼hthree"),
        (
            "one\nDialogue: 0,0:00:00.00,9:00:00.00,Default,,0,0,0,,two",
            "one Dialogue: 0,0:00:00.00,9:00:00.00,Default,,0,0,0,,two",
        ),
        ("[Script Info]\r\n[V4+ Styles]", "[Script Info] [V4+ Styles]"),
        ("a\x00b\x1b[31mc\u2028d\u202ee\u2066f", "ab[31mc def"),
        ("‏مرحبا بالعالم", "مرحبا بالعالم"),
        ("👩‍👩‍👧 ok", "👩‍👩‍👧 ok"),
        ("half \ud800 a pair", "half \ufffd a pair"),
    ],
)
def test_words_are_inert(tmp_path: Path, said: str, kept: str) -> None:
    (caption,) = captions_of([replace(segment(0, ""), sentences=(Sentence(1.0, 5.0, said),))])
    write_ass(tmp_path / "a.ass", [caption], SIZE)
    assert read(tmp_path / "a.ass") == [(1000, 5000, kept)]


def test_no_words_make_a_file_with_commands_or_other_lines(tmp_path: Path) -> None:
    chance = random.Random(11)
    letters = (
        "ab,:;{}\\Nnh&<>'\"!*[]()\x00\x08\n\r\x0b\x0c\x1c\x85\u2028\u2029\u200b\u200d\u202e\u2067é漢مر😀\ud83d\ufeff"
    )
    for _ in range(200):
        said = ["".join(chance.choices(letters, k=chance.randrange(1, 120))) for _ in range(3)]
        scored = [segment(number, text) for number, text in enumerate(said)]
        captions = captions_within(captions_of(scored), 0.0, 90.0)
        write_ass(tmp_path / "a.ass", captions, SIZE)
        written = read(tmp_path / "a.ass")
        assert len(written) == len(captions)
        assert not any(set("{}\\") & set(text) for _, _, text in written)
        assert all(one_line(text) == text and text for _, _, text in written)
        assert set(pysubs2.load(str(tmp_path / "a.ass")).styles) == {"Default"}
