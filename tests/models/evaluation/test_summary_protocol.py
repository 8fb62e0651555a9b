"""The protocol of Otani et al. 2019: its published human agreement on TVSum, and its parts against scipy."""

import math
from pathlib import Path

import numpy as np
import pytest
from scipy import stats
from support.paths import SHARED

from kuaihl.models.data.tvsum_mat import RatedVideo, read_tvsum_mat
from kuaihl.models.errors import DataError
from kuaihl.models.evaluation.rank_correlation import average_ranks, spearman_rho
from kuaihl.models.evaluation.summary_protocol import human_agreement, measure_agreement

TVSUM = SHARED / "labels" / "ydata-tvsum50.mat"


@pytest.fixture(scope="module")
def videos() -> tuple[RatedVideo, ...]:
    if not TVSUM.is_file():
        pytest.skip(f"{TVSUM} is not here; it is TVSum's own (yalesong/tvsum)")
    return read_tvsum_mat(TVSUM)


def test_human_agreement_on_tvsum_is_what_was_published(videos: tuple[RatedVideo, ...]) -> None:
    """Tau 0.177 and rho 0.204: each annotator against each other one, over all frames, means of 50 videos."""
    found = [human_agreement(video.annotations) for video in videos]
    assert f"{np.mean([one.tau for one in found]):.3f}" == "0.177"
    assert f"{np.mean([one.rho for one in found]):.3f}" == "0.204"


def test_tvsum_is_50_videos_of_20_annotators(videos: tuple[RatedVideo, ...]) -> None:
    assert len(videos) == 50
    assert {len(video.annotations) for video in videos} == {20}
    assert {*np.unique(np.concatenate([video.annotations.ravel() for video in videos]))} == {1, 2, 3, 4, 5}
    first = videos[0]
    assert (first.name, first.annotations.shape[1]) == ("AwmHb44_ouw", 10597)
    assert first.seconds == pytest.approx(353.593)
    assert len({video.annotations.shape[1] for video in videos}) == 50  # so a video is known by its frames


def test_random_scores_agree_with_nobody(videos: tuple[RatedVideo, ...]) -> None:
    random = np.random.default_rng(0)
    found = [measure_agreement(random.random(video.annotations.shape[1]), video.annotations) for video in videos[:10]]
    assert abs(np.mean([one.tau for one in found])) < 0.01


def test_the_mean_rating_agrees_more_than_the_annotators_among_themselves(videos: tuple[RatedVideo, ...]) -> None:
    for video in videos[:5]:
        assert (
            measure_agreement(video.annotations.mean(axis=0), video.annotations).tau
            > human_agreement(video.annotations).tau
        )


@pytest.fixture
def ratings() -> np.ndarray:
    return np.random.default_rng(2).integers(1, 6, size=(5, 80)).astype(float)


def test_human_agreement_is_the_mean_over_all_pairs_of_annotators(ratings: np.ndarray) -> None:
    pairs = [(one, other) for one in range(5) for other in range(5) if one != other]
    found = human_agreement(ratings)
    assert found.tau == pytest.approx(np.mean([stats.kendalltau(ratings[a], ratings[b]).statistic for a, b in pairs]))
    assert found.rho == pytest.approx(np.mean([stats.spearmanr(ratings[a], ratings[b]).statistic for a, b in pairs]))


def test_scores_are_compared_with_each_annotator_and_averaged(ratings: np.ndarray) -> None:
    scores = np.random.default_rng(3).random(80)
    found = measure_agreement(scores, ratings)
    assert found.tau == pytest.approx(np.mean([stats.kendalltau(scores, rater).statistic for rater in ratings]))
    assert found.rho == pytest.approx(np.mean([stats.spearmanr(scores, rater).statistic for rater in ratings]))


def test_who_rated_all_frames_alike_is_left_out(ratings: np.ndarray) -> None:
    with_indifferent = np.vstack([ratings, np.full(80, 3.0)])
    assert human_agreement(with_indifferent).tau == pytest.approx(human_agreement(ratings).tau)
    assert measure_agreement(np.arange(80), with_indifferent).rho == pytest.approx(
        measure_agreement(np.arange(80), ratings).rho
    )
    assert math.isnan(measure_agreement(np.arange(80), np.full((2, 80), 3.0)).tau)
    assert math.isnan(human_agreement(ratings[:1]).tau)


def test_scores_that_are_all_alike_agree_with_nobody(ratings: np.ndarray) -> None:
    assert measure_agreement(np.ones(80), ratings).tau == 0.0


def test_spearmans_rho_is_scipys_with_ties() -> None:
    random = np.random.default_rng(4)
    x, y = random.integers(0, 7, 50), random.random(50)
    assert average_ranks(x).tolist() == (stats.rankdata(x) - 1).tolist()
    assert spearman_rho(x, y) == pytest.approx(stats.spearmanr(x, y).statistic)
    assert math.isnan(spearman_rho(x, np.ones(50)))


def test_another_file_is_refused_in_one_line(tmp_path: Path) -> None:
    other = tmp_path / "other.mat"
    other.write_bytes(b"MATLAB 5.0 MAT-file")
    with pytest.raises(DataError, match=r"other\.mat: is not TVSum's ydata-tvsum50\.mat"):
        read_tvsum_mat(other)
    with pytest.raises(DataError, match="is not TVSum's"):
        read_tvsum_mat(tmp_path / "missing.mat")
