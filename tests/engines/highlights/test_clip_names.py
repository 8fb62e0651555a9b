"""Names of clips: a template of documented fields, checked before anything is scored; what comes out is safe."""

import random
import re

import pytest

from kuaihl.engines.highlights.clip_names import check_template, name_clips
from kuaihl.engines.highlights.clip_style import USUAL_NAME
from kuaihl.engines.types import Highlight
from kuaihl.models.errors import UsageError

FULL = "{source}_{rank:02}_{time}_{score:.2f}_{words}"


def highlight(start: float, score: float = 0.5, text: str = "") -> Highlight:
    return Highlight(start, start + 40.0, score, (0,), text)


def test_the_usual_name_sorts_by_rank_and_shows_the_time() -> None:
    assert name_clips(USUAL_NAME, "stream", [highlight(750.9, 0.4), highlight(36000.0, 0.9)]) == [
        "stream_02_00-12-30",
        "stream_01_10-00-00",
    ]


def test_a_template_takes_every_field() -> None:
    every = "{source}-{rank}-{time}-{start:.0f}-{end:.0f}-{length:.0f}-{score:.2f}-{words}"
    check_template(every)
    (name,) = name_clips(every, "room", [highlight(750.0, 0.7132, "What a goal, again!")])
    assert name == "room-1-00-12-30-750-790-40-0.71-What_a_goal_again"


@pytest.mark.parametrize(
    ("template", "why"),
    [
        ("{rank}_{title}", "no field is called {title}; there are source, rank, time, "),
        ("{rank.real}", "no field is called {rank.real}"),
        ("{rank[0]}", "no field is called {rank[0]}"),
        ("{}", "no field is called {}"),
        ("{rank!r}", "takes a plain format"),
        ("{rank:{rank}}", "takes a plain format"),
        ("{rank:0999999999}", "takes a plain format"),
        ("{rank:s}", "not a template: Unknown format code 's'"),
        ("{rank", "not a template: expected '}'"),
        ("a}{rank}", "not a template: Single '}'"),
        ("{source}_{words}_{score:.2f}", "clips would have the same name"),
        ("clips/{rank}", "not of a folder"),
        ("", "clips would have the same name"),
    ],
)
def test_a_wrong_template_is_refused_with_its_setting(template: str, why: str) -> None:
    with pytest.raises(UsageError) as refused:
        check_template(template)
    assert why in str(refused.value) and refused.value.setting == "clip_name"


@pytest.mark.parametrize(
    ("source", "start", "name"),
    [
        ("../../etc/pass wd", 36000.0, "etc_pass_wd_01_10-00-00"),
        ("\x00\n/", 0.0, "clip_01_00-00-00"),
        ("直播间", 61.0, "直播间_01_00-01-01"),
        ("{rank}{0.__class__}", 0.0, "rank_0.__class_01_00-00-00"),
    ],
)
def test_a_source_cannot_leave_the_folder_or_be_a_template(source: str, start: float, name: str) -> None:
    assert name_clips(USUAL_NAME, source, [highlight(start)]) == [name]


def test_names_that_would_be_the_same_get_their_rank() -> None:
    padded = [highlight(0.0, 0.5), highlight(0.4, 0.6), highlight(0.8, 0.7)]
    assert name_clips("{time}", "room", padded) == ["00-00-00", "00-00-00_02", "00-00-00_01"]


def test_no_words_make_an_unsafe_name() -> None:
    chance = random.Random(5)
    letters = "aB9 .-_/\\:*?\"'<>|{}%$`\x00\x07\n\r\t\x7f\u202e\u2066\u200d😀👩‍👩‍👧é漢字مرحبا\ud800\U0010ffff"
    for _ in range(300):
        text, source = ("".join(chance.choices(letters, k=chance.randrange(400))) for _ in range(2))
        names = name_clips(FULL, source, [highlight(5.0, 0.5, text), highlight(5.2, 0.4, text)])
        assert len({name.casefold() for name in names}) == 2
        for name in names:
            assert re.fullmatch(r"\w[\w.\-]*", name), ascii(name)
            assert len(f".{name}.mp4.part".encode()) <= 255
