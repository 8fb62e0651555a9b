"""Training on simulated rooms, with small made-up banks in place of encoders: the head learns from them."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from small_bank import all_keys

from kuaihl.models.cold_start import (
    SEQUENCE,
    read_standardised,
    score_rooms,
    simulate,
    simulate_held_out,
    train_cold_start,
    training_batches,
    without_streamers,
)
from kuaihl.models.feature_bank import FeatureBank
from kuaihl.models.network import KuaiHL
from kuaihl.models.network_dims import EDGE_DIMS
from kuaihl.models.signals import GROUPS, SIGNALS_WIDTH
from kuaihl.models.simulated_rules import RULES
from kuaihl.models.simulation import GENRES, HELD_OUT_GENRES, TOPICS, TRAINING_GENRES
from kuaihl.models.text_projection import text_projection


def made_up_bank(seed: int) -> FeatureBank:
    """A direction a topic, with noise around it that differs from bank to bank, as sentences do."""
    shared, own = np.random.default_rng(0), np.random.default_rng(seed)
    keys = all_keys(3)
    spoken, chatter = shared.normal(size=(2, len(TOPICS) + 1, EDGE_DIMS.text_width))
    text = spoken[keys[:, 2]] + chatter[keys[:, 3]] + own.normal(size=(len(keys), EDGE_DIMS.text_width))
    scenes = shared.normal(size=(len(TOPICS), 3, 1, 1, EDGE_DIMS.visual_width))
    visual = scenes + own.normal(size=(len(TOPICS), 3, 4, EDGE_DIMS.patches, EDGE_DIMS.visual_width))
    return FeatureBank(text.astype(np.float16), keys, visual.astype(np.float16))


def test_batches_hold_what_the_rooms_show() -> None:
    data = simulate(5, made_up_bank(1), seed=3)
    batches = list(training_batches(data, np.random.default_rng(0)))
    visual, text, streamer, labels, valid = batches[0]
    assert visual.shape[0] == text.shape[0] == streamer.shape[0] == 10  # two stretches a room
    assert labels.shape == valid.shape == visual.shape[:2]
    assert streamer.min() >= 1  # 0 is the unknown streamer
    assert ((labels >= 0) & (labels <= 1)).all()


def test_rooms_shorter_than_a_stretch_are_learned_from_and_their_padding_is_not() -> None:
    data = simulate(40, made_up_bank(1), seed=3)
    short = sum(len(room.rate) < SEQUENCE for room in data.rooms)
    assert short > 0
    unlearned = torch.cat([~batch[4][:, -1] for batch in training_batches(data, np.random.default_rng(0))])
    assert unlearned.sum() >= 2 * short


def test_half_of_the_rooms_to_test_on_are_of_genres_that_training_has_not_met() -> None:
    genres = [GENRES[room.genre] for room in simulate_held_out(20, made_up_bank(1), seed=3).rooms]
    assert set(genres[:10]) <= set(TRAINING_GENRES)
    assert set(genres[10:]) <= set(HELD_OUT_GENRES)
    assert {GENRES[room.genre] for room in simulate(200, made_up_bank(1), seed=3).rooms} == set(TRAINING_GENRES)


def test_signals_stand_beside_their_standard_scores() -> None:
    data = simulate(5, made_up_bank(1), seed=3)
    for room, signals in zip(data.rooms, data.signals, strict=True):
        assert signals.shape == (len(room.rate), SIGNALS_WIDTH)
        has = dict(zip(GROUPS, signals[:, : len(GROUPS)].T, strict=True))
        assert all((has[group] == (group in room.known)).all() for group in GROUPS)


def test_a_head_without_streamers_scores_as_the_unknown_one_did() -> None:
    torch.manual_seed(0)
    data = simulate(2, made_up_bank(1), seed=5)
    network = KuaiHL(replace(EDGE_DIMS, streamers=7)).eval()
    before, after = score_rooms(network, data), score_rooms(without_streamers(network), data)
    assert all(np.allclose(one, other) for one, other in zip(before, after, strict=True))


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


@pytest.mark.slow
def test_a_short_training_beats_every_simple_rule_on_new_rooms() -> None:
    trained = train_cold_start(made_up_bank(1), made_up_bank(2), rooms=96, epochs=3, seed=0, tell=lambda _line: None)
    table = trained.metrics["kendall_tau_a_room"]
    assert all(table["head"]["tau"] > table[rule]["tau"] for rule in RULES)
    assert table["head"]["tau"] < table["ceiling: the next segment's true rate"]["tau"]
    assert list(trained.score_quantiles.values()) == sorted(trained.score_quantiles.values())
