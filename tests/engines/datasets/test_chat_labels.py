"""Audience reaction: what the room writes seconds later, against what it is used to write."""

import math

import numpy as np
import pytest

from kuaihl.engines.datasets.chat_labels import chat_rates, standard_scores
from kuaihl.engines.types import Comment
from kuaihl.models.errors import DataError
from kuaihl.models.signals import PRIOR

STARTS = np.arange(20) * 30.0
ENDS = STARTS + 30.0


def chat(counts: list[int], *, late: float = 10.0, text: str = "好", authors: int = 1000) -> list[Comment]:
    """So many comments in each segment, `late` seconds after its start, by that many people."""
    return [
        Comment(30.0 * segment + late + 0.1 * i, text, f"viewer{i % authors}")
        for segment, count in enumerate(counts)
        for i in range(count)
    ]


def rates(comments: list[Comment], **options: float) -> np.ndarray:
    return chat_rates(comments, STARTS, ENDS, "demo.xml", **options)


def test_a_room_that_writes_as_always_is_at_one_half() -> None:
    np.testing.assert_allclose(rates(chat([5] * 20)), 0.5, atol=1e-6)


def test_a_reaction_is_the_logistic_of_the_weighted_standard_scores() -> None:
    counts = [4] * 20
    counts[7] = 24
    # Nobody laughs. Both counts are ln 5 everywhere and ln 25 once; the level is the mean of all 20, within 30 minutes.
    quiet, loud = math.log(5), math.log(25)
    level = (19 * quiet + loud) / 20
    squares = 19 * (quiet - level) ** 2 + (loud - level) ** 2
    z = (loud - level) / math.sqrt((PRIOR * 0.5**2 + squares) / (PRIOR + 20))
    found = rates(chat(counts))
    assert found[7] == pytest.approx(1 / (1 + math.exp(-0.75 * z)), abs=1e-6)
    assert found.argmax() == 7
    assert (np.delete(found, 7) < 0.5).all()


def test_comments_are_counted_for_what_they_react_to() -> None:
    counts = [4] * 20
    counts[7] = 24
    assert rates(chat(counts, late=2.0)).argmax() == 6  # 212 s is in the 30 s from 180 + 10
    assert rates(chat(counts, late=2.0), delay=0.0).argmax() == 7


def test_one_viewer_who_floods_the_room_counts_for_less_than_many() -> None:
    counts = [4] * 20
    flooded, moved = counts.copy(), counts.copy()
    flooded[7] = moved[7] = 24
    assert rates(chat(flooded, authors=4))[7] < rates(chat(moved))[7]


def test_laughter_counts_beside_the_numbers() -> None:
    comments = chat([6] * 20)
    laughing = [
        Comment(one.time, "哈哈哈哈", one.author) if 30 * 7 <= one.time - 10 < 30 * 8 else one for one in comments
    ]
    found = rates(laughing)
    assert found.argmax() == 7
    assert found[7] > 0.7


def test_gifts_and_entries_are_no_reaction() -> None:
    others = [Comment(220.0 + 0.1 * i, "sent a rose", f"g{i}", "gift") for i in range(50)]
    np.testing.assert_array_equal(rates(chat([5] * 20) + others), rates(chat([5] * 20)))


def test_the_level_is_the_rooms_about_each_segment_not_over_hours() -> None:
    middles = np.arange(240) * 30.0 + 15
    grown = (middles / 3600)[:, None]  # the room fills up for two hours
    grown[60] += 0.5
    scores = standard_scores(grown, middles, np.array([0.5]))[:, 0]
    assert scores.argmax() == 60
    assert abs(scores[180]) < 1e-9  # as usual for so late an hour


def test_the_last_segments_are_labelled_though_nobody_recorded_what_came_after() -> None:
    np.testing.assert_allclose(rates(chat([5] * 20, late=0.0), delay=25.0)[-1], 0.5, atol=0.02)


@pytest.mark.parametrize("comments", [[], chat([1] * 20), [Comment(1e5 + i, "x", "a") for i in range(500)]])
def test_a_room_with_too_few_comments_is_told(comments: list[Comment]) -> None:
    with pytest.raises(DataError, match=r"demo\.xml: \d+ comments within the recording, too few to label 20 segments"):
        rates(comments)
