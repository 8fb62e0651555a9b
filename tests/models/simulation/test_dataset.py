"""Simulated rooms as a data set: reproducible, split by room, and nothing in them that gives the labels away."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from support.small_bank import made_up_bank

from kuaihl.models.data.klive import KLive, open_klive
from kuaihl.models.evaluation.rank_correlation import kendall_tau_b
from kuaihl.models.facts import EncoderFacts
from kuaihl.models.signals import GROUPS, SIGNALS_WIDTH
from kuaihl.models.simulation.dataset import (
    FARTHEST_SWAP,
    SimulationPlan,
    noise_ceiling,
    pool_frames,
    split_bank,
    split_banks,
    swap_order,
    write_simulated_set,
)
from kuaihl.models.simulation.rooms import draw_rooms
from kuaihl.models.simulation.streamers import draw_streamers
from kuaihl.models.simulation.terms import EVERYTHING, NOTHING, Room

ENCODERS = (EncoderFacts("vision", "made up", "1", ""),)
PLAN = SimulationPlan(rooms=30, streamers=12, seed=3)


def simulate(path: Path, plan: SimulationPlan = PLAN) -> KLive:
    write_simulated_set(path, plan, made_up_bank(1), made_up_bank(2), profile="edge", encoders=ENCODERS)
    return open_klive(path)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> KLive:
    return simulate(tmp_path_factory.mktemp("simulated") / "set")


def rooms(count: int = 40) -> list[Room]:
    random = np.random.default_rng(0)
    return draw_rooms(count, draw_streamers(20, random), 6, random, known=EVERYTHING)


def test_one_plan_gives_one_data_set_to_the_byte_and_another_seed_another(data: KLive, tmp_path: Path) -> None:
    again, other = simulate(tmp_path / "again"), simulate(tmp_path / "other", replace(PLAN, seed=4))
    for file in sorted((data.path / "rooms").iterdir()):
        assert file.read_bytes() == (again.path / "rooms" / file.name).read_bytes()
    assert [room.segments for room in data.rooms] != [room.segments for room in other.rooms]


def test_every_split_has_rooms_and_no_split_shows_words_or_worlds_of_another(data: KLive) -> None:
    assert {split: len(data.rooms_of(split)) for split in ("train", "validation", "test")} == {
        "train": 24,
        "validation": 3,
        "test": 3,
    }
    shown, worlds = {}, {}
    for split in ("train", "validation", "test"):
        read = [data.room(record) for record in data.rooms_of(split)]
        variants = np.concatenate([room.text[room.text.any(axis=1), 2] for room in read])
        shown[split] = (float(variants.min()), float(variants.max()))
        styles = np.concatenate([room.visual[room.visual.any(axis=(1, 2)), 0, 1] for room in read])
        worlds[split] = (float(styles.min()), float(styles.max()))
    for found in (shown, worlds):
        assert found["train"][1] < found["validation"][0] <= found["validation"][1] < found["test"][0]


def test_streamers_of_the_test_are_known_from_training(data: KLive) -> None:
    known = {room.streamer for room in data.rooms_of("train")}
    assert known.issuperset(room.streamer for room in data.rooms_of("test"))


def test_speech_alone_and_comments_alone_tell_nothing_of_the_other(data: KLive) -> None:
    nothing = 0
    for record in data.rooms:
        both, speech, comments = (data.room(record, text=source).text for source in ("both", "speech", "comments"))
        assert (speech[:, 1] == nothing).all()
        assert (comments[:, 0] == nothing).all()
        np.testing.assert_array_equal(speech[:, 0], both[:, 0])
        np.testing.assert_array_equal(comments[:, 1], both[:, 1])


def test_every_room_has_signals_and_some_of_what_is_unknown_is_zeros(data: KLive) -> None:
    from safetensors.numpy import load_file

    unseen = 0
    for record in data.rooms:
        arrays = load_file(data.path / "rooms" / f"{record.id}.safetensors")
        signals = arrays["signals"]
        assert signals.shape == (record.segments, SIGNALS_WIDTH)
        assert signals.dtype == np.float32
        pictures = signals[:, GROUPS.index("pictures")].astype(bool)
        assert arrays["visual"].any(axis=(1, 2)).tolist() == pictures.tolist()
        unseen += int(not pictures.any())
    assert 0 < unseen < len(data.rooms)


def test_counts_are_drawn_at_the_true_rate(data: KLive) -> None:
    views, long_views, rate = (
        np.concatenate([getattr(data.room(record), name) for record in data.rooms]).astype(float)
        for name in ("views", "long_views", "true_rate")
    )
    deviation = np.sqrt(views * rate * (1 - rate))
    z = (long_views - views * rate)[deviation > 0] / deviation[deviation > 0]
    assert abs(z.mean()) < 0.08
    assert abs(z.std() - 1) < 0.08


def test_the_ceiling_is_the_tau_of_the_true_rate_with_its_own_draw(data: KLive) -> None:
    scores, labels = [], []
    for record in data.rooms_of("test"):
        room = data.room(record)
        assert room.true_rate is not None
        counted, valid = room.labels()
        scores.append(np.append(room.true_rate[1:], 0)[valid])
        labels.append(counted[valid])
    true, lvtr = np.concatenate(scores), np.concatenate(labels)
    ceiling = data.facts.ceiling
    assert ceiling is not None
    taus = ceiling["next segment's true rate"]["tau above"]
    assert list(taus) == ["0.0", "0.2", "0.4", "0.6"]
    for threshold, tau in taus.items():
        chosen = lvtr > np.float32(threshold)
        assert tau == pytest.approx(kendall_tau_b(true[chosen], lvtr[chosen]), abs=1e-3)
    assert ceiling["this segment's true rate"]["tau above"]["0.0"] < taus["0.0"] < 1


def test_the_ceiling_is_one_where_nothing_is_drawn_and_falls_where_fewer_and_closer_labels_are_left() -> None:
    drawn = rooms(200)
    many = np.int64(10**9)
    exact = [
        replace(room, views=np.full(len(room.rate), many), long_views=np.round(room.rate * many).astype(np.int64))
        for room in drawn
    ]
    for tau in noise_ceiling(exact)["next segment's true rate"]["tau above"].values():
        assert tau == pytest.approx(1, abs=1e-4)
    taus = list(noise_ceiling(drawn)["next segment's true rate"]["tau above"].values())
    assert 1 > taus[0] > taus[1] > max(taus[2:])


def test_speech_may_come_in_another_order_than_pictures_and_nothing_else_changes() -> None:
    random = np.random.default_rng(1)
    moved = 0
    for room in rooms():
        swapped = swap_order(room, 0.2, random)
        assert swapped.scene is room.scene
        assert swapped.rate is room.rate
        np.testing.assert_array_equal(np.sort(swapped.speech), np.sort(room.speech))
        np.testing.assert_array_equal(swapped.speech == NOTHING, room.speech == NOTHING)
        moved += int((swapped.speech != room.speech).sum())
    assert moved > 100


def test_a_swap_reaches_no_farther_than_it_should() -> None:
    random = np.random.default_rng(1)
    for room in rooms():
        distinct = replace(room, speech=np.arange(len(room.speech)))
        alone = np.zeros(len(room.speech), dtype=np.int64)
        for _ in range(5):
            places = swap_order(distinct, 0.01, random).speech
            alone = np.maximum(alone, np.abs(places - np.arange(len(places))))
        assert alone.max() <= 2 * FARTHEST_SWAP  # two swaps may meet
    unswapped = swap_order(room, 0.0, random)
    np.testing.assert_array_equal(unswapped.speech, room.speech)


def test_pooling_takes_the_mean_of_each_frames_patches(data: KLive, tmp_path: Path) -> None:
    whole = simulate(tmp_path / "whole", replace(PLAN, pooled=False))
    assert whole.facts.patches == 12
    assert data.facts.patches == 3
    visual = np.asarray(whole.room(whole.rooms[0]).visual, np.float32)
    expected = visual.reshape(len(visual), 3, 4, 10).mean(axis=2)
    np.testing.assert_allclose(data.room(data.rooms[0]).visual, expected, rtol=1e-3)
    np.testing.assert_array_equal(pool_frames(np.ones((2, 12, 5), np.float16)), np.ones((2, 3, 5)))


def test_the_counts_are_impressions_and_comments_and_no_others(data: KLive) -> None:
    silent = 0
    for record in data.rooms:
        room = data.room(record, counts=True)
        assert room.counts is not None
        np.testing.assert_array_equal(room.counts[:, 0], room.views)
        assert (room.counts[:, 2:] == -1).all()
        silent += int((room.counts[:, 1] == -1).all())
        assert (room.counts[:, 1] == -1).all() or (room.counts[:, 1] >= 0).all()
    assert 0 < silent < len(data.rooms)


def test_halves_of_a_bank_share_nothing_and_each_has_every_key() -> None:
    one, other = split_bank(made_up_bank(1))
    assert not set(one.text[:, 2].tolist()) & set(other.text[:, 2].tolist())
    assert not set(one.visual[..., 1].ravel()) & set(other.visual[..., 1].ravel())
    assert set(map(tuple, one.keys)) == set(map(tuple, other.keys)) == set(map(tuple, made_up_bank(1).keys))


def test_a_host_looks_the_same_in_every_split_of_klives_proportions_and_says_other_words() -> None:
    train, held_out = made_up_bank(1), made_up_bank(2)
    banks = split_banks(replace(PLAN, proportions="klive"), train, held_out)
    assert all(bank.visual is train.visual for bank in banks.values())
    assert not set(banks["train"].text[:, 2].tolist()) & set(banks["test"].text[:, 2].tolist())
