"""Chapters lie one after the other from the beginning to the end; YouTube's are long enough and enough."""

import random

import pytest
from support.editors import youtube_chapters

from kuaihl.engines.outputs.formats import FORMATS, remarks
from kuaihl.engines.outputs.highlights_json import HighlightsDocument, Report, build_document
from kuaihl.engines.outputs.timelines.chapters import chapters_of
from kuaihl.engines.outputs.timelines.timeline import Timeline, build_timeline
from kuaihl.engines.types import Highlight


def made(*spans: tuple[float, float], duration: float = 600.0, text: str = "") -> tuple[HighlightsDocument, Timeline]:
    highlights = [Highlight(start, end, 0.5 - index / 100, (0,), text) for index, (start, end) in enumerate(spans)]
    document = build_document(Report("live", duration, None, "edge", None, highlights))
    return document, build_timeline(document, None, "live")


def starts(*spans: tuple[float, float], least: float = 1.0, duration: float = 600.0) -> list[tuple[float, str]]:
    _, timeline = made(*spans, duration=duration)
    return [(one.start, one.title) for one in chapters_of(timeline, least)]


def test_a_highlight_is_a_chapter_and_so_is_what_lies_between() -> None:
    assert starts((100, 130), (200, 220)) == [
        (0, "…"), (100, "Highlight 1"), (130, "…"), (200, "Highlight 2"), (220, "…"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("spans", "expected"),
    [
        ([(0, 30), (30, 60)], [0, 30, 60]),
        ([(0.4, 30)], [0, 30]),  # nothing worth a chapter lies before it
        ([(100, 130), (130.5, 160)], [0, 100, 130.5, 160]),
        ([(100, 130), (120, 160)], [0, 100, 130, 160]),  # they overlap
        ([(100, 130), (110, 120)], [0, 100, 130]),  # one covers the other
        ([(580, 599.8)], [0, 580]),
        ([], [0]),
    ],
)
def test_a_rest_of_less_than_a_second_has_no_chapter(spans: list[tuple[float, float]], expected: list[float]) -> None:
    assert [start for start, _ in starts(*spans)] == expected


def test_any_highlights_give_chapters_without_a_hole() -> None:
    for seed in range(300):
        chance = random.Random(seed)
        duration = chance.uniform(0.5, 900)
        begins = sorted(chance.uniform(0, duration) for _ in range(chance.randrange(8)))
        spans = [(begin, min(begin + chance.uniform(0.1, 150), duration)) for begin in begins]
        document, timeline = made(*spans, duration=duration)
        for least in (1.0, 10.0):
            chapters = chapters_of(timeline, least)
            edges = [one.start for one in chapters] + [chapters[-1].end]
            assert edges[0] == 0.0 and edges[-1] == pytest.approx(duration, abs=1e-3)
            assert [one.end for one in chapters] == edges[1:]
            assert len(chapters) == 1 or min(one.end - one.start for one in chapters) >= least - 1e-6
        youtube_chapters(FORMATS["youtube"].render(document, timeline), duration)


def test_too_few_chapters_for_youtube_are_no_line_and_a_remark() -> None:
    document, timeline = made((0, 300))
    assert FORMATS["youtube"].render(document, timeline) == ""
    (line,) = remarks(document, ["youtube"], timeline)
    assert "highlights.chapters.txt is empty" in line and "3 chapters" in line
    assert len(FORMATS["ffmetadata"].render(document, timeline).split("[CHAPTER]")) == 3


def test_after_an_hour_youtube_s_lines_have_hours() -> None:
    document, timeline = made((3661.9, 3700), duration=7200, text="a <b> goal")
    assert FORMATS["youtube"].render(document, timeline) == "0:00 …\n1:01:01 a ‹b› goal\n1:01:40 …\n"
    assert FORMATS["twitch"].render(document, timeline) == "1:01:01,Editor,kuaihl,#1 · 0.500 · a <b> goal\r\n"
