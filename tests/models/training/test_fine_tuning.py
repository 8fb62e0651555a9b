"""Training on from a trained network: what is taken over, what begins afresh, and how it is held near its start."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from support.small_dataset import small_dataset
from support.small_network import SMALL, small_network, stream

from kuaihl.models.bundle import load_bundle, save_bundle
from kuaihl.models.data.klive import KLive, open_klive, streamer_index
from kuaihl.models.errors import ModelError
from kuaihl.models.facts import EncoderFacts, LabelFacts
from kuaihl.models.losses.objective import Objective
from kuaihl.models.network.kuaihl import KuaiHL
from kuaihl.models.training.fine_tuning import begin_from, check_start, pull_back
from kuaihl.models.training.loop import train
from kuaihl.models.training.plan import TrainingPlan

DRAWN = (EncoderFacts("vision", "drawn", "1", ""), EncoderFacts("text", "drawn", "1", ""))


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> KLive:
    return open_klive(small_dataset(tmp_path_factory.mktemp("klive")))


def plan_from(data: KLive, source: KuaiHL, **changes: object) -> TrainingPlan:
    dims = replace(source.dims, streamers=len(streamer_index(data.rooms)))
    plan = TrainingPlan(dims, Objective(), epochs=1, batch=24, learning_rate=1e-3, start="ab")
    return replace(plan, **changes)  # type: ignore[arg-type]


def test_everybody_begins_as_the_unknown_streamer() -> None:
    source = small_network()
    made, fresh = begin_from(source, replace(SMALL, streamers=9))
    assert fresh == set()
    visual, text = stream(SMALL, 12)
    expected = source(visual, text, torch.tensor([0]))
    for who in (0, 1, 9):
        assert torch.equal(made.eval()(visual, text, torch.tensor([who])), expected)


def test_what_the_source_does_not_have_begins_afresh_and_the_rest_is_taken() -> None:
    source = small_network()
    made, fresh = begin_from(source, replace(SMALL, signals=7, interest=True))
    assert fresh == {"signals", "decoder.interest"}
    for name, part in source.state_dict().items():
        if not name.startswith("streamer."):
            assert torch.equal(made.state_dict()[name], part), name


def test_a_part_of_another_shape_is_refused() -> None:
    with pytest.raises(ModelError, match="in the network to start from"):
        begin_from(small_network(), replace(SMALL, text_width=8))


def test_a_weight_goes_that_share_of_its_way_back() -> None:
    network = torch.nn.Linear(1, 1, bias=False)
    with torch.no_grad():
        network.weight.fill_(3.0)
    pull_back(network, {"weight": torch.tensor([[1.0]])}, 0.25)
    assert network.weight.item() == 2.5


def test_the_pull_keeps_training_near_its_start(data: KLive) -> None:
    source = small_network()
    moved = {}
    for pull in (0.0, 100.0):
        found = train(data, plan_from(data, source, pull=pull), start=source, device="cpu")
        assert found is not None
        ours, theirs = found.network.state_dict(), source.state_dict()
        moved[pull] = sum(float((ours[n] - theirs[n]).square().sum()) for n in theirs if not n.startswith("streamer."))
    assert 0 < moved[100.0] < 0.7 * moved[0.0]


def test_what_it_began_from_is_kept_if_training_makes_it_no_better(data: KLive) -> None:
    source = small_network()
    found = train(data, plan_from(data, source, learning_rate=1e-12), start=source, device="cpu")
    assert found is not None
    first = found.history[0]
    assert (first.epoch, first.steps_done, first.best) == (0, 0, True)
    assert found.best is first
    for name, part in source.state_dict().items():
        if not name.startswith("streamer."):
            assert torch.equal(found.network.state_dict()[name], part), name


def test_a_start_with_a_part_that_knows_nothing_yet_is_not_kept(data: KLive) -> None:
    source = small_network()
    plan = plan_from(data, source)
    found = train(data, replace(plan, dims=replace(plan.dims, interest=True)), start=source, device="cpu")
    assert found is not None
    assert found.history[0].steps_done > 0


def test_it_resumes_to_the_very_same_weights(data: KLive, tmp_path: Path) -> None:
    source = small_network()
    plan = plan_from(data, source, epochs=2, pull=10.0)
    whole = train(data, plan, start=source, device="cpu")
    steps = iter(range(1, 99))
    assert train(data, plan, start=source, folder=tmp_path, device="cpu", should_stop=lambda: next(steps) == 7) is None
    rest = train(data, plan, start=source, folder=tmp_path, resume=True, device="cpu")
    assert whole is not None and rest is not None
    for name, part in whole.network.state_dict().items():
        assert torch.equal(part, rest.network.state_dict()[name]), name


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        (
            {"encoders": (replace(DRAWN[0], name="Swin-B"), DRAWN[1])},
            "reads vision of Swin-B, the data set .* of drawn",
        ),
        ({"architecture": "pac-net"}, "is of architecture pac-net"),
        ({"dims": replace(SMALL, text_width=8)}, r"\(10, 8\) wide, the data set's are \(10, 6\)"),
    ],
)
def test_a_bundle_of_another_kind_is_told_in_one_line(
    data: KLive, tmp_path: Path, changes: dict[str, object], said: str
) -> None:
    save_bundle(
        tmp_path / "start",
        small_network(),
        profile="edge",
        encoders=DRAWN,
        label=LabelFacts(),
        licence_weights="MIT",
        licence_data="MIT",
    )
    bundle = load_bundle(tmp_path / "start")
    check_start(bundle, data.facts)
    with pytest.raises(ModelError, match=said):
        check_start(replace(bundle, **changes), data.facts)  # type: ignore[arg-type]
