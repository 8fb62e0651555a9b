"""Repeats are found by what packets hold; what occurs twice, or disagrees, proves nothing."""

import pytest

from kuaihl.engines.ingest.replayed_tail import REMEMBERED_SECONDS, Tail, Trace


def traces(first: int, last: int, *, clock: float = 0.0) -> list[Trace]:
    """Packets `first` up to `last`, 25 a second, on a clock that started at packet `clock` x 25."""
    return [Trace(number, number / 25 - clock) for number in range(first, last)]


def tail_of(packets: list[Trace]) -> Tail:
    tail = Tail()
    for packet in packets:
        tail.remember(packet)
    return tail


def test_a_repeated_tail_tells_how_the_clocks_differ() -> None:
    tail = tail_of(traces(0, 500))
    assert tail.shift(traces(450, 520, clock=18.0)) == pytest.approx(18.0)


def test_new_packets_are_no_repeat() -> None:
    assert tail_of(traces(0, 500)).shift(traces(500, 600)) is None


def test_packets_that_are_alike_prove_nothing() -> None:
    silence = [Trace(1000, number / 25) for number in range(100)]
    assert tail_of(silence).shift(silence) is None
    assert tail_of([*silence, *traces(100, 200)]).shift(silence[:1]) is None


def test_repeats_that_disagree_prove_nothing() -> None:
    tail = tail_of(traces(0, 10))
    shuffled = [Trace(packet.digest, 10.0 * number) for number, packet in enumerate(traces(0, 10))]
    assert tail.shift(shuffled) is None


def test_one_odd_packet_does_not_outvote_the_others() -> None:
    odd = Trace(3, 900.0)
    assert tail_of(traces(0, 500)).shift([odd, *traces(450, 500, clock=18.0)]) == pytest.approx(18.0)


def test_memory_is_bounded_in_time() -> None:
    tail = tail_of(traces(0, 25 * 600))
    assert len(tail) <= 25 * REMEMBERED_SECONDS + 1
    assert tail.shift(traces(0, 100)) is None
