"""The directions along which the cold start reads words: they tell topics of texts that they were not made of."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from support.small_bank import all_keys

from kuaihl.models.dims import NetworkDims
from kuaihl.models.network.kuaihl import KuaiHL
from kuaihl.models.simulation.feature_bank import NO_WORDS, FeatureBank
from kuaihl.models.simulation.terms import NOTHING, TOPICS
from kuaihl.models.simulation.topic_directions import (
    CHATTER,
    DIRECTIONS,
    SPEECH,
    reading_whole_vectors,
    seen_along,
    topic_directions,
    topics_of,
)

WIDTH = 64
DIMS = NetworkDims(visual_width=8, text_width=WIDTH, patches=2, width=16, heads=2, layers=1, signals=3, interest=True)


def noisy_bank(seed: int) -> FeatureBank:
    """Texts that nearly all point one way, as E5's do, and differ by topic and by as much noise."""
    shared, own = np.random.default_rng(0), np.random.default_rng(seed)
    keys = all_keys(2)
    spoken, chatter = shared.normal(size=(2, len(TOPICS) + 1, WIDTH))
    text = 10.0 + spoken[keys[:, SPEECH]] + chatter[keys[:, CHATTER]] + own.normal(size=(len(keys), WIDTH))
    return FeatureBank(text.astype(np.float16), keys, np.zeros((len(TOPICS), 3, 1, 2, 8), np.float16))


def test_what_a_text_is_about_is_told_for_speech_and_comments_apart() -> None:
    keys = np.array([[0, 0, 2, NOTHING, 0], [1, 3, NOTHING, 0, 1], [0, 0, 7, 7, 0]])
    assert [np.flatnonzero(row).tolist() for row in topics_of(keys)] == [[2], [8], [7, 15]]


def test_they_tell_the_topics_of_texts_that_they_were_not_made_of() -> None:
    other = noisy_bank(2)
    seen = seen_along(other, topic_directions(noisy_bank(1))).text.astype(np.float32)
    about = topics_of(other.keys)
    for topic in range(2 * len(TOPICS)):
        found = [np.corrcoef(seen[:, topic], about[:, one])[0, 1] for one in range(2 * len(TOPICS))]
        assert found[topic] == max(found)
        assert found[topic] > 0.7


def test_texts_have_one_scale_along_them_and_silence_is_zeros() -> None:
    bank = noisy_bank(1)
    seen = seen_along(bank, topic_directions(bank))
    text = seen.text.astype(np.float32)
    assert text.shape == (len(bank.text), DIRECTIONS)
    np.testing.assert_allclose(text.mean(axis=0), [0.0] * (DIRECTIONS - 1) + [1.0], atol=0.01)
    assert (seen.text_of(np.array([NO_WORDS])) == 0).all()
    assert text[:, -1].min() > 0.5  # far from silence


def test_more_penalty_reaches_the_same_scale_with_smaller_weights() -> None:
    bank = noisy_bank(1)
    weak, strong = (np.linalg.norm(topic_directions(bank, penalty)[:, :-1]) for penalty in (0.01, 100.0))
    assert strong < weak


@pytest.mark.parametrize("text_layers", [1, 2])
def test_a_network_reads_whole_vectors_as_it_read_them_along_the_directions(text_layers: int) -> None:
    torch.manual_seed(0)
    bank = noisy_bank(1)
    directions = topic_directions(bank)
    narrow = KuaiHL(replace(DIMS, text_width=DIRECTIONS, text_layers=text_layers)).eval()
    whole = reading_whole_vectors(narrow, directions).eval()
    assert whole.dims == replace(DIMS, text_layers=text_layers)
    text = torch.from_numpy(bank.text[:6].astype(np.float32))[None]
    text[:, 3] = 0.0
    others = torch.randn(1, 6, 2, 8), torch.zeros(1, dtype=torch.long), None, torch.randn(1, 6, 3)
    with torch.inference_mode():
        before = narrow.outputs(others[0], text @ torch.from_numpy(directions), *others[1:])
        after = whole.outputs(others[0], text, *others[1:])
    for one, other in zip(before, after, strict=True):
        torch.testing.assert_close(one, other, atol=1e-4, rtol=1e-4)


def test_what_lies_across_all_directions_changes_nothing() -> None:
    directions = topic_directions(noisy_bank(1))
    across = np.random.default_rng(0).normal(size=WIDTH)
    across -= directions @ np.linalg.lstsq(directions, across, rcond=None)[0]
    assert np.linalg.norm(across) > 1.0
    np.testing.assert_allclose(across @ directions, 0.0, atol=1e-4)
