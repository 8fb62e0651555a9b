"""The supplement's ID-based method: what it reads and what it cannot see, and that it learns from counts."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file, save_file
from support.small_bank import made_up_bank
from torch import Tensor, nn

from kuaihl.models.architectures import build_network
from kuaihl.models.baselines.id_counts import bucket, windowed_mean
from kuaihl.models.batch import Batch
from kuaihl.models.bundle import load_bundle, save_bundle
from kuaihl.models.data.klive import KLive, open_klive, streamer_index
from kuaihl.models.data.segment_counts import FIRST_COUNT, ROOM, SEGMENT
from kuaihl.models.dims import NetworkDims
from kuaihl.models.errors import DataError, ModelError
from kuaihl.models.evaluation.room_scores import score_rooms
from kuaihl.models.facts import EncoderFacts, LabelFacts
from kuaihl.models.losses.objective import Objective
from kuaihl.models.simulation.dataset import SimulationPlan, write_simulated_set
from kuaihl.models.training.loop import train
from kuaihl.models.training.plan import TrainingPlan, dims_for

DIMS = NetworkDims(
    visual_width=6, text_width=5, patches=3, width=16, heads=2, window=14, streamers=4, rooms=3, dropout=0.0
)
VISUAL, TEXT, STREAMER = torch.zeros(2, 30, 3, 6), torch.zeros(2, 30, 5), torch.tensor([1, 2])


def network(dims: NetworkDims = DIMS) -> nn.Module:
    torch.manual_seed(0)
    return build_network("id-counts", dims).eval()


def sparse(segments: int = 30) -> Tensor:
    """Two rooms, 1 and 2, with all eight counts."""
    torch.manual_seed(1)
    rows = torch.randint(0, 1000, (2, segments, 10), dtype=torch.int32)
    rows[..., ROOM] = torch.tensor([[1], [2]])
    rows[..., SEGMENT] = torch.arange(segments)
    return rows


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> KLive:
    path = tmp_path_factory.mktemp("simulated") / "set"
    encoders = (EncoderFacts("vision", "made up", "1", ""),)
    plan = SimulationPlan(rooms=80, streamers=12, seed=3)
    write_simulated_set(path, plan, made_up_bank(1), made_up_bank(2), profile="edge", encoders=encoders)
    data = open_klive(path)
    level_streamers(data)
    return data


def level_streamers(data: KLive) -> None:
    """Give each streamer a level of its own, of deviation 1 on the logit; simulated ones differ less."""
    random = np.random.default_rng(0)
    levels = {name: random.normal(0.0, 1.0) for name in sorted({record.streamer for record in data.rooms})}
    for record in data.rooms:
        file = data.path / "rooms" / f"{record.id}.safetensors"
        arrays = load_file(file)
        rate = arrays["true_rate"].astype(np.float64)
        odds = rate / (1 - rate) * np.exp(levels[record.streamer])
        arrays["long_views"] = random.binomial(arrays["views"], odds / (1 + odds)).astype(np.int32)
        save_file(arrays, file)


def test_a_counts_row_is_a_step_for_each_factor_of_root_two_and_0_where_nobody_counted() -> None:
    """floor(2 log2(count + 1)) + 1: of 0, 1, 3, 15 are 1, 3, 5, 9; of 4 (2 log2 5 = 4.64) is 5, too."""
    assert bucket(torch.tensor([-1, 0, 1, 3, 4, 15, 2**31 - 1])).tolist() == [0, 1, 3, 5, 5, 9, 63]


def test_the_past_is_the_mean_of_the_window_without_padding() -> None:
    x = torch.tensor([9.0, 1.0, 2.0, 3.0, 4.0]).view(1, 5, 1)
    valid = torch.tensor([[False, True, True, True, True]])
    assert windowed_mean(x, valid, 3).flatten().tolist() == [0.0, 1.0, 1.5, 2.0, 3.0]
    assert windowed_mean(x, None, 2).flatten().tolist() == [9.0, 5.0, 1.5, 2.5, 3.5]
    assert windowed_mean(x, None, 9).flatten().tolist() == pytest.approx([9.0, 5.0, 4.0, 3.75, 3.8])


@pytest.mark.parametrize("column", [SEGMENT, *range(FIRST_COUNT, 10)])
def test_a_later_segment_never_changes_an_earlier_score(column: int) -> None:
    rows, made = sparse(), network()
    before = made(VISUAL, TEXT, STREAMER, None, rows)
    rows[:, 20, column] = 2_000_000
    after = made(VISUAL, TEXT, STREAMER, None, rows)
    assert torch.equal(before[:, :20], after[:, :20])
    assert not torch.allclose(before[:, 20], after[:, 20])


def test_counts_are_seen_within_the_look_back_window_and_no_longer() -> None:
    rows, made = sparse(), network()
    before = made(VISUAL, TEXT, STREAMER, None, rows)
    rows[:, 4, FIRST_COUNT:] = 2_000_000
    changed = (before - made(VISUAL, TEXT, STREAMER, None, rows)).abs() > 1e-5
    assert changed.all(dim=0).nonzero().flatten().tolist() == list(range(4, 4 + DIMS.window))


def test_it_reads_no_words_and_no_pictures() -> None:
    made, rows = network(), sparse()
    assert torch.equal(made(VISUAL, TEXT, STREAMER, None, rows), made(VISUAL + 5, TEXT - 5, STREAMER, None, rows))


def test_ids_count_unless_they_are_left_out() -> None:
    rows, other = sparse(), sparse()
    other[..., ROOM] = 0
    for dims, same in ((DIMS, False), (replace(DIMS, use_id=False), True)):
        made = network(dims)
        scores = made(VISUAL, TEXT, STREAMER, None, rows)
        assert torch.equal(scores, made(VISUAL, TEXT, STREAMER.flip(0), None, rows)) is same
        assert torch.equal(scores, made(VISUAL, TEXT, STREAMER, None, other)) is same


def test_without_counts_it_says_what_it_needs() -> None:
    with pytest.raises(ModelError, match="reads counts per segment, and none were given"):
        network()(VISUAL, TEXT, STREAMER, None)


def test_labels_that_do_not_count_reach_no_loss_and_the_loss_reaches_every_table() -> None:
    there = torch.ones(2, 30, dtype=torch.bool)
    counted = there.clone()
    counted[:, ::3] = False
    labels = torch.rand(2, 30)
    batch = Batch(VISUAL, TEXT, STREAMER, labels, counted, there, sparse())
    losses = []
    for wrong in (0.0, 1.0):
        made = network()
        losses.append(made.training_losses(Objective(), replace(batch, labels=labels.masked_fill(~counted, wrong))))  # type: ignore[operator]
    assert torch.equal(losses[0].total, losses[1].total)
    losses[1].total.backward()
    assert [name for name, part in made.named_parameters() if part.grad is None or not part.grad.any()] == []


def test_a_few_steps_learn_which_counts_are_better() -> None:
    """The label rises with the logarithm of the present segment's comments, and nothing else tells it."""
    made, rows = network().train(), sparse()
    there = torch.ones(2, 30, dtype=torch.bool)
    labels = torch.log1p(rows[..., FIRST_COUNT + 1].float()) / 7
    batch = Batch(VISUAL, TEXT, STREAMER, labels, there, there, rows)
    adam = torch.optim.Adam(made.parameters(), lr=3e-3)
    torch.manual_seed(3)
    for _ in range(150):
        adam.zero_grad()
        made.training_losses(Objective(), batch).total.backward()  # type: ignore[operator]
        adam.step()
    logits = made.eval()(VISUAL, TEXT, STREAMER, there, rows)
    better = labels.unsqueeze(2) > labels.unsqueeze(1)
    assert (logits.unsqueeze(2) > logits.unsqueeze(1))[better].float().mean() > 0.8


def test_it_learns_who_streams_from_simulated_rooms(data: KLive) -> None:
    """The level of a streamer is most of what IDs and counts tell there; with IDs hidden, much of it is lost."""
    taus = {}
    for without in ((), ("id",)):
        dims = dims_for(data.facts, len(streamer_index(data.rooms)), without, width=32, rooms=64)  # type: ignore[arg-type]
        plan = TrainingPlan(dims, Objective(), architecture="id-counts", epochs=3, learning_rate=3e-3)
        trained = train(data, plan, device="cpu")
        assert trained is not None
        taus[without] = trained.best.tau
    assert taus[()] > 0.25
    assert taus[()] > taus[("id",)] + 0.1


def test_a_scored_room_is_one_that_nobody_knows_and_its_stretches_are_those_of_one_pass(data: KLive) -> None:
    dims = dims_for(data.facts, 12, (), width=16, heads=2, rooms=64, window=5)
    made = build_network("id-counts", dims).eval()
    (record,) = data.rooms_of("train")[:1]
    (whole,) = score_rooms(made, data, [record], {})
    (parts,) = score_rooms(made, data, [record], {}, stretch=7)
    assert whole.scores == pytest.approx(parts.scores, abs=1e-5)
    with torch.no_grad():
        made.room.weight[1:] += 5.0  # type: ignore[index, operator, union-attr]
    (again,) = score_rooms(made, data, [record], {})
    assert again.scores == pytest.approx(whole.scores, abs=1e-7)


def test_a_data_set_without_counts_is_told_before_training(tmp_path: Path) -> None:
    from support.small_dataset import small_dataset

    data = open_klive(small_dataset(tmp_path / "klive"))
    dims = dims_for(data.facts, 4, (), width=16, heads=2, rooms=8)
    with pytest.raises(DataError, match=r"room room-\d\d has no counts per segment"):
        train(data, TrainingPlan(dims, Objective(), architecture="id-counts", epochs=1), device="cpu")


def test_a_bundle_brings_it_back_and_cannot_follow_a_stream(tmp_path: Path) -> None:
    made = network()
    save_bundle(
        tmp_path / "mine",
        made,
        architecture="id-counts",
        profile="edge",
        encoders=(),
        label=LabelFacts(source="made up"),
        licence_weights="MIT",
        licence_data="MIT",
    )
    bundle = load_bundle(tmp_path / "mine")
    rows = sparse()
    assert torch.equal(bundle.network()(VISUAL, TEXT, STREAMER, None, rows), made(VISUAL, TEXT, STREAMER, None, rows))
    with pytest.raises(ModelError, match="cannot follow a stream, which carries no counts per segment"):
        bundle.check_streams()
