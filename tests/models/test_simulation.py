"""The simulator: causes show late, early or not at all, and nothing hands a model the labels."""

import numpy as np
import pytest

from kuaihl.models.rank_correlation import kendall_tau_b
from kuaihl.models.simulation import (
    HYPE,
    IDLE,
    LAUGHTER,
    MIN_VIEWS,
    NOTHING,
    TOPICS,
    Room,
    draw_rooms,
    draw_streamers,
    labels_of,
)


@pytest.fixture(scope="module")
def rooms() -> list[Room]:
    random = np.random.default_rng(0)
    return draw_rooms(200, draw_streamers(60, random), 8, random)


def mean_tau(rooms: list[Room], rule: str) -> float:
    taus = []
    for room in rooms:
        rate, usable = labels_of(room)
        if usable.sum() >= 10:
            taus.append(np.nan_to_num(kendall_tau_b(getattr(room, rule)[usable].astype(float), rate[usable])))
    return float(np.mean(taus))


def test_the_same_seed_gives_the_same_rooms(rooms: list[Room]) -> None:
    random = np.random.default_rng(0)
    again = draw_rooms(200, draw_streamers(60, random), 8, random)
    assert all(np.array_equal(one.long_views, other.long_views) for one, other in zip(rooms, again, strict=True))


def test_labels_are_the_next_segments_rate_and_masked_where_few_watched(rooms: list[Room]) -> None:
    room = min(rooms, key=lambda one: one.views.min())
    rate, usable = labels_of(room)
    assert rate[3] == room.long_views[4] / max(room.views[4], 1)
    assert not usable[-1]
    assert np.array_equal(usable[:-1], room.views[1:] >= MIN_VIEWS)


def test_long_views_are_drawn_from_views_at_the_true_rate(rooms: list[Room]) -> None:
    views = np.concatenate([room.views for room in rooms])
    expected = np.concatenate([room.views * room.rate for room in rooms])
    variance = np.concatenate([room.views * room.rate * (1 - room.rate) for room in rooms])
    got = np.concatenate([room.long_views for room in rooms])
    assert (got <= views).all()
    z = (got - expected)[variance > 0] / np.sqrt(variance[variance > 0])
    assert abs(z.mean()) < 0.03
    assert abs(z.std() - 1.0) < 0.03


def test_bursts_hold_viewers_and_idle_talk_loses_them(rooms: list[Room]) -> None:
    logit = [np.log(room.rate / (1 - room.rate)) - np.log(room.rate / (1 - room.rate)).mean() for room in rooms]
    scene = np.concatenate([room.scene for room in rooms])
    lift = np.concatenate(logit)
    assert lift[(scene == HYPE) | (scene == LAUGHTER)].mean() > 0.5
    assert lift[scene == IDLE].mean() < -0.2


def test_comments_trail_the_picture(rooms: list[Room]) -> None:
    same, next_one = [], []
    for room in rooms:
        about, seen = room.chatter, room.scene
        changed = np.flatnonzero(np.diff(seen) != 0) + 1
        changed = changed[(changed + 1 < len(seen)) & (about[changed] != NOTHING)]
        same.append(np.mean(about[changed] == seen[changed]) if len(changed) else np.nan)
        next_one.append(np.mean(about[changed] == seen[changed - 1]) if len(changed) else np.nan)
    assert np.nanmean(same) > np.nanmean(next_one) > 0.15


def test_no_observable_alone_is_the_answer(rooms: list[Room]) -> None:
    ceiling = float(
        np.mean(
            [
                kendall_tau_b(np.append(room.rate[1:], 0.0)[usable], rate[usable])
                for room in rooms
                for rate, usable in [labels_of(room)]
                if usable.sum() >= 10
            ]
        )
    )
    for rule in ("comments", "loudness", "cuts", "motion"):
        assert mean_tau(rooms, rule) < 0.5 * ceiling


def test_some_rooms_have_no_speech_and_some_segments_no_comments(rooms: list[Room]) -> None:
    assert any((room.speech == NOTHING).all() for room in rooms)
    assert any((room.comments == 0).any() for room in rooms)
    for room in rooms:
        assert ((room.chatter == NOTHING) == (room.comments == 0)).all()
        assert room.speech.max() < len(TOPICS)
