"""A flat list of texts, looked up by key: right topics, no words where nothing is said, and one line if none fits."""

import numpy as np
import pytest
from support.small_bank import all_keys, made_up_bank

from kuaihl.models.simulation.feature_bank import NO_WORDS, features_of, keys_of
from kuaihl.models.simulation.rooms import draw_rooms
from kuaihl.models.simulation.streamers import draw_streamers
from kuaihl.models.simulation.terms import EVERYTHING, GENRES, HYPE, LAUGHTER, NOTHING, Room


def rooms(**settings: frozenset) -> list[Room]:  # type: ignore[type-arg]
    random = np.random.default_rng(0)
    return draw_rooms(40, draw_streamers(20, random, GENRES), 6, random, **settings)


def test_a_text_has_the_key_of_its_segment() -> None:
    bank, random = made_up_bank(1), np.random.default_rng(0)
    for room in rooms():
        found = features_of(room, bank, random).text
        silent = (room.speech == NOTHING) & (room.chatter == NOTHING)
        np.testing.assert_array_equal(found == NO_WORDS, silent)
        np.testing.assert_array_equal(bank.keys[found[~silent]], keys_of(room)[~silent])
        np.testing.assert_array_equal(bank.keys[bank.draw_alike(found, random)[~silent]], keys_of(room)[~silent])
        assert not bank.text_of(found)[silent].any()


def test_all_texts_of_a_key_are_drawn_alike_often() -> None:
    bank = made_up_bank(1, variants=4)
    key = np.tile([0, 3, HYPE, LAUGHTER, 0], (4000, 1))
    rows = bank.draw(key, np.random.default_rng(0))
    assert len(set(rows)) == 4
    assert np.bincount(rows)[rows].min() > 900


def test_a_key_that_no_text_has_is_told() -> None:
    bank = made_up_bank(1)
    known = bank.part(np.flatnonzero(bank.keys[:, 0] == 0))
    with pytest.raises(ValueError, match=r"no text of \{'language': 1"):
        known.draw(all_keys(1)[-1:], np.random.default_rng(0))


def test_how_many_wrote_counts_beside_speech_of_the_same_topic_alone() -> None:
    for room in rooms(known=EVERYTHING):
        keys = keys_of(room)
        stray = (room.speech != NOTHING) & (room.speech != room.chatter)
        assert not keys[stray, 4].any()
        alone = keys_of(room, speech=False)
        written = room.chatter != NOTHING
        np.testing.assert_array_equal(alone[written, 4], room.comments[written] >= 6)


def test_pictures_that_nobody_recorded_are_zeros() -> None:
    bank, random = made_up_bank(1), np.random.default_rng(0)
    for room in rooms():
        seen = bank.visual_of(features_of(room, bank, random))
        assert seen.any() == ("pictures" in room.known)
