"""The linear model: a sum over the last L segments, the same in steps and in one pass, fitted to what there is."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from support.small_dataset import small_dataset
from support.small_network import SMALL, stream
from torch import Tensor

from kuaihl.models.data.klive import KLive, open_klive
from kuaihl.models.errors import DataError, ModelError
from kuaihl.models.losses.objective import Objective
from kuaihl.models.network.linear import LaggedLinear, LinearState, linear_dims
from kuaihl.models.network.stream_memory import memory_from
from kuaihl.models.training.linear_fit import LabelledRoom, fit_linear
from kuaihl.models.training.loop import Trained, train
from kuaihl.models.training.plan import TrainingPlan, dims_for

DIMS = linear_dims(replace(SMALL, signals=7, interest=True), components=5, lags=3)
NOBODY = torch.zeros(2, dtype=torch.long)


def a_model() -> LaggedLinear:
    """With everything away from where it rests."""
    torch.manual_seed(0)
    model = LaggedLinear(DIMS).eval()
    for reader in (model.visual, model.text, model.signals):
        torch.nn.init.normal_(reader.weight)
        torch.nn.init.normal_(reader.mean)
        torch.nn.init.uniform_(reader.scale, 0.5, 2.0)
    torch.nn.init.normal_(model.bias)
    return model


def a_stream(segments: int) -> tuple[Tensor, Tensor, Tensor]:
    visual, text = stream(DIMS, segments, rooms=2)
    return visual, text, torch.randn(2, segments, 7, generator=torch.Generator().manual_seed(3))


@torch.no_grad()
def test_an_answer_is_the_sum_of_what_the_last_segments_add() -> None:
    """Of one number each, mean 1 and deviation 1/2: (3 − 1) · 2 · 10 for the segment itself, 100 and 1000 for later."""
    model = LaggedLinear(replace(DIMS, use_visual=False, signals=0, text_width=1, interest=False))
    model.text.mean.fill_(1.0)
    model.text.scale.fill_(2.0)
    model.text.weight.copy_(torch.tensor([[10.0, 100.0, 1000.0]]))
    text = torch.tensor([[[3.0], [1.0], [0.0], [1.0]]])  # the third has no words: nothing, not (0 − 1) · 2
    logits = model(torch.zeros(1, 4, 3, 10), text, NOBODY[:1])
    assert logits.tolist() == [[40.0, 400.0, 4000.0, 0.0]]
    far = model(torch.zeros(1, 1, 3, 10), torch.tensor([[[99.0]]]), NOBODY[:1])
    assert far.tolist() == [[50.0]]  # five deviations at most


@torch.no_grad()
def test_steps_give_both_answers_of_the_whole_sequence() -> None:
    model = a_model()
    visual, text, signals = a_stream(12)
    state = model.start(NOBODY)
    steps = []
    for i in range(12):
        steps.append(model.step(state, visual[:, i], text[:, i], signals[:, i]))
        stored = memory_from(state.tensors())  # a room is taken over in between
        assert isinstance(stored, LinearState)
        state = stored.to("cpu")
    whole = model.outputs(visual, text, NOBODY, None, signals)
    assert whole.interest is not None
    torch.testing.assert_close(torch.stack([one.score for one in steps], 1), whole.score.sigmoid())
    present = torch.stack([one.interest for one in steps if one.interest is not None], 1)
    torch.testing.assert_close(present, whole.interest.sigmoid())


@torch.no_grad()
def test_an_answer_depends_on_the_last_segments_alone_and_on_no_padding() -> None:
    model = a_model()
    visual, text, signals = a_stream(9)
    before = model(visual, text, NOBODY, None, signals)
    text[:, 4] += 1.0
    changed = (model(visual, text, NOBODY, None, signals) != before)[0].tolist()
    assert changed == [False] * 4 + [True] * 3 + [False] * 2
    valid = torch.ones(2, 9, dtype=torch.bool)
    valid[:, :5] = False
    padded = model(visual, text, NOBODY, valid, signals)
    torch.testing.assert_close(padded[:, 5:], model(visual[:, 5:], text[:, 5:], NOBODY, None, signals[:, 5:]))


def test_a_state_of_another_format_is_refused() -> None:
    parts = LaggedLinear(DIMS).start(NOBODY).tensors()
    with pytest.raises(ModelError, match="format 9"):
        memory_from(parts | {"format": torch.tensor(9)})


def rooms_of_words(rooms: int, draw: np.random.Generator) -> list[LabelledRoom]:
    """The next label follows one word of the segment and, half as much, of the one before; the present one its own."""
    made = []
    for number in range(rooms):
        text = draw.normal(size=(60, 6)) * [1, 5, 1, 1, 1, 0] + 3
        word = (text[:, 1] - 3) / 5
        level = 0.4 + 0.05 * (number % 5)
        score = np.clip(level + 0.05 * word + 0.025 * np.append(0, word[:-1]), 0, 1)
        score[-1] = np.nan
        made.append(LabelledRoom(None, text, None, score, np.clip(level - 0.04 * word, 0, 1)))
    return made


@pytest.mark.parametrize("rooms", [1, 12])
def test_it_finds_what_labels_follow(rooms: int) -> None:
    made = rooms_of_words(rooms, np.random.default_rng(0))
    dims = replace(DIMS, use_visual=False, signals=0)
    model, fits = fit_linear(made, dims)
    assert fits["score"].left_out_error < 1e-4
    text = torch.from_numpy(np.stack([room.text for room in made])).float()  # type: ignore[arg-type]
    with torch.no_grad():
        score, interest = model.outputs(torch.zeros(rooms, 60, 3, 10), text, NOBODY[:1])
    assert interest is not None
    assert np.corrcoef(score[0, :-1], made[0].score[:-1])[0, 1] > 0.99
    assert np.corrcoef(interest[0], made[0].interest)[0, 1] > 0.99  # type: ignore[arg-type]
    mean = float(np.nanmean([np.nanmean(room.score) for room in made]))
    assert float(score.sigmoid().mean()) == pytest.approx(mean, abs=0.005)  # rates, not ranks alone


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> KLive:
    return open_klive(small_dataset(tmp_path_factory.mktemp("klive")))


def trained(data: KLive, **changes: object) -> Trained:
    dims = replace(linear_dims(dims_for(data.facts, 0), components=10, lags=2), **changes)  # type: ignore[arg-type]
    found = train(data, TrainingPlan(dims, Objective(), architecture="linear"), device="cpu")
    assert found is not None
    return found


def test_a_data_set_is_fitted_and_validated(data: KLive) -> None:
    found = trained(data)
    assert found.best.tau > 0.4
    assert found.best.tau == pytest.approx(trained(data).best.tau)  # nothing is drawn
    assert trained(data, use_text=False).best.tau < found.best.tau
    assert set(found.score_quantiles) >= {"0.5", "0.9"}


def test_what_cannot_be_learned_from_is_told(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="validate"):
        trained(open_klive(small_dataset(tmp_path / "none", validation=0)))
