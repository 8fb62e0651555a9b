"""Signals of a segment, and their standard scores over the room's own past."""

import numpy as np
import pytest

from kuaihl.models.signals import (
    COLUMNS,
    FARTHEST,
    GROUPS,
    PRIOR,
    SIGNAL_NAMES,
    SIGNALS,
    SIGNALS_WIDTH,
    RunningMoments,
    unknown_values,
    with_standard_scores,
)

COMMENTS, LOUDNESS = SIGNAL_NAMES.index("comments"), SIGNAL_NAMES.index("loudness")


def column(name: str) -> int:
    return COLUMNS.index(name)


def room(segments: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(2.0, 1.0, (segments, len(SIGNALS))).astype(np.float32)


def test_names_are_unique_and_every_signal_has_a_value_and_a_standard_score() -> None:
    assert len(set(COLUMNS)) == len(COLUMNS) == SIGNALS_WIDTH == len(GROUPS) + 2 * len(SIGNALS)


def test_a_standard_score_is_over_the_segments_before_alone() -> None:
    values = np.full((3, len(SIGNALS)), np.nan, np.float32)
    values[:, COMMENTS] = [1.0, 3.0, 4.0]
    found = with_standard_scores(values)[:, column("comments_standardised")]
    spread = SIGNALS[COMMENTS].spread
    second = (3.0 - 1.0) / np.sqrt(PRIOR * spread**2 / (PRIOR + 1))
    third = (4.0 - 2.0) / np.sqrt((PRIOR * spread**2 + 2.0) / (PRIOR + 2))
    np.testing.assert_allclose(found, [0.0, min(second, FARTHEST), third], rtol=1e-6)


def test_what_comes_later_changes_no_score_before() -> None:
    values = room(40)
    other = values.copy()
    other[25:] += 100.0
    np.testing.assert_array_equal(with_standard_scores(values)[:25], with_standard_scores(other)[:25])


def test_a_long_past_leaves_the_room_s_own_mean_and_deviation() -> None:
    values = room(4000)
    last = with_standard_scores(values)[-1, column("loudness_standardised")]
    before = values[:-1, LOUDNESS]
    assert last == pytest.approx((values[-1, LOUDNESS] - before.mean()) / before.std(), rel=1e-3)


def test_a_step_continues_a_full_pass_from_stored_moments_of_constant_size() -> None:
    values = room(30)
    moments = RunningMoments()
    first = [moments.push(each) for each in values[:17]]
    stored = moments.to_array()
    assert stored.shape == (3, len(SIGNALS))
    again = RunningMoments.from_array(stored)
    rest = [again.push(each) for each in values[17:]]
    np.testing.assert_array_equal(np.stack(first + rest), with_standard_scores(values))


def test_unknown_values_are_zero_flagged_and_leave_the_moments_alone() -> None:
    values = room(10)
    values[4] = unknown_values()
    found = with_standard_scores(values)
    assert not found[4].any()
    np.testing.assert_array_equal(np.delete(found, 4, axis=0), with_standard_scores(np.delete(values, 4, axis=0)))


def test_a_group_is_known_or_not_by_itself() -> None:
    values = unknown_values()
    values[COMMENTS] = 0.0
    found = RunningMoments().push(values)
    assert [bool(found[column(f"has_{group}")]) for group in GROUPS] == [True, False, False, False]


def test_moments_of_another_number_of_signals_are_refused() -> None:
    with pytest.raises(ValueError, match="running moments"):
        RunningMoments.from_array(np.zeros((3, 2)))
