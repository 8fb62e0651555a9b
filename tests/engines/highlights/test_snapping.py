"""Boundaries move a little, so that no sentence is cut and a clip can begin without re-encoding."""

import random
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

from support.curves import random_stream, scored_stream

from kuaihl.engines.highlights.curve import gap_edges
from kuaihl.engines.highlights.offline import find_highlights
from kuaihl.engines.highlights.snapping import collect_surroundings, sentence_at, snap_highlights
from kuaihl.engines.types import Highlight, ScoredSegment, Sentence


def stream_with(
    *said: tuple[float, float, str], keyframes: Sequence[float] = (), length: int = 10
) -> list[ScoredSegment]:
    """A stream of 30 s segments in which sentences are spoken and keyframes lie."""
    return [
        replace(
            one,
            sentences=tuple(Sentence(*three) for three in said if one.start <= three[0] < one.end),
            keyframe_times=tuple(time for time in keyframes if one.start <= time < one.end),
        )
        for one in scored_stream([0.5] * length)
    ]


def snap(start: float, end: float, stream: Sequence[ScoredSegment]) -> tuple[float, float]:
    (snapped,) = snap_highlights([Highlight(start, end, 0.8, ())], stream)
    return snapped.start, snapped.end


def test_the_start_goes_onto_the_keyframe_before_it() -> None:
    stream = stream_with(keyframes=[56.1, 58.1, 60.1, 62.1])
    assert snap(60.0, 90.0, stream) == (58.1, 90.0)


def test_the_start_goes_onto_a_keyframe_outside_of_speech_if_there_is_one() -> None:
    stream = stream_with((57.0, 63.0, "What a goal!"), keyframes=[56.0, 58.0, 60.0, 62.0])
    assert snap(60.0, 90.0, stream) == (56.0, 90.0)
    stream = stream_with((50.0, 61.0, "And now."), keyframes=[56.0, 58.0, 60.0, 62.0])
    assert snap(60.0, 90.0, stream) == (62.0, 90.0)
    stream = stream_with((40.0, 80.0, "On and on"), keyframes=[56.0, 58.0, 60.0, 62.0])
    assert snap(60.0, 90.0, stream) == (60.0, 90.0), "speech all around: the keyframe at or before"


def test_without_keyframes_the_start_goes_to_the_sentence() -> None:
    assert snap(60.0, 90.0, stream_with((57.0, 63.0, "What a goal!"))) == (57.0, 90.0)
    assert snap(60.0, 90.0, stream_with((50.0, 62.0, "Before it."))) == (62.0, 90.0)
    assert snap(60.0, 90.0, stream_with((30.0, 99.0, "Endless speech"))) == (60.0, 90.0)


def test_the_end_lets_a_sentence_finish_or_leaves_it_out() -> None:
    assert snap(60.0, 90.0, stream_with((86.0, 93.5, "He scores!"))) == (60.0, 93.5)
    assert snap(60.0, 90.0, stream_with((88.0, 99.0, "Next we will turn to something else"))) == (60.0, 88.0)
    assert snap(60.0, 90.0, stream_with((70.0, 99.0, "Endless speech"))) == (60.0, 90.0)
    assert snap(60.0, 90.0, stream_with((80.0, 90.0, "It ends here."))) == (60.0, 90.0)


def test_a_sentence_that_runs_on_into_the_next_segment_is_one() -> None:
    stream = stream_with((86.0, 90.0, "and the winner"), (90.0, 92.0, "is you."), (92.0, 99.0, "Thank you."))
    assert snap(60.0, 90.0, stream) == (60.0, 92.0)
    stream = stream_with((86.0, 90.0, "It is over."), (90.0, 92.0, "Thank you."))
    assert snap(60.0, 90.0, stream) == (60.0, 90.0)


def test_the_words_follow_the_boundaries() -> None:
    stream = stream_with(
        (50.0, 58.0, "Before."), (61.0, 70.0, "Inside."), (86.0, 93.0, "At the end."), (94.0, 99.0, "After.")
    )
    (snapped,) = snap_highlights([Highlight(60.0, 90.0, 0.8, (2,), "old words")], stream)
    assert snapped.text == "Inside. At the end."
    assert snapped.segments == (2, 3)
    assert snapped.score == 0.8


def test_neighbours_do_not_come_to_overlap() -> None:
    stream = stream_with((86.0, 94.0, "Over the border"), keyframes=[85.0, 88.0, 92.0])
    first, second = snap_highlights([Highlight(60.0, 90.0, 0.8, ()), Highlight(90.0, 120.0, 0.7, ())], stream)
    assert first.end <= second.start


def test_a_boundary_does_not_cross_a_gap_or_the_ends_of_the_stream() -> None:
    stream = stream_with((87.0, 93.0, "Over the gap"), (296.0, 303.0, "Over the end"), keyframes=[57.0], length=10)
    stream = [replace(one, gap=one.segment in (2, 3)) for one in stream]  # a gap before segment 2 …
    stream[3] = replace(stream[3], start=90.5)  # … and one before segment 3
    assert snap(60.0, 90.0, stream) == (60.0, 87.0)
    assert snap(270.0, 300.0, stream)[1] == 296.0


def test_the_maximum_length_holds_after_snapping() -> None:
    stream = stream_with((176.0, 183.0, "Over the border"), keyframes=[56.0])
    (snapped,) = snap_highlights([Highlight(60.0, 180.0, 0.8, ())], stream, max_seconds=120.0)
    assert (snapped.start, snapped.end) == (56.0, 176.0)


def test_snapping_keeps_every_promise_of_the_detector() -> None:
    some = cuts_before = cuts_after = 0
    for seed in range(200):
        chance = random.Random(seed)
        stream = random_stream(seed)
        found = find_highlights(stream, min_seconds=10.0, max_seconds=90.0, top=10)
        if not stream:
            continue
        end, time, said = stream[-1].end, 0.0, []
        while time < end:
            length = chance.uniform(1.0, 6.0)
            said.append((time, min(end, time + length), chance.choice(["A sentence.", "and so"])))
            time += length + chance.choice([0.0, 0.1, 1.0, 8.0])
        interval = chance.choice([0.0, 1.0, 2.0, 8.0])
        keyframes = [interval * index for index in range(int(end / interval))] if interval else []
        stream = [
            replace(
                one,
                sentences=tuple(Sentence(*three) for three in said if one.start <= three[0] < one.end),
                keyframe_times=tuple(time for time in keyframes if one.start <= time < one.end),
            )
            for one in stream
        ]
        snapped = snap_highlights(found, stream, min_seconds=10.0, max_seconds=90.0)
        some += len(found)
        offered, gaps = collect_surroundings(stream), gap_edges(stream)
        assert [one.score for one in snapped] == [one.score for one in found]
        for before, after in zip(found, snapped, strict=True):
            assert 10.0 - 0.002 <= after.end - after.start <= 90.0 + 0.002
            assert abs(after.start - before.start) <= 5.0 + 1e-6
            assert stream[0].start <= after.start < after.end <= end
            assert not any(after.start < gap < after.end for gap in gaps)
            if interval in (1.0, 2.0) and not any(abs(gap - before.start) < 5.0 for gap in gaps):
                assert after.start in keyframes
            cuts_before += sum(sentence_at(offered, edge) is not None for edge in (before.start, before.end))
            cuts_after += sum(sentence_at(offered, edge) is not None for edge in (after.start, after.end))
        for one, two in pairwise(snapped):
            assert one.end <= two.start
    assert some > 300
    assert cuts_after < 0.4 * cuts_before
