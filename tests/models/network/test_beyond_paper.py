"""What the network has beyond the paper: a token of signals a segment, and a second answer, of the present segment."""

from dataclasses import replace

import pytest
import torch
from support.small_network import SMALL, small_network, stream
from torch import Tensor

from kuaihl.models.batch import Batch
from kuaihl.models.dims import NetworkDims
from kuaihl.models.losses.objective import Objective
from kuaihl.models.losses.point import point_loss
from kuaihl.models.network.kuaihl import KuaiHL

BOTH = replace(SMALL, signals=7, interest=True)


def told(segments: int, *, rooms: int = 1, dims: NetworkDims = BOTH) -> Tensor:
    return torch.randn(rooms, segments, dims.signals, generator=torch.Generator().manual_seed(5))


def a_batch(segments: int = 6) -> Batch:
    visual, text = stream(BOTH, segments, rooms=3)
    valid = torch.ones(3, segments, dtype=torch.bool)
    labels, present = torch.rand(2, 3, segments)
    who = torch.tensor([0, 1, 2])
    return Batch(
        visual, text, who, labels, valid, valid, signals=told(segments, rooms=3), interest=present, interest_valid=valid
    )


def test_without_signals_the_network_is_the_paper_s_to_the_bit() -> None:
    torch.manual_seed(3)
    paper = KuaiHL(SMALL).eval()
    torch.manual_seed(3)
    more = KuaiHL(BOTH).eval()
    shared = paper.state_dict()
    extra = {name for name in more.state_dict() if name not in shared}
    assert {name.split(".")[0] for name in extra} == {"signals", "decoder"}
    torch.manual_seed(3)
    without = KuaiHL(replace(BOTH, signals=0, interest=False)).eval()
    assert without.state_dict().keys() == shared.keys()
    assert all(torch.equal(part, shared[name]) for name, part in without.state_dict().items())
    visual, text = stream(SMALL, 9)
    assert torch.equal(without(visual, text, torch.tensor([1])), paper(visual, text, torch.tensor([1])))


@torch.no_grad()
def test_steps_give_both_answers_of_the_whole_sequence() -> None:
    network, signals = small_network(BOTH), told(23, rooms=2)
    visual, text = stream(BOTH, 23, rooms=2)
    streamer = torch.tensor([1, 3])
    state = network.start(streamer)
    steps = [network.step(state, visual[:, i], text[:, i], signals[:, i]) for i in range(23)]
    whole = network.outputs(visual, text, streamer, None, signals)
    assert whole.interest is not None
    torch.testing.assert_close(torch.stack([one.score for one in steps], 1), whole.score.sigmoid(), atol=1e-5, rtol=0)
    present = torch.stack([one.interest for one in steps if one.interest is not None], 1)
    torch.testing.assert_close(present, whole.interest.sigmoid(), atol=1e-5, rtol=0)


def test_signals_of_a_later_segment_change_no_earlier_answer_and_their_own() -> None:
    network, signals = small_network(BOTH), told(12)
    visual, text = stream(BOTH, 12)
    before = network.outputs(visual, text, torch.tensor([1]), None, signals)
    signals[:, 7] += 1.0
    after = network.outputs(visual, text, torch.tensor([1]), None, signals)
    for one, other in zip(before, after, strict=True):
        assert one is not None and other is not None
        assert torch.equal(one[:, :7], other[:, :7])
        assert not torch.allclose(one[:, 7:], other[:, 7:])


def test_a_network_of_signals_alone_is_a_network() -> None:
    dims = replace(BOTH, use_text=False, use_visual=False)
    visual, text = stream(dims, 5)
    assert small_network(dims)(visual, text, torch.tensor([1]), None, told(5)).shape == (1, 5)


def test_a_network_that_reads_signals_does_not_go_on_without() -> None:
    visual, text = stream(BOTH, 5)
    with pytest.raises(ValueError, match="signals"):
        small_network(BOTH)(visual, text, torch.tensor([1]))


def test_interest_adds_its_own_point_and_pair_losses_against_labels_that_are_not_shifted() -> None:
    network, batch = small_network(BOTH, dropout=0.0), a_batch()
    torch.manual_seed(1)
    found = network.training_losses(Objective(), batch)
    torch.manual_seed(1)
    alone = network.training_losses(Objective(interest=0.0), batch)
    torch.testing.assert_close(found.total, alone.total + found.interest)
    torch.testing.assert_close(alone.total, 0.65 * found.point + 0.15 * found.align + 0.20 * found.pair)
    own = network.outputs(batch.visual, batch.text, batch.streamer, None, batch.signals).interest
    assert own is not None and batch.interest is not None and batch.interest_valid is not None
    point = network.training_losses(Objective(pair=0.0), batch).interest
    torch.testing.assert_close(point, 0.65 * point_loss(own, batch.interest, batch.interest_valid))


def test_labels_of_the_present_that_do_not_count_teach_nothing() -> None:
    network, batch = small_network(BOTH, dropout=0.0), a_batch()
    assert batch.interest is not None and batch.interest_valid is not None
    unknown = replace(batch, interest=batch.interest * torch.nan, interest_valid=torch.zeros_like(batch.interest_valid))
    assert network.training_losses(Objective(), unknown).interest == 0
