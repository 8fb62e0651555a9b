"""The scorer speaks of the next segment, says where its window spans a gap, and can be taken over by another."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from support.small_bundle import BEYOND_PAPER, DIMS, make_bundle, segments

from kuaihl.engines.scoring.scorer import ScorerState, StreamingScorer
from kuaihl.engines.types import EncodedSegment, Transcript
from kuaihl.models.bundle import Bundle
from kuaihl.models.dims import NetworkDims
from kuaihl.models.errors import ModelError
from kuaihl.models.features import SegmentFeatures
from kuaihl.models.signals import SIGNALS, with_standard_scores


@pytest.fixture
def bundle(tmp_path: Path) -> Bundle:
    return make_bundle(tmp_path / "bundle", seed=0)


def test_a_score_speaks_of_the_next_segment(bundle: Bundle) -> None:
    scored = list(StreamingScorer(bundle).scores(segments(3)))
    assert [(one.segment, one.start, one.predicts_start, one.predicts_end) for one in scored] == [
        (0, 0.0, 30.0, 60.0),
        (1, 30.0, 60.0, 90.0),
        (2, 60.0, 90.0, 120.0),
    ]
    assert [one.text for one in scored] == ["words 0", "words 1", "words 2"]
    assert all(0 < one.score < 1 for one in scored)


def test_a_score_comes_as_soon_as_its_segment_is_there(bundle: Bundle) -> None:
    def live() -> Iterator[EncodedSegment]:
        for segment in segments(5):
            arrived.append(segment.index)
            yield segment

    arrived: list[int] = []
    for one in StreamingScorer(bundle).scores(live()):
        assert arrived[-1] == one.segment


def test_scores_whose_window_spans_a_gap_are_flagged(bundle: Bundle) -> None:
    scored = StreamingScorer(bundle).scores(segments(12, gaps=(3,)))
    assert [one.segment for one in scored if one.gap] == [3, 4, 5, 6, 7]


def test_scores_are_those_of_the_network_on_the_whole_room(bundle: Bundle) -> None:
    room = list(segments(30))
    scored = [one.score for one in StreamingScorer(bundle, streamer="ann").scores(room)]
    visual = torch.tensor(np.stack([segment.features.visual for segment in room])).float()[None]
    text = torch.tensor(np.stack([segment.features.text for segment in room])).float()[None]
    with torch.no_grad():
        whole = bundle.network()(visual, text, torch.tensor([1])).sigmoid()[0]
    np.testing.assert_allclose(scored, whole, atol=1e-5)


def test_a_known_streamer_scores_otherwise_than_a_stranger(bundle: Bundle) -> None:
    ann, stranger, nobody = (
        [one.score for one in StreamingScorer(bundle, streamer=name).scores(segments(4))]
        for name in ("ann", "somebody", None)
    )
    assert ann != stranger
    assert stranger == nobody


def test_both_answers_are_those_of_the_network_on_the_whole_room_with_its_signals(tmp_path: Path) -> None:
    bundle = make_bundle(tmp_path / "beyond", 0, BEYOND_PAPER)
    room = list(segments(30))
    scored = list(StreamingScorer(bundle).scores(room))
    visual = torch.tensor(np.stack([segment.features.visual for segment in room])).float()[None]
    text = torch.tensor(np.stack([segment.features.text for segment in room])).float()[None]
    signals = torch.from_numpy(with_standard_scores(segment.features.signals for segment in room))[None]
    with torch.no_grad():
        score, interest = bundle.streaming_network().outputs(visual, text, torch.tensor([0]), None, signals)
    assert interest is not None
    np.testing.assert_allclose([one.score for one in scored], score.sigmoid()[0], atol=1e-5)
    np.testing.assert_allclose([one.interest for one in scored], interest.sigmoid()[0], atol=1e-5)


def test_a_bundle_trained_without_comments_does_not_hear_of_them_by_their_signals(tmp_path: Path) -> None:
    bundle = replace(make_bundle(tmp_path / "deaf", 0, BEYOND_PAPER), metrics={"plan": {"text": "speech"}})
    room = list(segments(6))
    silent = np.where([signal.group == "comments" for signal in SIGNALS], np.nan, 1.0)
    without = [
        replace(one, features=replace(one.features, signals=one.features.signals * silent.astype(np.float32)))
        for one in room
    ]
    assert list(StreamingScorer(bundle).scores(room)) == list(StreamingScorer(bundle).scores(without))
    everything = replace(bundle, metrics={})
    assert list(StreamingScorer(everything).scores(room)) != list(StreamingScorer(everything).scores(without))


def test_a_bundle_without_the_second_output_tells_no_interest(bundle: Bundle) -> None:
    assert [one.interest for one in StreamingScorer(bundle).scores(segments(2))] == [None, None]


@pytest.mark.parametrize("dims", [DIMS, BEYOND_PAPER])
def test_another_process_goes_on_where_one_stopped(tmp_path: Path, dims: NetworkDims) -> None:
    bundle = make_bundle(tmp_path / "bundle", 0, dims)
    room = list(segments(20, gaps=(6,)))
    whole = list(StreamingScorer(bundle, streamer="ann").scores(room))
    first = StreamingScorer(bundle, streamer="ann")
    list(first.scores(room[:8]))
    second = StreamingScorer(bundle, state=ScorerState.from_bytes(first.state.to_bytes()))
    assert list(second.scores(room[8:])) == whole[8:]


def test_the_state_brings_along_the_last_picture_and_language(bundle: Bundle) -> None:
    scorer = StreamingScorer(bundle)
    assert (scorer.state.picture, scorer.state.language) == (None, None)
    one, two = segments(2)
    picture = np.arange(27 * 48 * 3, dtype=np.int16).reshape(27, 48, 3)[:, ::-1]  # not in one piece in memory
    scorer.score(replace(one, last_picture=picture, transcript=Transcript("hi", language="en")))
    scorer.score(two)  # neither seen nor heard
    state = ScorerState.from_bytes(scorer.state.to_bytes())
    assert state.language == "en" and state.picture is not None and np.array_equal(state.picture, picture)


def test_the_state_of_another_bundle_is_refused(bundle: Bundle, tmp_path: Path) -> None:
    other = StreamingScorer(make_bundle(tmp_path / "other", seed=1))
    with pytest.raises(ModelError, match="made by another bundle"):
        StreamingScorer(bundle, state=other.state)
    with pytest.raises(ModelError, match="damaged"):
        ScorerState.from_bytes(b"nonsense")
    with pytest.raises(ModelError, match="something else than a scorer"):
        ScorerState.from_bytes(other.state.network.to_bytes())


def test_features_of_other_encoders_are_one_line(bundle: Bundle) -> None:
    features = SegmentFeatures(np.zeros((7, 10), np.float16), np.zeros(6, np.float16))
    with pytest.raises(ModelError, match=r"reads features \(3, 10\) and \(6,\).*profile 'edge'"):
        StreamingScorer(bundle).score(EncodedSegment(0, 0.0, 30.0, features, Transcript()))


def test_features_that_are_not_numbers_are_one_line(bundle: Bundle) -> None:
    features = SegmentFeatures(np.full((3, 10), np.nan, np.float16), np.zeros(6, np.float16))
    with pytest.raises(ModelError, match="segment 0: features hold NaN"):
        StreamingScorer(bundle).score(EncodedSegment(0, 0.0, 30.0, features, Transcript()))


def test_segments_of_another_length_predict_spans_of_that_length(bundle: Bundle) -> None:
    (one,) = StreamingScorer(bundle, segment_seconds=10.0).scores(segments(1))
    assert (one.predicts_start, one.predicts_end) == (30.0, 40.0)
