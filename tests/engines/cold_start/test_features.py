"""Texts of the feature banks: every key that a room asks for has some, in every language and genre of its split."""

import numpy as np
import pytest

from kuaihl.engines.cold_start.features import FEW, GENRES_OF, MANY, SPOKEN_LINES, TEXTS, text_keys, written_texts
from kuaihl.models.simulation.dataset import split_bank
from kuaihl.models.simulation.feature_bank import FeatureBank, keys_of
from kuaihl.models.simulation.rooms import draw_rooms
from kuaihl.models.simulation.streamers import draw_streamers
from kuaihl.models.simulation.terms import GENRES, HELD_OUT_GENRES, NOTHING, TOPICS

SPLITS = ("train", "held-out")


@pytest.mark.parametrize("split", SPLITS)
def test_there_are_as_many_texts_as_keys_ask_for_and_they_are_always_the_same(split: str) -> None:
    """8 topics alone; 8 written of alone, by few or many; 8 agreeing, by few or many; 8 x 7 strays."""
    texts = TEXTS[split]
    of_a_genre = 8 * texts.speech + 16 * texts.comments + 16 * texts.agreeing + 56 * texts.strays
    written = written_texts(split)
    assert len(written) == 2 * len(GENRES_OF[split]) * of_a_genre
    assert written == written_texts(split)


@pytest.mark.parametrize("split", SPLITS)
def test_a_text_says_and_writes_what_its_key_tells(split: str) -> None:
    for text in written_texts(split):
        _, _, spoken, chatter, many = text.key
        assert bool(text.speech) == (spoken != NOTHING)
        assert bool(text.comments) == (chatter != NOTHING)
        if text.comments and spoken in (NOTHING, chatter):
            fewest, most = MANY if many else FEW
            assert fewest <= len(text.comments) <= most


def test_training_has_no_text_of_a_held_out_genre_and_held_out_rooms_have_texts_of_all() -> None:
    genres = {split: {GENRES[genre] for genre in text_keys(split)[:, 1]} for split in SPLITS}
    assert not genres["train"] & set(HELD_OUT_GENRES)
    assert genres["held-out"] == set(GENRES)


@pytest.mark.parametrize("split", SPLITS)
def test_every_room_finds_its_texts_in_both_halves(split: str) -> None:
    random = np.random.default_rng(0)
    keys = text_keys(split)
    bank = FeatureBank(np.zeros((len(keys), 1), np.float16), keys, np.zeros((len(TOPICS), 3, 4, 1, 1), np.float16))
    for room in draw_rooms(60, draw_streamers(40, random, GENRES_OF[split]), 4, random):
        for part in (bank, *split_bank(bank)):
            part.draw(keys_of(room), random)
            part.draw(keys_of(room, speech=False), random)
            part.draw(keys_of(room, comments=False), random)


def test_half_a_minute_has_a_few_lines_of_speech() -> None:
    assert SPOKEN_LINES[0] >= 2
    lengths = [len(text.speech) for text in written_texts("train") if text.key[0] == 0 and text.speech]
    assert 60 < np.median(lengths) < 600
