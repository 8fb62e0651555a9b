"""Training: the same losses however often it is interrupted, the best epoch kept, bad data named, every window met."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from support.small_dataset import break_room, small_dataset

from kuaihl.models.architectures import ARCHITECTURES
from kuaihl.models.data.klive import KLive, open_klive, streamer_index
from kuaihl.models.errors import DataError, ModelError, UsageError
from kuaihl.models.losses.objective import Objective
from kuaihl.models.network.kuaihl import KuaiHL
from kuaihl.models.training import loop as training
from kuaihl.models.training.batches import batches, steps_per_epoch
from kuaihl.models.training.checkpoint import CHECKPOINT_FILE, load_checkpoint
from kuaihl.models.training.loop import Trained, train
from kuaihl.models.training.plan import TrainingPlan, dims_for, text_without
from kuaihl.models.training.report import EpochReport, StepReport
from kuaihl.models.training.validation import Validation

SHAPE = {"width": 16, "heads": 2, "layers": 2, "window": 5}


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> KLive:
    return open_klive(small_dataset(tmp_path_factory.mktemp("klive")))


def plan_for(data: KLive, **changes: object) -> TrainingPlan:
    dims = dims_for(data.facts, len(streamer_index(data.rooms)), **SHAPE)
    plan = TrainingPlan(dims, Objective(), epochs=2, batch=24, learning_rate=3e-3, seed=1, report_every=2)
    return replace(plan, **changes)  # type: ignore[arg-type]


def weights_of(trained: Trained | None) -> dict[str, torch.Tensor]:
    assert trained is not None
    return dict(trained.network.state_dict())


def assert_same(ours: dict[str, torch.Tensor], theirs: dict[str, torch.Tensor]) -> None:
    assert ours.keys() == theirs.keys()
    for name, part in ours.items():
        assert torch.equal(part, theirs[name]), name


class After:
    """Says stop once, after so many steps."""

    def __init__(self, steps: int) -> None:
        self.left = steps

    def __call__(self) -> bool:
        self.left -= 1
        return self.left == 0


@pytest.mark.parametrize("interrupted_after", [[1], [7], [3, 8]])
def test_an_interrupted_run_resumes_to_the_very_same_losses_and_weights(
    data: KLive, tmp_path: Path, interrupted_after: list[int]
) -> None:
    """Dropout, hidden ids, swaps and random orders are all on; one interruption falls between two reports."""
    whole: list[StepReport | EpochReport] = []
    expected = train(data, plan_for(data), on_report=whole.append, device="cpu")
    pieces: list[StepReport | EpochReport] = []
    torch.manual_seed(999)  # what was drawn before is nobody's business
    for steps in interrupted_after:
        stopped = train(
            data,
            plan_for(data),
            folder=tmp_path,
            resume=True,
            on_report=pieces.append,
            device="cpu",
            should_stop=After(steps),
        )
        assert stopped is None
    found = train(data, plan_for(data), folder=tmp_path, resume=True, on_report=pieces.append, device="cpu")
    assert pieces == whole
    assert_same(weights_of(found), weights_of(expected))
    assert found is not None
    assert expected is not None
    assert found.score_quantiles == expected.score_quantiles


def test_more_epochs_go_on_where_fewer_ended(data: KLive, tmp_path: Path) -> None:
    train(data, plan_for(data, epochs=1), folder=tmp_path, device="cpu")
    longer = train(data, plan_for(data, epochs=2), folder=tmp_path, resume=True, device="cpu")
    assert_same(weights_of(longer), weights_of(train(data, plan_for(data, epochs=2), device="cpu")))


def test_it_learns_what_there_is_to_learn(data: KLive) -> None:
    trained = train(data, plan_for(data, epochs=6), device="cpu")
    assert trained is not None
    assert trained.best.tau > 0.4
    assert trained.history[-1].loss < trained.history[0].loss
    assert not trained.network.training


def test_the_best_epoch_is_kept_not_the_last(data: KLive, monkeypatch: pytest.MonkeyPatch) -> None:
    taus = iter([0.1, 0.5, 0.3, 0.5])
    monkeypatch.setattr(training, "validate", lambda *_: Validation(next(taus), 0.0, {}))
    kept: list[Trained] = []
    three = train(data, plan_for(data, epochs=4), on_best=kept.append, device="cpu")
    assert three is not None
    assert three.best.epoch == 2
    assert [trained.best.epoch for trained in kept] == [1, 2]
    taus = iter([0.1, 0.5])
    assert_same(weights_of(three), weights_of(train(data, plan_for(data, epochs=2), device="cpu")))


def test_it_validates_every_few_steps_and_stops_out_of_patience(data: KLive, monkeypatch: pytest.MonkeyPatch) -> None:
    """200 windows of 24 are 9 steps per epoch; the third validation is the best, and two more bring nothing better."""
    taus = iter([0.1, 0.2, 0.5, 0.3, 0.5, 0.9])
    monkeypatch.setattr(training, "validate", lambda *_: Validation(next(taus), 0.0, {}))
    told: list[StepReport | EpochReport] = []
    found = train(data, plan_for(data, epochs=4, validate_every=4, patience=2), on_report=told.append, device="cpu")
    assert found is not None
    assert [(report.epoch, report.steps_done) for report in found.history] == [
        (1, 4),
        (1, 8),
        (2, 12),
        (2, 16),
        (3, 20),
    ]
    assert found.best.steps_done == 12
    assert [report.step for report in told if isinstance(report, StepReport)][-1] == 20
    totals = {report.step: report.total for report in told if isinstance(report, StepReport)}
    assert found.history[1].loss == pytest.approx((totals[6] + totals[8]) / 2)  # both of two steps


def test_the_last_step_is_validated_too(data: KLive) -> None:
    found = train(data, plan_for(data, epochs=1, validate_every=4), device="cpu")
    assert found is not None
    assert [report.steps_done for report in found.history] == [4, 8, 9]


def test_patience_and_steps_resume_to_the_very_same_network(data: KLive, tmp_path: Path) -> None:
    plan = plan_for(data, epochs=9, validate_every=4, patience=2, learning_rate=3e-2)
    whole: list[StepReport | EpochReport] = []
    expected = train(data, plan, on_report=whole.append, device="cpu")
    assert expected is not None and expected.history[-1].steps_done < 81  # it did stop early
    pieces: list[StepReport | EpochReport] = []
    for stop in (After(3), After(7), lambda: False):
        found = train(data, plan, folder=tmp_path, resume=True, on_report=pieces.append, device="cpu", should_stop=stop)
    assert pieces == whole
    assert_same(weights_of(found), weights_of(expected))
    told: list[StepReport | EpochReport] = []
    again = train(data, plan, folder=tmp_path, resume=True, on_report=told.append, device="cpu")
    assert told == []  # a run that has ended does not go on
    assert_same(weights_of(again), weights_of(expected))


def test_after_a_kill_while_the_first_best_is_written_a_run_goes_on_to_the_very_same_network(
    data: KLive, tmp_path: Path
) -> None:
    """A best network without a checkpoint would be in the way of every later run."""
    plan = plan_for(data, epochs=2, validate_every=2)
    expected = train(data, plan, device="cpu")

    def killed(_: Trained) -> None:
        raise InterruptedError

    with pytest.raises(InterruptedError):
        train(data, plan, folder=tmp_path, device="cpu", on_best=killed)
    assert load_checkpoint(tmp_path / CHECKPOINT_FILE).facts["step"] == 2
    (tmp_path / ".0123456789ab.part").write_text("a checkpoint that was torn earlier")
    found = train(data, plan, folder=tmp_path, resume=True, device="cpu")
    assert_same(weights_of(found), weights_of(expected))
    assert [path.name for path in tmp_path.iterdir()] == [CHECKPOINT_FILE]


def test_another_seed_gives_another_network_and_the_same_seed_the_same(data: KLive) -> None:
    first, again, other = (
        weights_of(train(data, plan_for(data, epochs=1, seed=seed), device="cpu")) for seed in (1, 1, 2)
    )
    assert_same(first, again)
    assert not torch.equal(first["text.0.weight"], other["text.0.weight"])


def test_every_window_is_met_in_every_epoch_in_another_order(data: KLive) -> None:
    plan, windows = plan_for(data, batch=7), data.windows("train", 5)
    steps = steps_per_epoch(len(windows), 7)
    met: list[list[bytes]] = []
    for epoch in (0, 1):
        drawn = batches(windows, {}, plan, range(epoch * steps, (epoch + 1) * steps))
        met.append([window.numpy().tobytes() for batch in drawn for window in batch.text])
    everything = {window.tobytes() for window in windows.gather(np.arange(len(windows))).text}
    assert set(met[0]) == set(met[1]) == everything
    assert len(met[0]) == steps * 7
    assert met[0] != met[1]


def test_processes_share_out_what_one_would_learn_from(data: KLive) -> None:
    plan, windows = plan_for(data, batch=24), data.windows("train", 5)
    streamers = streamer_index(data.rooms)
    whole = list(batches(windows, streamers, plan, range(3)))
    shares = [list(batches(windows, streamers, plan, range(3), process, 2)) for process in (0, 1)]
    for step, batch in enumerate(whole):
        for part in ("visual", "labels", "streamer", "segment_valid"):
            halves = torch.cat([getattr(share[step], part) for share in shares])
            assert torch.equal(halves, getattr(batch, part))


def test_streamers_of_other_splits_are_unknown(data: KLive) -> None:
    trained = train(data, plan_for(data, epochs=1), device="cpu")
    assert trained is not None
    assert set(trained.streamers) == {room.streamer for room in data.rooms_of("train")}


@pytest.mark.parametrize(
    ("harm", "split"), [("nan", "train"), ("label", "train"), ("missing", "train"), ("nan", "validation")]
)
def test_bad_data_stops_it_naming_room_and_row(tmp_path: Path, harm: str, split: str) -> None:
    folder = small_dataset(tmp_path / "klive")
    room = break_room(folder, harm, split=split, row=7)
    broken = open_klive(folder)
    with pytest.raises(DataError) as told:
        train(broken, plan_for(broken, epochs=1), device="cpu")
    assert room in str(told.value)
    assert harm == "missing" or "row 7" in str(told.value)
    assert "\n" not in str(told.value)


def test_a_data_set_without_validation_rooms_is_refused(tmp_path: Path) -> None:
    data = open_klive(small_dataset(tmp_path / "klive", validation=0))
    with pytest.raises(DataError, match="validate"):
        train(data, plan_for(data), device="cpu")


def test_a_loss_that_is_not_finite_stops_it(data: KLive) -> None:
    with pytest.raises(ModelError, match="diverged"):
        train(data, plan_for(data, learning_rate=1e30), device="cpu")


def test_a_checkpoint_of_another_plan_is_refused_naming_what_differs(data: KLive, tmp_path: Path) -> None:
    train(data, plan_for(data, epochs=1), folder=tmp_path, device="cpu")
    for changes, named in (
        ({"batch": 12}, "batch"),
        ({"objective": Objective(pair_variant="pair3")}, "pair_variant"),
        ({"dims": replace(plan_for(data).dims, layers=1)}, "layers"),
    ):
        with pytest.raises(UsageError, match=named):
            train(data, plan_for(data, **changes), folder=tmp_path, resume=True, device="cpu")


def test_a_damaged_checkpoint_is_named(data: KLive, tmp_path: Path) -> None:
    train(data, plan_for(data, epochs=1), folder=tmp_path, device="cpu")
    file = tmp_path / CHECKPOINT_FILE
    assert {"adam.exp_avg_sq.text.0.weight", "best.text.0.weight", "network.text.0.weight"} <= set(
        load_checkpoint(file).tensors
    )
    file.write_bytes(file.read_bytes()[:-100])
    with pytest.raises(ModelError, match=CHECKPOINT_FILE):
        train(data, plan_for(data, epochs=1), folder=tmp_path, resume=True, device="cpu")


def test_a_checkpoint_that_cannot_be_written_stops_it(data: KLive, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ModelError, match="cannot be written"):
        train(data, plan_for(data, epochs=1), folder=tmp_path / "file", device="cpu")


def test_half_precision_comes_close_on_cpu_by_bf16_and_fp16_asks_for_a_gpu(data: KLive) -> None:
    reports: dict[str, list[StepReport | EpochReport]] = {"no": [], "bf16": []}
    for precision, heard in reports.items():
        train(data, plan_for(data, epochs=1, precision=precision), on_report=heard.append, device="cpu")
    full, half = reports["no"][-1], reports["bf16"][-1]
    assert isinstance(full, EpochReport)
    assert isinstance(half, EpochReport)
    assert half.loss != full.loss
    assert half.loss == pytest.approx(full.loss, rel=0.02)
    with pytest.raises(UsageError, match="GPU"):
        train(data, plan_for(data, precision="fp16"), device="cpu")


def test_ablations_leave_parts_out(data: KLive) -> None:
    dims = dims_for(data.facts, 3, ["id", "visual"], **SHAPE)
    network = KuaiHL(dims)
    assert not hasattr(network, "visual")
    assert network.streamer.weight.shape[0] == 1
    assert (text_without([]), text_without(["audio"]), text_without(["comments"])) == ("both", "comments", "speech")
    with pytest.raises(UsageError, match="leave out the text"):
        text_without(["audio", "comments"])


def test_without_audio_learns_from_the_comments_alone(data: KLive) -> None:
    """The small set's comments say nothing, its speech everything."""
    taus = {}
    for text in ("speech", "comments"):
        dims = dims_for(data.facts, len(streamer_index(data.rooms)), ["visual"], **SHAPE)
        trained = train(data, plan_for(data, dims=dims, text=text, epochs=5), device="cpu")
        assert trained is not None
        taus[text] = trained.best.tau
    assert taus["speech"] > taus["comments"] + 0.2


@pytest.mark.parametrize(
    "architecture", sorted(name for name, one in ARCHITECTURES.items() if not (one.reads_counts or one.closed_form))
)
def test_every_system_of_table_1_trains(data: KLive, architecture: str, tmp_path: Path) -> None:
    trained = train(data, plan_for(data, architecture=architecture, epochs=1), folder=tmp_path, device="cpu")
    assert trained is not None
    assert np.isfinite(trained.best.loss)


def test_a_data_set_without_one_sample_of_the_rule_is_told(data: KLive) -> None:
    plan = plan_for(data, samples="recent")
    with pytest.raises(DataError, match="has no sample of 30 segments, 60 viewers in the last"):
        train(data, replace(plan, dims=replace(plan.dims, window=30)), device="cpu")


def test_recent_samples_are_learned_from(data: KLive) -> None:
    trained = train(data, plan_for(data, samples="recent", epochs=1), device="cpu")
    assert trained is not None and np.isfinite(trained.best.tau)
