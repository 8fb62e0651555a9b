"""Training on simulated rooms, with small made-up banks in place of encoders: the head learns from them."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from support.small_bank import drawn_bank

from kuaihl.models.dims import EDGE_DIMS
from kuaihl.models.network.kuaihl import KuaiHL, text_projection
from kuaihl.models.network.standardize import read_standardised
from kuaihl.models.signals import COLUMNS, GROUPS, SIGNALS, SIGNALS_WIDTH
from kuaihl.models.simulation.cold_start import labelled_by, score_rooms, train_cold_start, without_streamers
from kuaihl.models.simulation.feature_bank import NO_WORDS
from kuaihl.models.simulation.simulated_set import STREAMERS, simulate, simulate_held_out
from kuaihl.models.simulation.stretches import (
    BLUR,
    SEQUENCE,
    say_words,
    training_batches,
    withhold_signals,
    without_group,
)
from kuaihl.models.simulation.terms import GENRES, HELD_OUT_GENRES, TRAINING_GENRES


def test_batches_hold_what_the_rooms_show() -> None:
    data = simulate(5, drawn_bank(1), seed=3)
    batches = list(training_batches(data, np.random.default_rng(0)))
    batch = batches[0]
    assert len(batch.visual) == len(batch.text) == len(batch.streamer) == 10  # two stretches per room
    assert batch.labels.shape == batch.label_valid.shape == batch.visual.shape[:2]
    assert batch.streamer.min() >= 1  # 0 is the unknown streamer
    assert ((batch.labels >= 0) & (batch.labels <= 1)).all()


def test_rooms_shorter_than_a_stretch_are_learned_from_and_their_padding_is_not() -> None:
    data = simulate(40, drawn_bank(1), seed=3)
    short = sum(len(room.rate) < SEQUENCE for room in data.rooms)
    assert short > 0
    unlearned = torch.cat([~batch.segment_valid[:, -1] for batch in training_batches(data, np.random.default_rng(0))])
    assert unlearned.sum() >= 2 * short


def test_half_of_the_rooms_to_test_on_are_of_genres_that_training_has_not_met() -> None:
    genres = [GENRES[room.genre] for room in simulate_held_out(20, drawn_bank(1), seed=3).rooms]
    assert set(genres[:10]) <= set(TRAINING_GENRES)
    assert set(genres[10:]) <= set(HELD_OUT_GENRES)
    assert {GENRES[room.genre] for room in simulate(200, drawn_bank(1), seed=3).rooms} == set(TRAINING_GENRES)


def test_signals_stand_beside_their_standard_scores() -> None:
    data = simulate(5, drawn_bank(1), seed=3)
    for room, signals in zip(data.rooms, data.signals, strict=True):
        assert signals.shape == (len(room.rate), SIGNALS_WIDTH)
        has = dict(zip(GROUPS, signals[:, : len(GROUPS)].T, strict=True))
        assert all((has[group] == (group in room.known)).all() for group in GROUPS)


def test_a_head_without_streamers_scores_as_the_unknown_one_did() -> None:
    torch.manual_seed(0)
    data = simulate(2, drawn_bank(1), seed=5)
    network = KuaiHL(replace(EDGE_DIMS, streamers=7, signals=SIGNALS_WIDTH, interest=True)).eval()
    before, after = score_rooms(network, data), score_rooms(without_streamers(network), data)
    for one, other in zip(before, after, strict=True):
        np.testing.assert_allclose(one.score, other.score, atol=1e-6)
        np.testing.assert_allclose(one.interest, other.interest, atol=1e-6)
        assert not np.allclose(one.score, one.interest)


@pytest.mark.parametrize("rows", [np.zeros((5, 2), np.float16), np.array([[1.0, 2.0]], np.float16)])
def test_an_input_that_the_data_lack_leaves_its_reader_as_it_was(rows: np.ndarray) -> None:
    reader = text_projection(replace(EDGE_DIMS, text_width=2, width=8))
    before = reader[0].weight.clone()  # type: ignore[union-attr,operator]
    read_standardised(reader, rows)
    assert torch.equal(reader[0].weight, before)  # type: ignore[arg-type]


def test_signals_that_a_platform_does_not_tell_are_zero_in_value_and_standard_score_alike() -> None:
    signals = np.ones((4, SIGNALS_WIDTH), np.float32)
    random = np.random.default_rng(0)
    drawn = [withhold_signals(signals, random) for _ in range(200)]
    assert {bool(each.all()) for each in drawn} == {True, False}
    for each in drawn:
        values, scores = each[:, len(GROUPS) : len(GROUPS) + len(SIGNALS)], each[:, len(GROUPS) + len(SIGNALS) :]
        np.testing.assert_array_equal(values, scores)
        assert each[:, : len(GROUPS)].all()
        assert (each == each[0]).all()  # throughout the stretch


def test_words_are_blurred_by_the_banks_own_spread_and_silence_stays_silence() -> None:
    bank = drawn_bank(1)
    rows = np.where(np.arange(4000) % 2 == 0, 0, NO_WORDS)
    found = say_words(bank, rows, np.random.default_rng(0))
    assert not found[1::2].any()
    kind = bank.text[(bank.keys == bank.keys[0]).all(axis=1)].astype(np.float32)
    noise = (found[::2] - kind.mean(axis=0)).std(axis=0)
    assert (noise > 0.95 * BLUR * bank.spread).all()


def test_without_a_group_none_of_its_columns_is_left() -> None:
    left = without_group(np.ones((2, SIGNALS_WIDTH), np.float32), "sound")[0]
    sound = [name for name, value in zip(COLUMNS, left, strict=True) if not value]
    names = [signal.name for signal in SIGNALS if signal.group == "sound"]
    assert sound == ["has_sound", *names, *(f"{name}_standardised" for name in names)]


@pytest.mark.parametrize("text_layers", [1, 2])
def test_a_standardised_reader_reads_each_feature_less_its_mean_over_its_deviation(text_layers: int) -> None:
    torch.manual_seed(0)
    reader = text_projection(replace(EDGE_DIMS, text_width=2, width=8, text_layers=text_layers))
    features = np.array([[5.0, 1.0], [7.0, 3.0], [0.0, 0.0]], np.float16)  # a row of zeros is no text
    mean, deviation = torch.tensor([6.0, 2.0]), 2**0.5
    with torch.no_grad():
        plain = reader((torch.tensor([[9.0, 1.0]]) - mean) / deviation)
        read_standardised(reader, features)
        torch.testing.assert_close(reader(torch.tensor([[9.0, 1.0]])), plain)


def test_teachers_label_every_segment_that_is_there_with_their_mean_answers() -> None:
    dims = replace(EDGE_DIMS, width=8, heads=2, layers=1, streamers=STREAMERS, signals=SIGNALS_WIDTH, interest=True)
    torch.manual_seed(0)
    teachers = [KuaiHL(dims).eval() for _ in range(2)]
    batch = next(training_batches(simulate(3, drawn_bank(1), seed=3), np.random.default_rng(0)))
    taught = labelled_by(teachers, batch)
    nobody = torch.zeros_like(batch.streamer)
    each = [one.outputs(batch.visual, batch.text, nobody, batch.segment_valid, batch.signals) for one in teachers]
    torch.testing.assert_close(taught.labels, (each[0].score.sigmoid() + each[1].score.sigmoid()) / 2)
    assert taught.interest is not None
    assert each[0].interest is not None and each[1].interest is not None
    torch.testing.assert_close(taught.interest, (each[0].interest.sigmoid() + each[1].interest.sigmoid()) / 2)
    assert taught.label_valid is batch.segment_valid
    assert taught.interest_valid is batch.segment_valid
    assert taught.visual is batch.visual


@pytest.mark.slow
def test_a_short_training_by_a_teacher_beats_every_simple_rule_on_new_rooms() -> None:
    trained = train_cold_start(
        drawn_bank(1),
        drawn_bank(2),
        rooms=96,
        epochs=3,
        seed=0,
        teachers=1,
        on_message=lambda _line: None,
    )
    for question, truth in (("next", "the next segment's true rate"), ("present", "this segment's true rate")):
        table = trained.metrics[question]["kendall_tau_per_room"]
        assert table["best known rule"]["tau"] < table["head"]["tau"] < table[truth]["tau"]
    assert list(trained.score_quantiles.values()) == sorted(trained.score_quantiles.values())
