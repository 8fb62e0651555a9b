"""The one clock of a source: what becomes of time stamps that jump, restart, repeat or are not there."""

import threading
from itertools import pairwise
from math import isnan
from pathlib import Path

import pytest
from support.media import Tag, make, media_tags, retimed, write_flv

from kuaihl.engines.ingest.clock import MAX_GAP, Clock, Track
from kuaihl.engines.ingest.opening import open_source
from kuaihl.engines.ingest.packets import TimedPacket, packets
from kuaihl.engines.types import Event
from kuaihl.models.errors import SourceError

KINDS = ("video", "audio")


def read(path: Path, **options: float) -> tuple[list[TimedPacket], list[Event]]:
    with open_source(str(path)) as source:
        items = list(packets(source, **options))
    assert isinstance(items[-1], Event) and items[-1].kind == "eof"
    return [one for one in items if isinstance(one, TimedPacket)], [one for one in items if isinstance(one, Event)]


def kinds(events: list[Event]) -> list[str]:
    return [event.kind for event in events]


def assert_monotonic(found: list[TimedPacket]) -> None:
    for kind in KINDS:
        times = [one.decode_time for one in found if one.kind == kind]
        assert times == sorted(times)


@pytest.fixture(scope="module")
def ten_seconds(made: Path) -> list[Tag]:
    return media_tags(make(made / "ten_seconds.flv", seconds=10.0))


def test_a_clean_stream_counts_from_0_to_its_length_without_events(made: Path) -> None:
    found, events = read(make(made / "clean.mp4", seconds=6.0, bframes=2))
    assert kinds(events) == ["eof"]
    assert min(one.time for one in found) == pytest.approx(0.0, abs=0.03)
    assert events[-1].time == pytest.approx(6.0, abs=0.05)
    assert_monotonic(found)
    assert [one.time for one in found if one.keyframe] == pytest.approx([0.0, 2.0, 4.0])


def test_a_stream_that_began_long_ago_begins_at_0(made: Path) -> None:
    found, events = read(make(made / "long_ago.ts", seconds=4.0, start=5000.0))
    assert found[0].time == pytest.approx(0.0, abs=0.1)
    assert found[0].media_time == pytest.approx(5000.0, abs=0.1)
    assert kinds(events) == ["eof"]


def test_the_clock_may_go_on_from_another_stream(ten_seconds: list[Tag], made: Path) -> None:
    found, events = read(write_flv(made / "second.flv", ten_seconds), start=100.0)
    assert found[0].time == pytest.approx(100.0, abs=0.05)
    assert events[-1].time == pytest.approx(110.0, abs=0.05)


def test_a_restart_at_0_is_re_based_to_one_frame_after_the_last(ten_seconds: list[Tag], made: Path) -> None:
    found, events = read(write_flv(made / "restart.flv", [*ten_seconds, *ten_seconds]))
    assert kinds(events) == ["rebase", "eof"]
    assert events[0].time == pytest.approx(10.0, abs=0.1)
    assert events[-1].time == pytest.approx(20.0, abs=0.2)
    assert_monotonic(found)
    steps = [after.time - before.time for before, after in pairwise(found)]
    assert max(steps) < 0.2
    again = [one for one in found if one.keyframe and one.time > 9.9]
    assert again[0].media_time == pytest.approx(0.0, abs=0.05), "no packet of the new start is lost"
    assert again[0].time == pytest.approx(10.0, abs=0.1)


def test_sound_and_picture_stay_in_step_across_a_restart(ten_seconds: list[Tag], made: Path) -> None:
    found, _ = read(write_flv(made / "in_step.flv", [*ten_seconds, *ten_seconds]))
    shifts = {
        kind: {round(one.time - one.media_time, 3) for one in found if one.kind == kind} for kind in ("video", "audio")
    }
    assert shifts["video"] == shifts["audio"]


def test_a_jump_of_seconds_is_a_gap_that_keeps_its_time(ten_seconds: list[Tag], made: Path) -> None:
    found, events = read(write_flv(made / "gap.flv", [*ten_seconds, *retimed(ten_seconds, lambda ms: ms + 18_000)]))
    assert kinds(events) == ["gap", "eof"]
    assert events[0].time == pytest.approx(10.0, abs=0.1)
    assert "8.0 s" in events[0].detail
    assert events[-1].time == pytest.approx(28.0, abs=0.1)
    assert_monotonic(found)


def test_a_jump_of_hours_is_a_new_clock_and_no_gap(ten_seconds: list[Tag], made: Path) -> None:
    far = retimed(ten_seconds, lambda ms: ms + 7_200_000)
    found, events = read(write_flv(made / "far.flv", [*ten_seconds, *far]))
    assert kinds(events) == ["rebase", "eof"]
    assert events[-1].time == pytest.approx(20.0, abs=0.2)
    assert_monotonic(found)


def test_one_packet_with_a_mad_time_is_dropped_and_moves_nothing(ten_seconds: list[Tag], made: Path) -> None:
    for index in (200, 201, 202):
        mad = [
            *ten_seconds[:index],
            Tag(ten_seconds[index].kind, 60_000, ten_seconds[index].data),
            *ten_seconds[index + 1 :],
        ]
        found, events = read(write_flv(made / "mad.flv", mad))
        assert kinds(events) == ["corrupt", "eof"]
        assert "out of all order" in events[0].detail
        assert events[-1].time == pytest.approx(10.0, abs=0.1)
        assert_monotonic(found)


def test_a_pause_of_one_stream_alone_is_no_gap(ten_seconds: list[Tag], made: Path) -> None:
    muted = [tag for tag in ten_seconds if not (tag.kind == 8 and tag.is_media and 3000 < tag.ms < 8000)]
    _, events = read(write_flv(made / "muted.flv", muted))
    assert kinds(events) == ["eof"]


def test_repeated_packets_move_nothing(ten_seconds: list[Tag], made: Path) -> None:
    twice = [*ten_seconds[:200], *ten_seconds[180:200], *ten_seconds[200:]]
    found, events = read(write_flv(made / "twice.flv", twice))
    assert events[-1].time == pytest.approx(10.0, abs=0.1)
    assert "rebase" not in kinds(events)
    assert len(found) > 0


def test_another_header_is_an_event_and_the_same_one_again_is_none(ten_seconds: list[Tag], made: Path) -> None:
    same = [*ten_seconds, *retimed(ten_seconds, lambda ms: ms + 10_000)]
    assert kinds(read(write_flv(made / "same.flv", same))[1]) == ["eof"]
    larger = media_tags(make(made / "larger.flv", seconds=10.0, size=(384, 192)))
    _, events = read(write_flv(made / "changed.flv", [*ten_seconds, *retimed(larger, lambda ms: ms + 10_000)]))
    assert kinds(events) == ["header_change", "eof"]
    assert events[0].time == pytest.approx(10.0, abs=0.1)


def test_a_file_that_ends_before_its_header_says_is_told(made: Path) -> None:
    whole = make(made / "whole.flv", seconds=10.0)
    cut = made / "cut.flv"
    cut.write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])
    found, events = read(cut)
    assert len(found) > 100
    assert events[-1].time < 8
    assert kinds(events)[-1] == "eof"


def test_the_stream_ends_at_the_next_packet_once_it_is_told_to(made: Path) -> None:
    stop = threading.Event()
    with open_source(str(make(made / "stopped.flv", seconds=6.0))) as source:
        stream = packets(source, stop=stop)
        for _ in range(10):
            next(stream)
        stop.set()
        rest = list(stream)
    assert len(rest) == 1 and isinstance(rest[0], Event)
    assert rest[0].detail == "stopped"


def test_packets_without_time_stamps_follow_one_another(shared_media: Path) -> None:
    for name in ("missing-dts.ts", "duplicate-audio-dts.ts"):
        found, events = read(shared_media / "odd" / name)
        assert events[-1].time == pytest.approx(2.0, abs=0.1)
        assert not any(isnan(one.time) for one in found)
        assert "rebase" not in kinds(events)


def test_a_container_without_a_single_packet_is_one_clear_line(made: Path) -> None:
    empty = write_flv(
        made / "no_packets.flv", [tag for tag in media_tags(make(made / "some.flv", seconds=2.0)) if tag.is_header]
    )
    with pytest.raises(SourceError) as caught, open_source(str(empty)) as source:
        list(packets(source))
    assert "no_packets.flv" in str(caught.value) and "\n" not in str(caught.value)


# The clock by itself


def two_tracks() -> tuple[Clock, Track, Track]:
    video, audio = Track("video"), Track("audio")
    clock = Clock([video, audio], origin=0.0)
    for time in (0.0, 0.5):
        for track in (video, audio):
            assert clock.fits(track, time)
            track.advance(time, 0.5)
    return clock, video, audio


def test_a_gap_of_the_longest_kind_is_kept_and_a_longer_one_re_based() -> None:
    clock, video, _ = two_tracks()
    assert clock.jump(video, 1.0 + MAX_GAP).kind == "gap"
    assert video.shift == 0.0
    clock, video, _ = two_tracks()
    assert clock.jump(video, 1.1 + MAX_GAP).kind == "rebase"
    assert video.shift == pytest.approx(-0.1 - MAX_GAP)


def test_after_a_rebase_the_other_stream_follows_in_silence() -> None:
    clock, video, audio = two_tracks()
    clock.jump(video, 7200.0)
    video.advance(7200.0 + video.shift, 0.5)
    assert clock.fits(audio, 7200.02)
    assert audio.shift == video.shift


@pytest.mark.parametrize("jumps", ["video", "audio"])
def test_streams_stay_together_if_only_one_of_them_steps_back_far_enough_to_jump(jumps: str) -> None:
    clock, video, audio = two_tracks()
    first, second = (video, audio) if jumps == "video" else (audio, video)
    for track, last in ((first, 1.06), (second, 0.98)):  # both begin again at 0
        track.advance(last, 0.02)
    clock.jump(first, 0.0)
    assert clock.fits(second, 0.0)
    assert second.shift == first.shift == pytest.approx(1.08)


def test_video_alone_may_pause_for_seconds_without_a_gap() -> None:
    video = Track("video")
    clock = Clock([video], origin=0.0)
    assert clock.fits(video, 0.0)
    video.advance_unmeasured(0.0, stamped=True)
    assert clock.fits(video, 9.0)
    assert not clock.fits(video, 30.0)


def test_packets_that_share_a_time_stamp_share_the_time_to_the_next_one() -> None:
    audio = Track("audio")
    clock = Clock([audio], origin=0.0)
    for stamp in (0.0, 0.4, 0.8):
        assert clock.fits(audio, stamp)
        audio.advance_unmeasured(stamp, stamped=True)
        for _ in range(3):
            audio.advance_unmeasured(clock.expected(audio), stamped=False)
    assert clock.front() == pytest.approx(1.2)


def test_an_origin_out_of_reach_gives_way_to_the_first_packet() -> None:
    video = Track("video")
    clock = Clock([video], origin=0.0)
    assert clock.fits(video, 90_000.0)
    assert video.shift == -90_000.0
