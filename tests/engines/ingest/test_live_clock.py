"""The clock of a live stream goes on in another process: by the source's own clock, otherwise by the wall clock."""

import time
from dataclasses import replace

import pytest
from support.rtmp_server import make_broadcast

from kuaihl.engines.ingest.held import Arrived, Held, Holding
from kuaihl.engines.ingest.live_clock import ClockMark, LiveClock
from kuaihl.engines.ingest.opening import open_source
from kuaihl.engines.ingest.packets import TimedPacket, packets
from kuaihl.engines.types import Event

AWAY = 7.0  # seconds that nobody read the stream


@pytest.fixture(scope="module")
def stream(tmp_path_factory: pytest.TempPathFactory) -> list[TimedPacket]:
    """The packets of 20 s."""
    media = make_broadcast(tmp_path_factory.mktemp("media") / "room.flv", seconds=20.0)
    with open_source(str(media)) as source:
        return [item for item in packets(source) if isinstance(item, TimedPacket)]


def arrived(packet: TimedPacket, on_air: float, *, stamps: float = 0.0, begins: float = 0.0) -> Arrived:
    """A packet that arrives as it is on air, on a connection whose clock `begins` there, with `stamps` added."""
    own = packet._replace(
        time=packet.time - begins, decode_time=packet.decode_time - begins, media_time=packet.media_time + stamps
    )
    return Arrived(own, on_air + packet.decode_time)


def hold(items: list[Arrived]) -> Held:
    """The first items, as once their burst is over."""
    lag = min(at - item.decode_time for item, at, _ in items if isinstance(item, TimedPacket))
    return Held(items, lag, is_settled=True)


def read_until(stream: list[TimedPacket], seconds: float, on_air: float) -> ClockMark:
    clock = LiveClock(in_pieces=False)
    assert clock.mark() is None
    for packet in stream:
        if packet.decode_time < seconds:
            clock.packet(packet, arrived(packet, on_air).at)
    mark = clock.mark()
    assert mark is not None
    return mark


@pytest.mark.parametrize("stamps", [0.0, 100_000.0, -300.0])  # they went on, or the publisher began anew
def test_media_after_an_absence_has_the_time_at_which_it_was_on_air(stream: list[TimedPacket], stamps: float) -> None:
    on_air = time.monotonic() - 20.0
    mark = read_until(stream, 5.0, on_air)
    later = [packet for packet in stream if packet.decode_time >= 4.0 + AWAY]
    held = [arrived(packet, on_air, stamps=stamps, begins=later[0].decode_time) for packet in later]
    clock = LiveClock(in_pieces=False)
    (gap,) = clock.go_on(mark, 4.0, hold(held[:40]))
    assert gap.kind == "gap" and gap.time == 4.0 and "nobody was scoring it" in gap.detail
    first = clock.packet(later[0]._replace(time=0.0, decode_time=0.0), held[0].at)
    assert first is not None
    assert first.decode_time == pytest.approx(later[0].decode_time, abs=0.1)


def test_media_that_follows_at_once_leaves_no_gap(stream: list[TimedPacket]) -> None:
    on_air = time.monotonic() - 20.0
    later = [packet for packet in stream if packet.decode_time >= 4.0]
    clock = LiveClock(in_pieces=False)
    mark = read_until(stream, 4.0, on_air)
    assert clock.go_on(mark, 4.0, hold([arrived(packet, on_air, begins=4.0) for packet in later[:40]])) == []


@pytest.mark.parametrize(
    ("again", "back_at", "pace", "is_settled", "kind"),
    [
        (2.0, 16.0, 1.0, True, "gap"),  # the publisher plays its file again, from there
        (2.0, 16.0, 1.0, False, "gap"),  # so it does, over a link whose lag is not known yet
        (2.0, 16.0, 4.0, False, "replay_dropped"),  # the server sends 13 s again, and is not done yet
        (14.0, 14.0, 1.0, True, "replay_dropped"),  # the server sends the last second again
    ],
)
def test_media_that_comes_again_is_a_repeat_if_it_can_be_the_latest(
    stream: list[TimedPacket], again: float, back_at: float, pace: float, is_settled: bool, kind: str
) -> None:
    on_air, clock = time.monotonic() - 40.0, LiveClock(in_pieces=False)
    for packet in stream:
        if packet.decode_time < 15.0:
            clock.packet(packet, arrived(packet, on_air).at)
    repeated = [arrived(packet, 0.0, begins=again) for packet in stream if packet.decode_time >= again]
    held = [Arrived(item, on_air + back_at + (at - again) / pace) for item, at, _ in repeated]
    (event,) = clock.resume(replace(hold(held[:100]), is_settled=is_settled))
    assert event.kind == kind
    came = [moved for item, at, _ in held if isinstance(item, TimedPacket) and (moved := clock.packet(item, at))]
    assert came[0].decode_time == pytest.approx(back_at if kind == "gap" else 15.0, abs=0.2)


def test_a_playlist_that_was_left_behind_brings_no_news_however_late(stream: list[TimedPacket]) -> None:
    on_air, clock = time.monotonic() - 60.0, LiveClock(in_pieces=True)
    for packet in stream:
        if packet.decode_time < 15.0:
            clock.packet(packet, arrived(packet, on_air).at)
    left = [arrived(one, 0.0, begins=9.0).item for one in stream if 9.0 <= one.decode_time < 15.0]
    held = [Arrived(item, on_air + 45.0) for item in left]
    (event,) = clock.resume(hold(held))
    assert (event.kind, clock.end) == ("replay_dropped", pytest.approx(15.0, abs=0.1))
    assert not any(clock.packet(item, at) for item, at, _ in held if isinstance(item, TimedPacket))


@pytest.mark.parametrize(
    ("seen", "back_at", "pace", "is_file"),
    [
        (15.0, 15.3, 1.0, True),  # as fast as it is shown, and 15 s late
        (5.0, 5.3, 1e6, False),  # what the server holds, and it goes on
        (5.0, 15.0, 1e6, False),
        (70.0, 70.3, 1e6, True),  # more than a server holds
    ],
)
def test_a_stream_that_begins_again_is_a_file_if_no_server_would_send_it(
    stream: list[TimedPacket], seen: float, back_at: float, pace: float, is_file: bool
) -> None:
    on_air, clock = time.monotonic() - 100.0, LiveClock(in_pieces=False)
    for packet in stream:
        if packet.decode_time < seen:
            clock.packet(packet, arrived(packet, on_air).at)
    clock.end = seen
    came = [Arrived(one, on_air + back_at + one.decode_time / pace) for one in stream if one.decode_time < back_at]
    assert clock.begins_again(hold(came)) is is_file
    assert not clock.begins_again(hold(came[40:]))


def test_a_machine_whose_clock_was_set_back_goes_on_where_it_was(stream: list[TimedPacket]) -> None:
    on_air = time.monotonic() - 20.0
    mark = read_until(stream, 5.0, on_air)
    held = [arrived(packet, on_air, stamps=100_000.0) for packet in stream[:40]]
    clock = LiveClock(in_pieces=False)
    clock.go_on(mark._replace(lag=mark.lag + 3600.0), 5.0, hold(held))
    assert clock.end == 5.0


def test_pieces_that_were_scored_and_come_again_keep_their_time(stream: list[TimedPacket]) -> None:
    slow = [
        one._replace(time=5 * one.time, decode_time=5 * one.decode_time, media_time=5 * one.media_time)
        for one in stream  # of 100 s, for three pieces of 15 s are long
    ]
    on_air = time.monotonic() - 100.0
    mark = read_until(slow, 100.0, on_air)
    pieces = [arrived(one, on_air, begins=55.0)._replace(at=on_air + 100.0) for one in slow if one.time >= 55.0]
    clock = LiveClock(in_pieces=True)
    assert clock.go_on(mark, 98.0, hold(pieces)) == []
    assert clock.end == pytest.approx(55.0, abs=0.5)


def watch_until(stream: list[TimedPacket], seconds: float) -> LiveClock:
    clock = LiveClock(in_pieces=False)
    for packet in stream:
        if packet.decode_time < seconds:
            clock.packet(packet, packet.decode_time)
    return clock


def hold_until(items: list[Arrived], now: float) -> Held:
    return Holding([one for one in items if one.at <= now], in_pieces=False).held(now)


def test_a_publisher_who_comes_goes_and_comes_again_within_a_burst_keeps_the_time_of_what_comes_last(
    stream: list[TimedPacket],
) -> None:
    clock = watch_until(stream, 5.0)
    before = [packet for packet in stream if 8.0 <= packet.decode_time < 9.5]
    after = [packet for packet in stream if packet.decode_time >= 10.0]
    burst = [arrived(packet, 0.0, stamps=-8.0, begins=8.0)._replace(at=10.9) for packet in before]
    jump = Arrived(Event("rebase", 1.5, "the time stamps jumped back by 1.5 s"), 10.9)
    live = [arrived(packet, 0.0, stamps=-10.0, begins=8.5) for packet in after]  # the half second does not show
    held = hold_until([*burst, jump, *(one._replace(at=max(one.at, 10.9)) for one in live)], now=13.0)
    clock.resume(held)
    clock.packet(before[0]._replace(time=0.0, decode_time=0.0), 10.9)
    assert 8.0 <= clock.decoded[before[0].kind] <= 8.5 + 0.1
    clock.judge(hold_until(live, now=13.0), Event("rebase", 1.5, ""))
    first = clock.packet(live[0].item, live[0].at)  # type: ignore[arg-type]
    assert first is not None
    assert first.decode_time == pytest.approx(10.0, abs=0.1)


def test_time_stamps_that_begin_anew_after_less_than_a_second_are_seen_and_held_to_the_wall_clock(
    stream: list[TimedPacket],
) -> None:
    clock = watch_until(stream, 0.9)
    again = [arrived(packet, 0.0, begins=2.0) for packet in stream if packet.decode_time >= 2.0]
    first = again[0].item
    assert isinstance(first, TimedPacket)
    assert clock.steps_back(first) and not clock.steps_back(stream[-1])
    events = clock.judge(hold_until(again, now=4.5), steps_back=True)
    assert [event.kind for event in events] == ["rebase", "gap"]
    assert first.decode_time + clock.shift == pytest.approx(2.0, abs=0.1)


@pytest.mark.parametrize(("jump", "missing"), [(290.0, 0.0), (12.0, 0.0), (11.0, 11.0), (6.0, 6.0)])
def test_before_its_lag_is_known_a_stream_goes_on_unless_what_is_missing_was_made_meanwhile(
    stream: list[TimedPacket], jump: float, missing: float
) -> None:
    clock = watch_until(stream, 0.5)
    assert not clock.is_paced
    later = [arrived(packet, missing, begins=-jump) for packet in stream if packet.decode_time >= 0.5]
    events = clock.judge(hold_until(later, now=missing + 1.5), Event("gap", 0.5, f"{jump} s are missing"))
    moved = clock.packet(later[0].item, later[0].at)  # type: ignore[arg-type]
    assert moved is not None and moved.decode_time == pytest.approx(0.5 + missing, abs=0.1)
    assert [event.kind for event in events] == (["gap"] if missing else ["rebase"])


def test_what_is_missing_in_a_first_burst_stays_missing(stream: list[TimedPacket]) -> None:
    clock = LiveClock(in_pieces=False)
    for packet in stream:
        if packet.decode_time < 1.0:
            clock.packet(packet, 15.0)
    later = [packet for packet in stream if packet.decode_time >= 2.5]
    burst = [arrived(packet, 0.0)._replace(at=max(packet.decode_time, 15.0)) for packet in later]
    (gap,) = clock.judge(hold_until(burst, now=18.0), Event("gap", 1.0, "1.5 s are missing"))
    moved = clock.packet(later[0], burst[0].at)
    assert gap.kind == "gap" and moved is not None and moved.decode_time == pytest.approx(2.5, abs=0.1)


def test_a_link_that_is_too_slow_after_an_early_loss_does_not_raise_the_lag(stream: list[TimedPacket]) -> None:
    clock = watch_until(stream, 0.5)
    back = [arrived(packet, 0.0, begins=0.8) for packet in stream if 0.8 <= packet.decode_time < 2.5]
    clock.resume(hold_until(back, now=2.5))
    lag = clock.lag
    for packet in stream:
        if packet.decode_time >= 0.8:
            own = packet._replace(time=packet.time - 0.8, decode_time=packet.decode_time - 0.8)
            clock.packet(own, 2.5 + 1.2 * packet.decode_time)
    assert clock.lag == lag


def test_the_lag_of_a_stream_that_is_lost_at_once_is_measured_when_it_is_back(stream: list[TimedPacket]) -> None:
    clock = watch_until(stream, 0.5)
    back = [arrived(packet, 0.0, begins=0.8) for packet in stream if 0.8 <= packet.decode_time < 8.0]
    clock.resume(hold_until(back, now=2.5))
    assert not clock.is_paced
    for item, at, _ in back:
        clock.packet(item, at)  # type: ignore[arg-type]
    assert clock.is_paced
    again = [arrived(packet, 13.0, begins=1.0) for packet in stream if packet.decode_time >= 1.0]
    (event,) = clock.resume(hold_until(again, now=17.0))  # the publisher plays his file again
    assert event.kind == "gap"
    assert again[0].item.time + clock.shift == pytest.approx(14.0, abs=0.1)


def test_stray_packets_that_step_back_are_the_streams_own_manner(stream: list[TimedPacket]) -> None:
    pictures = [packet for packet in stream if packet.kind == "video"]
    items = [
        one._replace(item=packet._replace(decode_time=packet.decode_time - 0.3)) if packet in pictures[::2] else one
        for packet in stream
        for one in [arrived(packet, 0.0)]
    ]
    held = hold_until(items, now=3.0)
    assert held.is_settled and held.lag == pytest.approx(0.0)
