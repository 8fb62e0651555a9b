"""The simulator: causes show late, weakly or not at all, by each streamer's own habits, and hand nobody the labels."""

from dataclasses import replace

import numpy as np
import pytest

from kuaihl.models.evaluation.rank_correlation import kendall_tau_b
from kuaihl.models.facts import MIN_VIEWS
from kuaihl.models.signals import GROUPS, SIGNAL_NAMES, SIGNALS
from kuaihl.models.simulation.causes import draw_course
from kuaihl.models.simulation.rooms import draw_room, draw_rooms
from kuaihl.models.simulation.rules import RULES, rule_scores, simulated_rule_taus
from kuaihl.models.simulation.signals import draw_chat, draw_courses, draw_known
from kuaihl.models.simulation.streamers import EFFECTS, draw_streamer, draw_streamers
from kuaihl.models.simulation.terms import (
    EVERYTHING,
    GENRES,
    HELD_OUT_GENRES,
    HYPE,
    IDLE,
    LAUGHTER,
    NOTHING,
    TOPICS,
    Room,
    labels_of,
    present_labels_of,
)

SHARES = ("laughter", "capitals", "exclamations", "repeats", "emotes", "cheering", "speech", "spoken_repeats",
          "change", "shots", "static")  # fmt: skip
LOGS = ("comments", "chatters", "gifts", "gift_value", "comment_length", "words", "spoken_exclamations",
        "spoken_laughter")  # fmt: skip


def drawn(count: int, known: frozenset | None = None, genres: tuple[str, ...] = GENRES) -> list[Room]:  # type: ignore[type-arg]
    random = np.random.default_rng(0)
    return draw_rooms(count, draw_streamers(150, random, genres), 8, random, known=known)


@pytest.fixture(scope="module")
def rooms() -> list[Room]:
    """Of which everything is known."""
    return drawn(400, EVERYTHING)


def signal(room: Room, name: str) -> np.ndarray:
    return room.signals[:, SIGNAL_NAMES.index(name)]


def mean_tau(rooms: list[Room], name: str) -> float:
    """With the true rate of the present segment."""
    return float(np.mean([np.nan_to_num(kendall_tau_b(signal(room, name), room.rate)) for room in rooms]))


def test_the_same_seed_gives_the_same_rooms(rooms: list[Room]) -> None:
    again = drawn(400, EVERYTHING)
    for one, other in zip(rooms, again, strict=True):
        np.testing.assert_array_equal(one.long_views, other.long_views)
        np.testing.assert_array_equal(one.signals, other.signals)


def test_labels_are_the_rates_of_the_segment_or_of_the_next_and_masked_if_few_watched(rooms: list[Room]) -> None:
    room = min(rooms, key=lambda one: one.views.min())
    (now, usable_now), (rate, usable) = present_labels_of(room), labels_of(room)
    assert now[3] == room.long_views[3] / max(room.views[3], 1)
    assert rate[3] == now[4]
    assert np.array_equal(usable_now, room.views >= MIN_VIEWS)
    assert np.array_equal(usable[:-1], room.views[1:] >= MIN_VIEWS)
    assert not usable[-1]


def test_long_views_are_drawn_from_views_at_the_true_rate(rooms: list[Room]) -> None:
    views = np.concatenate([room.views for room in rooms])
    rate = np.concatenate([room.rate for room in rooms])
    got = np.concatenate([room.long_views for room in rooms])
    assert (got <= views).all()
    variance = views * rate * (1 - rate)
    z = (got - views * rate)[variance > 0] / np.sqrt(variance[variance > 0])
    assert abs(z.mean()) < 0.03
    assert abs(z.std() - 1.0) < 0.03


def test_events_hold_viewers_and_idle_talk_loses_them(rooms: list[Room]) -> None:
    logits = [np.log(room.rate / (1 - room.rate)) for room in rooms]
    lift = np.concatenate([logit - logit.mean() for logit in logits])
    scene = np.concatenate([room.scene for room in rooms])
    assert lift[(scene == HYPE) | (scene == LAUGHTER)].mean() > 0.5
    assert lift[scene == IDLE].mean() < -0.2


def test_persistence_covers_what_real_labels_show(rooms: list[Room]) -> None:
    """Marks of real broadcasts have a lag-1 autocorrelation of -0.02 (goals) to +0.59 (highlights of a chat)."""
    marks = [room.rate > np.quantile(room.rate, 0.85) for room in rooms if len(room.rate) >= 60]
    apart = [each - each.mean() for each in marks]
    found = [(each[1:] * each[:-1]).mean() / (each**2).mean() for each in apart]
    low, middle, high = np.quantile(found, (0.1, 0.5, 0.9))
    assert low < 0.1
    assert 0.2 < middle < 0.45
    assert high > 0.55


def test_few_events_are_announced() -> None:
    """At most a tenth of events show on stage before; half of them did once, and a head waited for it."""
    random = np.random.default_rng(0)
    streamer = draw_streamer("esports", random)
    temper = replace(streamer.temper, false_alarms=0.0, eventfulness=2.0)
    course = draw_course(20_000, streamer.mix, temper, random)
    begins = np.flatnonzero(np.diff(course.lift) > 0.5) + 1
    assert len(begins) > 1000
    assert np.mean(course.stage_only[begins - 1] > 0) == pytest.approx(0.1, abs=0.03)


def test_signals_are_in_the_units_of_their_table(rooms: list[Room]) -> None:
    for room in rooms:
        assert room.signals.shape == (len(room.rate), len(SIGNALS))
        assert np.isfinite(room.signals).all()
        for name in SHARES:
            assert 0 <= signal(room, name).min() <= signal(room, name).max() <= 1
        for name in LOGS:
            assert 0 <= signal(room, name).min() <= signal(room, name).max() < 12
        np.testing.assert_allclose(np.expm1(signal(room, "comments")), room.comments, rtol=1e-4)
        assert (signal(room, "chatters") <= signal(room, "comments")).all()
        silent = room.speech == NOTHING
        assert not signal(room, "words")[silent].any()
        bands = sum(10.0 ** signal(room, name).astype(float) for name in ("low_band", "middle_band", "high_band"))
        np.testing.assert_allclose(bands, 10.0 ** signal(room, "loudness").astype(float), rtol=1e-3, atol=1e-9)
        assert (signal(room, "peak") >= signal(room, "loudness")).all()
        still = signal(room, "static") == 1
        assert not signal(room, "change")[still].any()
        assert not signal(room, "shots")[still].any()


def test_signals_vary_in_a_room_about_as_much_as_their_table_believes(rooms: list[Room]) -> None:
    for name, spread in ((one.name, one.spread) for one in SIGNALS):
        within = float(np.median([signal(room, name).std() for room in rooms]))
        assert within < 3 * spread, name


def test_sound_and_comments_follow_interest_and_pictures_hardly_do(rooms: list[Room]) -> None:
    for name in ("comments", "chatters", "repeats", "laughter", "loudness", "peak", "cheering"):
        assert mean_tau(rooms, name) > 0.03, name
    for name in ("change", "shots"):
        assert abs(mean_tau(rooms, name)) < 0.07, name


def test_every_signal_tells_the_opposite_in_some_rooms(rooms: list[Room]) -> None:
    for name in SIGNAL_NAMES[:-1]:
        taus = [np.nan_to_num(kendall_tau_b(signal(room, name), room.rate)) for room in rooms]
        assert np.quantile(taus, 0.03) < 0 < np.quantile(taus, 0.97), name


def test_a_genre_with_a_measured_effect_has_it() -> None:
    """Rules' taus over the highest possible: fullness of esports .52 / .78, marks of football .14 / .47 at present."""
    esports = simulated_rule_taus(drawn(60, EVERYTHING, ("esports",)))["esports"]
    sport = simulated_rule_taus(drawn(60, EVERYTHING, ("sport",)))["sport"]
    assert 0.5 < esports["fullness"]["marked"] < 0.8
    assert 0.2 < esports["fullness"]["marked next"] < 0.5
    assert esports["dynamics"]["marked"] < -0.2
    assert 0.15 < sport["spoken_exclamations"]["marked"] < 0.45


def test_a_growing_audience_writes_more_without_being_any_more_interested() -> None:
    random = np.random.default_rng(0)
    more = []
    for streamer in draw_streamers(200, random):
        calm = replace(streamer, looks=replace(streamer.looks, effects=np.zeros(len(EFFECTS))))
        course = draw_course(60, calm.mix, replace(calm.temper, surges=0.0), random)
        crowd = np.repeat([0.5, 2.0], 30)
        count = draw_chat(draw_courses(course, calm, random), course, calm, crowd, random).count
        more.append(np.log1p(count[30:]).mean() - np.log1p(count[:30]).mean())
    assert np.mean(more) > 0.5


def test_comments_trail_what_happens(rooms: list[Room]) -> None:
    """As in the Chinese chat, where the tau with the segment before is higher than with the next by far."""
    now, before, after = [], [], []
    for room in rooms:
        rate, count = room.rate, signal(room, "comments")
        before.append(np.nan_to_num(kendall_tau_b(count[1:], rate[:-1])))
        now.append(np.nan_to_num(kendall_tau_b(count, rate)))
        after.append(np.nan_to_num(kendall_tau_b(count[:-1], rate[1:])))
    assert np.mean(before) > np.mean(after) + 0.02
    assert np.mean(now) > np.mean(after) + 0.02


def test_one_who_floods_the_chat_lifts_the_count_more_than_the_chatters(rooms: list[Room]) -> None:
    gap = [float((signal(room, "comments") - signal(room, "chatters")).max()) for room in rooms]
    assert np.quantile(gap, 0.9) > 1.0


def test_at_least_one_input_is_known_and_each_of_three_is_at_times_alone() -> None:
    random = np.random.default_rng(0)
    found = [draw_known(random) for _ in range(4000)]
    assert all(found)
    for group in ("speech", "comments", "sound"):
        assert np.mean([known == {group} for known in found]) > 0.075
    for group in GROUPS:
        assert 0.4 < np.mean([group in known for known in found]) < 0.75


def test_what_is_not_known_shows_nowhere() -> None:
    for room in drawn(100):
        known = np.isfinite(room.signals)
        assert (known == known[0]).all()
        assert {one.group for one, there in zip(SIGNALS, known[0], strict=True) if there} == room.known
        assert (room.speech == NOTHING).all() or "speech" in room.known
        assert (not room.comments.any() and (room.chatter == NOTHING).all()) or "comments" in room.known


def test_what_comes_later_moves_no_signal_before() -> None:
    """One streamer's rooms, one of which an event breaks into: before it the courses are the same."""
    streamer = draw_streamer("esports", np.random.default_rng(0))
    course = draw_course(60, streamer.mix, streamer.temper, np.random.default_rng(1))
    lift = course.lift.copy()
    lift[40:] += 1.5
    other = replace(course, lift=lift)
    one, two = (draw_courses(each, streamer, np.random.default_rng(2)) for each in (course, other))
    for name in EFFECTS:
        np.testing.assert_array_equal(one[name][:40], two[name][:40])
    assert (two["loudness"][40:] > one["loudness"][40:]).mean() > 0.9


def test_in_some_rooms_only_part_of_the_signals_of_an_input_is_measured() -> None:
    partly = []
    for room in drawn(300):
        of_known = sum(one.group in room.known for one in SIGNALS)
        partly.append(int(np.isfinite(room.signals[0]).sum()) < of_known)
    assert 0.15 < np.mean(partly) < 0.45
    assert all(np.isfinite(room.signals).all() for room in drawn(50, EVERYTHING))


def test_held_out_genres_are_drawn_when_asked_for_alone() -> None:
    random = np.random.default_rng(0)
    assert not {GENRES[one.genre] for one in draw_streamers(300, random)} & set(HELD_OUT_GENRES)
    assert {GENRES[one.genre] for one in draw_streamers(60, random, HELD_OUT_GENRES)} == set(HELD_OUT_GENRES)


def test_rooms_are_short_and_long_and_of_their_streamers_world() -> None:
    random = np.random.default_rng(0)
    streamer = draw_streamer("talk", random)
    some = [draw_room(0, streamer, 8, random) for _ in range(200)]
    assert {len(room.rate) < 30 for room in some} == {len(room.rate) > 100 for room in some} == {True, False}
    assert 0.8 < np.mean([room.style == int(8 * streamer.world) for room in some]) < 1


def test_no_signal_is_the_answer(rooms: list[Room]) -> None:
    """Where every genre has its say, the best of them ranks a fourth of what the true rate would."""
    assert 0.15 < max(mean_tau(rooms, name) for name in SIGNAL_NAMES) < 0.35


def test_rules_are_the_known_signals_and_their_standard_scores() -> None:
    assert len(RULES) == 2 * len(SIGNALS)
    for room in drawn(20):
        assert len(rule_scores(room)) == 2 * np.isfinite(room.signals[0]).sum()


def test_some_rooms_have_no_speech_and_some_segments_no_comments(rooms: list[Room]) -> None:
    assert any((room.speech == NOTHING).all() for room in rooms)
    assert any((room.comments == 0).any() for room in rooms)
    for room in rooms:
        assert ((room.chatter == NOTHING) == (room.comments == 0)).all()
        assert room.speech.max() < len(TOPICS)
