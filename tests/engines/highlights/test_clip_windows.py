"""A highlight's packets are held from the keyframe before it on, and no more of the recording is read than it needs."""

from collections.abc import Iterator, Sequence

import pytest
from support.clip_media import make_recording

from kuaihl.engines.highlights import clip_windows
from kuaihl.engines.highlights.clip_windows import Window, read_windows
from kuaihl.engines.highlights.cutting_points import INTERLEAVING, PAUSE
from kuaihl.engines.ingest.opening import open_source
from kuaihl.engines.ingest.packets import TimedPacket, packets
from kuaihl.engines.types import Event, Highlight


def highlight(start: float, end: float) -> Highlight:
    return Highlight(start, end, 0.5, (0,))


@pytest.fixture(scope="module")
def stream(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sequence[TimedPacket | Event]]:
    """70 s with a keyframe every 2 s."""
    path = make_recording(tmp_path_factory.mktemp("windows") / "room.flv", seconds=70, height=16)
    with open_source(str(path)) as source:
        yield list(packets(source))


def held(window: Window) -> list[TimedPacket]:
    assert window.packets is not None
    return window.packets


def test_a_window_begins_at_the_keyframe_before_and_holds_the_sound_that_may_come_late(
    stream: Sequence[TimedPacket | Event],
) -> None:
    (window,) = read_windows(stream, [highlight(7.3, 12.5)])
    pictures = [one for one in held(window) if one.kind == "video"]
    assert pictures[0].keyframe and pictures[0].time == pytest.approx(6.0, abs=0.05)
    assert pictures[-1].time == pytest.approx(12.5 + INTERLEAVING, abs=0.05)
    assert min(one.time for one in held(window)) >= pictures[0].time - 1e-3
    assert window.points.keyframes[3] == pictures[0].time


def test_windows_come_in_order_of_their_ends_and_may_share_packets(stream: Sequence[TimedPacket | Event]) -> None:
    windows = list(read_windows(stream, [highlight(20.0, 24.0), highlight(3.0, 26.0), highlight(5.0, 9.0)]))
    assert [window.index for window in windows] == [2, 0, 1]
    first, second, third = (held(window) for window in windows)
    shared = {id(one) for one in second} & {id(one) for one in third}
    assert shared == {id(one) for one in second} - {id(one) for one in second if one.time > 26.0 + INTERLEAVING}
    assert first[0].time < second[0].time


def test_nothing_is_read_beyond_what_the_last_window_needs(stream: Sequence[TimedPacket | Event]) -> None:
    reading = iter(stream)
    assert [window.index for window in read_windows(reading, [highlight(7.3, 12.5)])] == [0]
    left = next(one for one in reading if isinstance(one, TimedPacket))
    assert left.time == pytest.approx(12.5 + INTERLEAVING + PAUSE, abs=0.2)


def test_a_highlight_beyond_the_end_has_a_window_with_what_came_last(stream: Sequence[TimedPacket | Event]) -> None:
    inside, beyond = read_windows(stream, [highlight(60.0, 69.0), highlight(90.0, 99.0)])
    assert (inside.index, beyond.index) == (0, 1)
    assert held(beyond)[0].keyframe and held(beyond)[0].time == pytest.approx(68.0, abs=0.05)


def test_packets_that_are_too_many_are_not_held(
    stream: Sequence[TimedPacket | Event], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(clip_windows, "MOST_BYTES", 20_000)
    long, short = sorted(read_windows(stream, [highlight(2.0, 50.0), highlight(55.0, 56.0)]), key=lambda one: one.index)
    assert long.packets is None and long.points.keyframes, "but where to cut is known"
    assert short.packets is None or sum(one.packet.size for one in short.packets) <= 20_000
