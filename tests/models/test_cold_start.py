"""Training on simulated rooms, with small made-up banks in place of encoders: the head learns from them."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from kuaihl.models.cold_start import (
    RULES,
    read_standardised,
    score_rooms,
    simulate,
    train_cold_start,
    training_batches,
    without_streamers,
)
from kuaihl.models.feature_bank import KEYS, FeatureBank
from kuaihl.models.network import KuaiHL
from kuaihl.models.network_dims import EDGE_DIMS
from kuaihl.models.simulation import TOPICS
from kuaihl.models.token_projections import text_projection


def made_up_bank(seed: int) -> FeatureBank:
    """A direction a topic, with noise around it that differs from bank to bank, as sentences do."""
    shared, own = np.random.default_rng(0), np.random.default_rng(seed)
    spoken, chatter = shared.normal(size=(2, KEYS[1], EDGE_DIMS.text_width))
    text = spoken[None, :, None, None, None] + chatter[None, None, :, None, None]
    text = text + own.normal(size=(*KEYS, 3, EDGE_DIMS.text_width))
    scenes = shared.normal(size=(len(TOPICS), 3, 1, 1, EDGE_DIMS.visual_width))
    visual = scenes + own.normal(size=(len(TOPICS), 3, 4, EDGE_DIMS.patches, EDGE_DIMS.visual_width))
    return FeatureBank(text.astype(np.float16), visual.astype(np.float16))


def test_batches_hold_what_the_rooms_show() -> None:
    data = simulate(5, made_up_bank(1), seed=3)
    batches = list(training_batches(data, np.random.default_rng(0)))
    batch = batches[0]
    assert len(batch.visual) == len(batch.text) == len(batch.streamer) == 10  # two stretches a room
    assert batch.labels.shape == batch.label_valid.shape == batch.visual.shape[:2]
    assert batch.streamer.min() >= 1  # 0 is the unknown streamer
    assert ((batch.labels >= 0) & (batch.labels <= 1)).all()


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
