"""mAP on PHD by the protocol of mrochan/adaptive-highlight, with figures worked out by hand."""

import math

import numpy as np
import pytest

from kuaihl.models.data.phd import Span
from kuaihl.models.evaluation.phd_protocol import protocol_precision, segment_means


def test_the_protocol_gives_every_frame_the_mean_of_its_five_seconds() -> None:
    # Three scores of 2.5 s each are 225 video frames, 75 each. The first 150 hold two of them.
    means = segment_means(np.array([0.2, 0.6, 0.9]), 225)
    np.testing.assert_allclose(means, [0.4] * 150 + [0.9] * 75)


def test_the_protocol_holds_a_score_until_the_next_one() -> None:
    # 7 scores for 300 frames: score k holds for the frames i with 7 i // 300 = k, 0 to 42, 43 to 85, and so on. Of the
    # first 150 frames 43, 43, 43 and 21 have scores 0 to 3, of the second 22, 43, 43 and 42 have scores 3 to 6.
    means = segment_means(np.arange(7.0), 300)
    np.testing.assert_allclose(means[0], (43 * 1 + 43 * 2 + 21 * 3) / 150)
    np.testing.assert_allclose(means[-1], (22 * 3 + 43 * 4 + 43 * 5 + 42 * 6) / 150)
    assert len(set(means.tolist())) == 2


def test_the_protocol_weighs_segments_alike_and_interpolates() -> None:
    # 15 s at 2 frames per second, in segments of mean 0.9, 0.5 and 0.1; 2.5 to 12.5 s is the highlight. Of the video's
    # frames in it are 75 of 150, then 225 of 300, then 300 of 450; the first recall has the better precision beyond.
    scores = np.repeat([0.9, 0.5, 0.1], 10)
    found = protocol_precision(scores, 2.0, [Span("a", 2.5, 12.5)])
    assert found == pytest.approx((3 / 4 + 3 / 4 + 2 / 3) / 3)


def test_the_protocol_averages_before_it_ranks() -> None:
    # One frame of 20 stands out within the first 5 s, yet their mean is below that of the second 5 s.
    scores = np.array([0.0] * 9 + [1.0] + [0.2] * 10)
    assert protocol_precision(scores, 2.0, [Span("a", 4.5, 5.0)]) == pytest.approx(15 / 300)
    assert protocol_precision(scores, 2.0, [Span("a", 5.0, 10.0)]) == pytest.approx(1.0)


def test_the_protocol_joins_all_spans_that_a_user_chose() -> None:
    scores = np.repeat([0.9, 0.5, 0.1], 10)
    spans = [Span("a", 0.0, 3.0), Span("a", 2.0, 5.0), Span("a", 10.0, 15.0)]
    assert protocol_precision(scores, 2.0, spans) == pytest.approx((1 + 2 / 3) / 2)


def test_the_protocol_has_no_figure_for_a_highlight_behind_the_video() -> None:
    assert math.isnan(protocol_precision(np.ones(20), 2.0, [Span("a", 60.0, 65.0)]))
    assert math.isnan(protocol_precision(np.ones(20), 2.0, []))
