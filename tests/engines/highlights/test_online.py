"""Highlights open and close while the stream runs, from past scores alone."""

import json
import time
from collections.abc import Sequence
from dataclasses import replace

import pytest
from support.curves import random_stream, scored_stream

from kuaihl.engines.highlights.curve import gap_edges
from kuaihl.engines.highlights.online import (
    HighlightClosed,
    HighlightDropped,
    HighlightEvent,
    HighlightOpened,
    OnlineDetector,
    OnlineSettings,
    OnlineState,
)
from kuaihl.engines.types import Event, ScoredSegment
from kuaihl.models.errors import UsageError


def run(stream: Sequence[ScoredSegment], settings: OnlineSettings | None = None) -> list[HighlightEvent]:
    detector = OnlineDetector(settings)
    return [event for scored in stream for event in detector.push(scored)] + detector.finish()


def closed(events: Sequence[HighlightEvent]) -> list[tuple[float, float]]:
    return [(event.highlight.start, event.highlight.end) for event in events if isinstance(event, HighlightClosed)]


QUIET = [0.40, 0.41, 0.40, 0.39, 0.41, 0.40, 0.39, 0.40]


def test_a_burst_opens_before_it_is_on_air_and_closes_when_it_has_passed() -> None:
    stream = scored_stream([*QUIET, 0.8, 0.7, *QUIET])
    detector = OnlineDetector()
    said = {scored.segment: events for scored in stream if (events := detector.push(scored))}
    (opened,) = said[8]
    assert isinstance(opened, HighlightOpened)
    assert opened.start == 270.0 == stream[8].end  # said at 270 s, of what begins at 270 s
    assert opened.score == 0.8 >= opened.threshold
    (over,) = said[10]
    assert isinstance(over, HighlightClosed)
    assert (over.highlight.start, over.highlight.end) == (270.0, 330.0)
    assert over.highlight.score == 0.8
    assert over.highlight.segments == (9, 10)
    assert over.highlight.text == "words of 9 words of 10"
    assert set(said) == {8, 10}


def test_what_no_score_foresaw_opens_at_the_segment_that_turned_out_interesting() -> None:
    interests = [*QUIET, 0.8, *QUIET]
    stream = scored_stream([0.4] * 17, interests=interests)
    detector = OnlineDetector()
    said = {scored.segment: events for scored in stream if (events := detector.push(scored))}
    opened, *_ = said[8]
    assert opened == HighlightOpened(8, 240.0, 0.8, pytest.approx(0.42), "interest")  # the median and 2 points
    (over,) = [event for events in said.values() for event in events if isinstance(event, HighlightClosed)]
    assert over.segment == 11  # a constant score is never low: it goes on to the maximum length
    assert (over.highlight.start, over.highlight.end) == (240.0, 360.0)


def test_with_low_scores_after_it_an_interesting_segment_is_a_highlight_by_itself() -> None:
    scores, interests = [*QUIET, 0.3, *QUIET], [*QUIET, 0.8, *QUIET]
    opened, over = run(scored_stream(scores, interests=interests))
    assert (opened.segment, over.segment) == (8, 8)
    assert isinstance(over, HighlightClosed)
    assert over.highlight.score == 0.8
    assert over.highlight.segments == (8,)
    assert over.highlight.text == "words of 8"
    assert (over.highlight.start, over.highlight.end) == (240.0, 270.0)


def test_what_a_score_foresaw_opens_before_its_interest_is_known() -> None:
    scores, interests = [*QUIET, 0.8, 0.3, *QUIET], [*QUIET, 0.4, 0.8, *QUIET]
    opened, _ = run(scored_stream(scores, interests=interests))
    assert opened == HighlightOpened(8, 270.0, 0.8, pytest.approx(0.42), "score")


def test_nothing_opens_during_the_warm_up() -> None:
    assert run(scored_stream([0.4, 0.9, 0.4, 0.9, 0.4, 0.4, 0.4])) == []


def test_a_flat_stream_opens_nothing_however_long() -> None:
    assert run(scored_stream([0.6] * 500)) == []
    assert run(scored_stream([0.6 + 0.001 * (index % 7) for index in range(500)])) == []


def test_a_small_dip_does_not_close_a_highlight() -> None:
    settings = OnlineSettings(open_quantile=0.9, close_quantile=0.5)
    assert closed(run(scored_stream([*QUIET, 0.8, 0.45, 0.8, 0.3, 0.3]), settings)) == [(270.0, 360.0)]


def test_a_plateau_closes_at_the_maximum_length_and_opens_again_only_after_a_fall() -> None:
    settings = OnlineSettings(max_seconds=90.0)
    stream = scored_stream([*QUIET * 4, *[0.8] * 20, *QUIET, 0.9, 0.9, *QUIET])
    assert closed(run(stream, settings)) == [(990.0, 1080.0), (1830.0, 1890.0)]


def test_an_open_highlight_ends_with_the_stream() -> None:
    stream = scored_stream([*QUIET, 0.8, 0.8, 0.8], last_seconds=14.0)
    assert closed(run(stream)) == [(270.0, 314.0)]
    opened, dropped = run(scored_stream([*QUIET, 0.8]))
    assert isinstance(opened, HighlightOpened)
    assert dropped == HighlightDropped(8, 270.0, "end")


def test_no_highlight_spans_a_gap() -> None:
    events = run(scored_stream([*QUIET, 0.8, 0.85, 0.9, 0.95, *QUIET], gaps=[10]))
    assert closed(events) == [(270.0, 300.0), (330.0, 390.0)]


@pytest.mark.parametrize("with_interest", [True, False])
@pytest.mark.parametrize("hole", [(285.0, 315.0), (270.0, 330.0), (299.0, 391.0), (277.0, 279.5)])
def test_no_highlight_holds_missing_media(hole: tuple[float, float], with_interest: bool) -> None:
    scores = [*QUIET, 0.8, 0.85, 0.9, 0.95, 0.95, 0.95, 0.95, *QUIET]
    stream = scored_stream(scores, interests=scores if with_interest else None)
    index = next(one.segment for one in stream if one.end > hole[0])
    gap = Event("gap", hole[0], "media is missing", hole[1])
    stream[index] = replace(stream[index], gap=True, events=(gap,))
    found = closed(run(stream))
    assert found
    for start, end in found:
        assert end <= hole[0] + 0.001 or start >= hole[1] - 0.001, (start, end)


def test_media_that_jumps_ends_a_highlight_where_it_was_last_seen() -> None:
    stream = scored_stream([*QUIET, 0.8, 0.85, 0.9, 0.95, *QUIET])
    late = [
        replace(one, start=one.start + 60, end=one.end + 60, predicts_start=one.end + 60, predicts_end=one.end + 90)
        for one in stream[10:]
    ]
    assert closed(run([*stream[:10], *late])) == [(270.0, 300.0), (390.0, 450.0)]


def test_a_highlight_that_is_too_short_goes_on_to_the_minimum_length() -> None:
    settings = OnlineSettings(min_seconds=12.0, max_seconds=60.0)
    assert closed(run(scored_stream([*QUIET, 0.8, *QUIET], seconds=5.0), settings)) == [(45.0, 60.0)]


def test_later_scores_change_nothing_that_was_said() -> None:
    some = 0
    for seed in range(40):
        stream = random_stream(seed, 120, interest=seed % 2 == 0)
        detector = OnlineDetector()
        events = [detector.push(scored) for scored in stream]
        some += sum(map(len, events))
        other = random_stream(seed + 1000, 120)
        for length in (1, 30, 77, 119):
            shorter = OnlineDetector()
            # The future is another one: what was said up to here is the same.
            changed = [
                *stream[:length],
                *(
                    replace(one, score=two.score, interest=one.interest and two.score)
                    for one, two in zip(stream[length:], other, strict=False)
                ),
            ]
            assert [shorter.push(scored) for scored in changed][:length] == events[:length]
    assert some > 100


@pytest.mark.parametrize("interest", [False, True])
def test_highlights_never_overlap_nor_leave_the_stream_and_keep_to_their_limits(interest: bool) -> None:
    some = 0
    for seed in range(300):
        stream = random_stream(seed, interest=interest)
        settings = OnlineSettings(min_seconds=float(seed % 4) * 5, max_seconds=20.0 + 50.0 * (seed % 3))
        events = run(stream, settings)
        open_start: float | None = None
        last_end, gaps = 0.0, gap_edges(stream)
        for event in events:
            if isinstance(event, HighlightOpened):
                assert open_start is None, "one is open at a time"
                open_start = event.start
                said_after = stream[event.segment]
                if event.known_by == "score":
                    assert event.start == said_after.end
                else:
                    assert said_after.start <= event.start < said_after.end
                continue
            assert open_start is not None
            if isinstance(event, HighlightClosed):
                some += 1
                one = event.highlight
                assert one.start == open_start
                assert last_end <= one.start < one.end <= stream[event.segment].end + 1e-9, "its media has passed"
                assert settings.min_seconds - 0.002 <= one.end - one.start <= settings.max_seconds + 0.002
                assert not any(one.start < gap < one.end for gap in gaps)
                assert one.segments
                last_end = one.end
            open_start = None
        assert open_start is None, "what opened has closed"
    assert some > 300


def test_a_detector_goes_on_from_its_saved_state_as_if_nothing_had_happened() -> None:
    for seed in range(20):
        stream = random_stream(seed, 100, interest=seed % 2 == 0)
        whole, first = OnlineDetector(), OnlineDetector()
        expected = [whole.push(scored) for scored in stream]
        for scored in stream[:60]:
            first.push(scored)
        saved = json.dumps(first.state.to_dict())
        second = OnlineDetector(state=OnlineState.from_dict(json.loads(saved)))
        assert [second.push(scored) for scored in stream[60:]] == expected[60:]
        assert second.state == whole.state


def test_a_step_costs_the_same_at_hour_40_and_its_state_stays_small() -> None:
    stream = random_stream(7, 5000, interest=True)
    detector = OnlineDetector()
    cost, size = [], []
    for scored in stream:
        began = time.perf_counter()
        detector.push(scored)
        cost.append(time.perf_counter() - began)
        size.append(len(json.dumps(detector.state.to_dict())) if scored.segment % 500 == 499 else 0)
    assert sorted(cost[-500:])[250] < 3 * sorted(cost[300:800])[250]
    assert max(size[-500:]) < 1.3 * max(size[:500])


@pytest.mark.parametrize(
    "wrong",
    [
        {"open_quantile": 0.5, "close_quantile": 0.8},
        {"open_quantile": 1.5},
        {"min_seconds": 60.0, "max_seconds": 30.0},
        {"warm_up": 0},
        {"warm_up": 50, "window": 20},
    ],
)
def test_settings_that_contradict_each_other_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(UsageError):
        OnlineSettings(**wrong)  # type: ignore[arg-type]
