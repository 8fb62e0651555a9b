"""Scores of whole rooms: in stretches they are those of one pass, whatever the architecture."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from support.small_network import SMALL
from torch import nn

from kuaihl.models.architectures import ARCHITECTURES, build_network
from kuaihl.models.data.klive import KLive, open_klive
from kuaihl.models.data.klive_writer import DataSetWriter
from kuaihl.models.evaluation.room_scores import score_rooms
from kuaihl.models.facts import DataSetFacts, LabelFacts, RoomRecord

SEGMENTS = 90  # far more than a score depends on
STREAMERS = {"ann": 1, "bob": 2}


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> KLive:
    """A room to train on and two to test on, one of a streamer nobody knows."""
    path, draw = tmp_path_factory.mktemp("klive") / "set", np.random.default_rng(0)
    writer = DataSetWriter(path, DataSetFacts("edge", (), 30.0, LabelFacts(), 10, 6, 3))
    for number, streamer in enumerate(("ann", "bob", "cleo")):
        views = draw.integers(40, 200, SEGMENTS).astype(np.int32)  # some too few to count
        arrays = {
            "visual": draw.normal(size=(SEGMENTS, 3, 10)).astype(np.float16),
            "text": draw.normal(size=(SEGMENTS, 6)).astype(np.float16),
            "views": views,
            "long_views": draw.binomial(views, 0.4).astype(np.int32),
        }
        split = "test" if number else "train"
        writer.write_room(RoomRecord(f"room-{number}", streamer, SEGMENTS, split), arrays)
    writer.finish()
    return open_klive(path)


@pytest.fixture(params=sorted(name for name, one in ARCHITECTURES.items() if not one.reads_counts))
def network(request: pytest.FixtureRequest) -> nn.Module:
    torch.manual_seed(0)
    return build_network(request.param, SMALL).eval()


@pytest.mark.parametrize("stretch", [1, 7, 32])
def test_a_room_in_stretches_has_the_scores_of_one_pass(data: KLive, network: nn.Module, stretch: int) -> None:
    records = data.rooms_of("test")
    whole = score_rooms(network, data, records, STREAMERS, stretch=SEGMENTS)
    parts = score_rooms(network, data, records, STREAMERS, stretch=stretch)
    for one, other in zip(whole, parts, strict=True):
        assert one.scores.shape == (SEGMENTS,)
        np.testing.assert_allclose(one.scores, other.scores, atol=1e-6)


def test_scores_are_the_networks_and_stand_before_the_labels_they_are_about(data: KLive, network: nn.Module) -> None:
    (record,) = data.rooms_of("train")
    room = data.room(record)
    (found,) = score_rooms(network, data, [record], STREAMERS)
    visual, text = (torch.from_numpy(np.array(part)).float()[None] for part in (room.visual, room.text))
    streamer = torch.tensor([STREAMERS.get(record.streamer, 0)])
    with torch.no_grad():
        expected = torch.sigmoid(network(visual, text, streamer, None))[0]
    np.testing.assert_allclose(found.scores, expected.numpy(), atol=1e-6)
    views, long_views = room.views, room.long_views
    assert views is not None
    assert long_views is not None
    for segment in np.flatnonzero(found.valid):
        assert found.labels[segment] == pytest.approx(long_views[segment + 1] / views[segment + 1])
    assert not found.valid[-1]


def test_a_network_that_sees_the_future_reads_each_room_whole(data: KLive) -> None:
    network = build_network("kuaihl", replace(SMALL, causal=False)).eval()
    records = data.rooms_of("test")[:1]
    (whole,) = score_rooms(network, data, records, STREAMERS)
    (parts,) = score_rooms(network, data, records, STREAMERS, stretch=4)
    np.testing.assert_array_equal(whole.scores, parts.scores)


def test_who_is_not_known_is_scored_as_the_unknown_streamer(data: KLive) -> None:
    network = build_network("kuaihl", SMALL).eval()
    record = data.rooms_of("train")[0]
    scores = [
        score_rooms(network, data, [record], known)[0].scores
        for known in ({}, {record.streamer: 0}, {record.streamer: 3})
    ]
    np.testing.assert_array_equal(scores[0], scores[1])
    assert np.abs(scores[0] - scores[2]).max() > 1e-4
