"""A simulated test room is replayed as its data set has it: the same rates, the same words, the same pictures."""

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from support.paths import REPOSITORY

from kuaihl.engines.cold_start.features import text_keys, written_texts
from kuaihl.models.data.klive import open_klive
from kuaihl.models.simulation.dataset import SimulationPlan, write_simulated_set
from kuaihl.models.simulation.feature_bank import NO_WORDS
from kuaihl.models.simulation.terms import NOTHING, TOPICS

sys.path.insert(0, str(REPOSITORY / "benchmarks" / "paper"))

from replay import replay, shown
from support.small_bank import made_up_bank


@pytest.mark.parametrize("proportions", ["even", "klive"])
def test_rooms_are_replayed_as_they_are_stored(tmp_path: Path, proportions: str) -> None:
    banks = made_up_bank(0), made_up_bank(1)
    plan = SimulationPlan(rooms=20, streamers=6, seed=3, proportions=proportions)  # type: ignore[arg-type]
    write_simulated_set(tmp_path, plan, *banks, profile="edge", encoders=())
    data = open_klive(tmp_path)
    records, rooms = data.rooms_of("test"), replay(plan, *banks)
    assert len(records) == len(rooms) == 2
    for record, room in zip(records, rooms, strict=True):
        stored = data.room(record)
        assert stored.true_rate is not None
        np.testing.assert_allclose(stored.true_rate, room.room.rate, rtol=1e-6)
        text = np.asarray(stored.text, np.float32)
        for segment, row in enumerate(room.features.text):
            if row == NO_WORDS:
                assert not text[segment].any()
                continue
            alike = (banks[1].keys == banks[1].keys[row]).all(axis=1)
            apart = np.linalg.norm(banks[1].text.astype(np.float32) - text[segment], axis=1)
            assert apart[row] <= apart[alike].min() + 1e-3  # a stored text lies less than half of the way to another


def test_what_is_shown_is_of_the_topics_of_the_room() -> None:
    pytest.importorskip("PIL", reason="Pillow is not installed")
    plan = SimulationPlan(rooms=20, streamers=6, seed=3)
    written = written_texts("held-out")
    held_out = replace(made_up_bank(1), text=np.zeros((len(written), 1), np.float16), keys=text_keys("held-out"))
    spoken = 0
    for room in replay(plan, made_up_bank(0), held_out):
        for segment, one in enumerate(shown(room, range(12))):
            assert one.picture.ndim == 3
            assert one.scene == TOPICS[room.room.scene[segment]]
            topic = room.room.speech[segment]
            row = room.features.text[segment]
            assert one.speech == ("" if row == NO_WORDS else written[row].speech)
            assert bool(one.speech) == (topic != NOTHING)
            assert row == NO_WORDS or written[row].key[2] == topic
            spoken += topic != NOTHING
    assert spoken > 0
