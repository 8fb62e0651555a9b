"""Every system of Table I behind one interface: what holds for all of them, and what each says of itself."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from kuaihl.engines.scoring.scorer import StreamingScorer
from kuaihl.models.architectures import ARCHITECTURES, build_network
from kuaihl.models.batch import Batch
from kuaihl.models.bundle import load_bundle, save_bundle
from kuaihl.models.dims import HISTORY_ITEMS, NetworkDims
from kuaihl.models.errors import ModelError
from kuaihl.models.facts import EncoderFacts, LabelFacts
from kuaihl.models.losses.objective import Objective

DIMS = NetworkDims(
    visual_width=6, text_width=5, patches=3, width=16, heads=2, layers=2, window=14, streamers=4, dropout=0.0
)
# The others: test_id_counts, test_linear.
ALL = sorted(name for name, one in ARCHITECTURES.items() if not (one.reads_counts or one.closed_form))
CAUSAL = [name for name in ALL if ARCHITECTURES[name].causal]
PERSONAL = [name for name in ALL if name != "antpivot"]


def network(name: str, dims: NetworkDims = DIMS) -> nn.Module:
    torch.manual_seed(0)
    made = build_network(name, dims).eval()
    with torch.no_grad():  # no part may begin at zero: a silent part would pass every test of influence
        for part in made.parameters():
            part.add_(0.1 * torch.randn_like(part))
    return made


def stream(segments: int, rooms: int = 2) -> tuple[Tensor, Tensor, Tensor]:
    torch.manual_seed(1)
    return torch.randn(rooms, segments, 3, 6), torch.randn(rooms, segments, 5), torch.tensor([1, 2])[:rooms]


def a_batch() -> Batch:
    visual, text, streamer = stream(14)
    there = torch.ones(2, 14, dtype=torch.bool)
    counted = there.clone()
    counted[:, -1] = False
    labels = torch.sigmoid(text.sum(dim=2))
    return Batch(visual, text, streamer, labels, counted, there)


@pytest.mark.parametrize("name", ALL)
def test_every_segment_gets_a_logit(name: str) -> None:
    logits = network(name)(*stream(30), None)
    assert logits.shape == (2, 30)
    assert bool(logits.isfinite().all())


@pytest.mark.parametrize("name", CAUSAL)
def test_a_later_segment_never_changes_an_earlier_score(name: str) -> None:
    visual, text, streamer = stream(30)
    made = network(name)
    before = made(visual, text, streamer, None)
    visual[:, 20], text[:, 20] = 9.0, -9.0
    after = made(visual, text, streamer, None)
    assert torch.equal(before[:, :20], after[:, :20])
    assert not torch.allclose(before[:, 20:], after[:, 20:])


@pytest.mark.parametrize("name", ALL)
def test_with_a_fully_visible_mask_the_future_is_seen(name: str) -> None:
    visual, text, streamer = stream(14)
    made = network(name, replace(DIMS, causal=False))
    before = made(visual, text, streamer, None)
    visual[:, 12], text[:, 12] = 9.0, -9.0
    assert not torch.allclose(before[:, 11], made(visual, text, streamer, None)[:, 11])


@pytest.mark.parametrize("name", CAUSAL)
def test_no_score_depends_on_more_than_two_windows(name: str) -> None:
    visual, text, streamer = stream(40)
    made = network(name)
    whole = made(visual, text, streamer, None)
    first = 40 - (2 * DIMS.window - 1)
    part = made(visual[:, first:], text[:, first:], streamer, None)
    assert torch.allclose(whole[:, -1], part[:, -1], atol=1e-5)


@pytest.mark.parametrize("name", ALL)
def test_padding_influences_nobody(name: str) -> None:
    visual, text, streamer = stream(14)
    valid = torch.ones(2, 14, dtype=torch.bool)
    valid[:, :5] = False
    made = network(name)
    before = made(visual, text, streamer, valid)
    visual[:, :5], text[:, :5] = 7.0, -7.0
    assert torch.allclose(before[:, 5:], made(visual, text, streamer, valid)[:, 5:], atol=1e-6)


@pytest.mark.parametrize("name", PERSONAL)
def test_who_streams_matters(name: str) -> None:
    visual, text, _ = stream(14, rooms=1)
    made = network(name)
    assert not torch.allclose(*(made(visual, text, torch.tensor([who]), None) for who in (1, 2)))


@pytest.mark.parametrize("name", PERSONAL)
def test_a_history_may_stand_in_for_the_id(name: str) -> None:
    visual, text, _ = stream(14)
    made = network(name, replace(DIMS, history_width=7, causal=False))
    known = torch.zeros(2, HISTORY_ITEMS, 7)
    known[:, :5] = torch.randn(2, 5, 7)
    one, other, nobody = (made(visual, text, history, None) for history in (known, -known, torch.zeros_like(known)))
    assert not torch.allclose(one, other)
    assert not torch.allclose(one, nobody)
    assert bool(nobody.isfinite().all())
    spread = torch.zeros_like(known)  # padding may stand anywhere
    spread[:, [1, 4, 5, 11, 19]] = known[:, :5]
    assert torch.allclose(made(visual, text, spread, None), one, atol=1e-5)


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize("without", ["use_text", "use_visual", "use_id"])
def test_any_input_may_be_left_out(name: str, without: str) -> None:
    if (name, without) == ("antpivot", "use_text"):
        with pytest.raises(ModelError, match="antpivot reads text alone"):
            network(name, replace(DIMS, use_text=False))
        return
    visual, text, streamer = stream(14)
    made = network(name, replace(DIMS, **{without: False}))
    before = made(visual, text, streamer, None)
    if without == "use_text":
        text = text + 5
    elif without == "use_visual":
        visual = visual + 5
    else:
        streamer = streamer.flip(0)
    assert torch.equal(before, made(visual, text, streamer, None))


@pytest.mark.parametrize("name", ALL)
def test_the_loss_reaches_every_parameter(name: str) -> None:
    made = network(name).train()
    made.training_losses(Objective(), a_batch()).total.backward()  # type: ignore[operator]
    silent = [part for part, value in made.named_parameters() if value.grad is None]
    assert silent == []


@pytest.mark.parametrize("name", ALL)
def test_labels_that_do_not_count_reach_no_loss(name: str) -> None:
    batch = a_batch()
    made = network(name)
    losses = []
    for label in (0.0, 1.0):
        torch.manual_seed(2)
        labels = batch.labels.masked_fill(~batch.label_valid, label)
        losses.append(made.training_losses(Objective(), replace(batch, labels=labels)).total)  # type: ignore[operator]
    assert torch.equal(*losses)


@pytest.mark.parametrize("name", ALL)
def test_a_few_steps_learn_which_segments_are_better(name: str) -> None:
    made, batch = network(name).train(), a_batch()
    adam = torch.optim.Adam(made.parameters(), lr=3e-3)
    torch.manual_seed(3)
    for _ in range(150):
        adam.zero_grad()
        made.training_losses(Objective(), batch).total.backward()  # type: ignore[operator]
        adam.step()
    logits = made.eval()(batch.visual, batch.text, batch.streamer, batch.segment_valid)[:, :-1]
    better = batch.labels[:, :-1].unsqueeze(2) > batch.labels[:, :-1].unsqueeze(1)
    assert (logits.unsqueeze(2) > logits.unsqueeze(1))[better].float().mean() > 0.8


@pytest.mark.parametrize("name", ALL)
def test_a_bundle_brings_back_its_architecture(name: str, tmp_path: Path) -> None:
    made = network(name)
    save_bundle(
        tmp_path / "mine",
        made,
        architecture=name,
        profile="edge",
        encoders=(EncoderFacts("vision", "a network", "1", ""),),
        label=LabelFacts(source="made up"),
        licence_weights="MIT",
        licence_data="MIT",
    )
    bundle = load_bundle(tmp_path / "mine")
    assert bundle.architecture == name
    assert torch.equal(bundle.network()(*stream(14), None), made(*stream(14), None))
    if ARCHITECTURES[name].streams:
        StreamingScorer(bundle)
    else:
        with pytest.raises(ModelError, match=rf"{name} is a baseline .* cannot follow a stream"):
            StreamingScorer(bundle)


def test_an_unknown_name_is_answered_with_those_that_there_are() -> None:
    with pytest.raises(ModelError, match="resnet: no such architecture; there are kuaihl, "):
        build_network("resnet", DIMS)
