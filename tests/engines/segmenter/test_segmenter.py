"""Segments hold what was on air in them: frames bear their number, every second of sound its pitch."""

import threading
from collections.abc import Iterator, Sequence
from contextlib import suppress
from itertools import pairwise
from pathlib import Path

import av
import numpy as np
import pytest
from support.media import FPS, make, media_tags, number_in, retimed, second_heard, write_flv

from kuaihl.engines.ingest.opening import open_source
from kuaihl.engines.ingest.packets import TimedPacket, packets
from kuaihl.engines.segmenter.keyframes import KeyframeSelector
from kuaihl.engines.segmenter.segmenter import segments
from kuaihl.engines.types import SAMPLE_RATE, Comment, Event, Frame, Segment
from kuaihl.models.errors import SourceError


def cut(path: Path, seconds: float = 6.0, **options: object) -> list[Segment]:
    with open_source(str(path)) as source:
        return list(segments(packets(source), segment_seconds=seconds, **options))  # type: ignore[arg-type]


def assert_truthful(found: Sequence[Segment], late: float = 0.03) -> None:
    """Every frame shows the time that it claims, every second of sound is where it belongs."""
    for segment in found:
        for frame in segment.frames:
            assert number_in(frame) == pytest.approx(frame.time * FPS, abs=late * FPS + 0.1)
        for second in range(int(segment.start), int(segment.end - 0.5)):
            assert second_heard(segment, second + 0.5 + late) == second % 60


def test_a_segment_has_three_keyframes_and_all_of_its_sound(made: Path) -> None:
    found = cut(make(made / "plain.flv", seconds=20.0))
    assert [(one.index, one.start) for one in found] == [(0, 0), (1, 6), (2, 12), (3, 18)]
    assert [one.audio.size for one in found[:3]] == [6 * SAMPLE_RATE] * 3
    assert found[0].audio.dtype == np.float32
    assert_truthful(found)
    for one in found[:3]:  # a keyframe every 2 s, instants at 1, 3 and 5 s
        assert [frame.time - one.start for frame in one.frames] == pytest.approx([0, 2, 4], abs=0.03)
        assert [time - one.start for time in one.keyframe_times] == pytest.approx([0, 2, 4], abs=0.03)
        assert one.events == () and not one.gap and one.wall_time > 1e9
    assert [event.kind for event in found[-1].events] == ["eof"]


@pytest.mark.parametrize(
    ("gop", "seconds"),
    [(50, 6.0), (50, 1.5), (1000, 6.0), (5, 10.0)],  # in 1.5 s some keyframes serve twice; of many some are not held
)
def test_a_decoder_that_rests_between_segments_sees_the_same(made: Path, gop: int, seconds: float) -> None:
    path = make(made / f"rests_{gop}.flv", seconds=20.0, gop=gop)
    kept, rested = ([one for found in cut(path, seconds, rests=each) for one in found.frames] for each in (False, True))
    assert [frame.time for frame in rested] == [frame.time for frame in kept]
    assert all(np.array_equal(one.image, other.image) for one, other in zip(kept, rested, strict=True))


@pytest.mark.parametrize("suffix", ["ts", "flv"])
@pytest.mark.parametrize("seconds", [2.0, 6.0, 30.0])
def test_pictures_that_are_refreshed_column_by_column_are_whole(made: Path, suffix: str, seconds: float) -> None:
    path = made / f"refresh.{suffix}"
    found = cut(path if path.exists() else make(path, seconds=40.0, refresh=True, bframes=0), seconds)
    assert [event.kind for one in found for event in one.events] == ["eof"]
    assert_truthful(found)
    for one in found:
        step = (one.end - one.start) / 3
        instants = [one.start + (index + 0.5) * step for index in range(3)]
        assert [frame.time for frame in one.frames] == pytest.approx(instants, abs=2.1), "within one refresh"


def test_thirty_seconds_take_the_keyframes_before_5_15_and_25(made: Path) -> None:
    found = cut(make(made / "thirty.mp4", seconds=62.0, gop=40, bframes=2), seconds=30.0)
    assert [frame.time for frame in found[0].frames] == pytest.approx([4, 12, 24])
    assert [frame.time for frame in found[1].frames] == pytest.approx([32, 44, 52])
    assert found[1].audio.size == 30 * SAMPLE_RATE
    assert_truthful(found)


@pytest.mark.parametrize("bframes", [0, 2])
def test_where_no_keyframe_is_near_the_frame_at_the_instant_is_decoded(made: Path, bframes: int) -> None:
    found = cut(make(made / f"one_keyframe_{bframes}.mp4", seconds=20.0, gop=1000, bframes=bframes))
    assert [frame.time for one in found[:3] for frame in one.frames] == pytest.approx([0, 3, 5, 7, 9, 11, 13, 15, 17])
    assert_truthful(found)


def test_a_keyframe_half_an_interval_old_is_near_enough_and_an_older_one_is_not(made: Path) -> None:
    near = cut(make(made / "near.mp4", seconds=7.0, gop=30))[0]
    assert [frame.time for frame in near.frames] == pytest.approx([0, 3, 3 + 2]), "3 s to 5 s is more than 1 s"
    every_frame = cut(make(made / "intra.mp4", seconds=7.0, gop=1))[0]
    assert [frame.time for frame in every_frame.frames] == pytest.approx([1, 3, 5])
    assert_truthful([near, every_frame])


def test_of_a_stream_of_keyframes_only_some_are_noted(made: Path) -> None:
    for one in cut(make(made / "intra.mp4", seconds=13.0, gop=1))[:2]:
        noted = [time - one.start for time in one.keyframe_times]
        assert noted == pytest.approx([0.4 * index for index in range(15)], abs=0.01)


def test_sound_of_any_rate_and_layout_comes_out_mono_at_16_khz_without_clipping(made: Path) -> None:
    for name, options in (
        ("a.mkv", {"rate": 44_100, "layout": "stereo", "audio": "aac"}),
        ("b.webm", {"rate": 48_000, "layout": "stereo", "audio": "libopus", "video": "libvpx"}),
        ("c.flv", {"rate": 22_050, "layout": "mono", "audio": "libmp3lame"}),
        ("d.mkv", {"rate": 8_000, "layout": "mono", "audio": "pcm_s16le"}),
    ):
        found = cut(make(made / name, seconds=8.0, **options))
        assert found[0].audio.size == 6 * SAMPLE_RATE
        assert 0.25 < np.abs(found[0].audio).max() < 0.6
        assert_truthful(found, late=0.08)


def test_without_video_there_are_no_frames(made: Path) -> None:
    found = cut(make(made / "sound.flv", seconds=8.0, video=None))
    assert [one.frames for one in found] == [(), ()]
    assert [second_heard(found[0], second + 0.55) for second in range(6)] == [0, 1, 2, 3, 4, 5]


def test_without_audio_the_sound_is_empty(made: Path) -> None:
    found = cut(make(made / "silent.flv", seconds=8.0, audio=None))
    assert [one.audio.size for one in found] == [0, 0]
    assert [number_in(frame) for frame in found[0].frames] == [0, 20, 40]


def test_a_rest_shorter_than_a_second_is_left_out_with_its_events_kept(made: Path) -> None:
    found = cut(make(made / "rest.mp4", seconds=12.5))
    assert [(one.start, one.end) for one in found] == [(0, 6), (6, 12)]
    assert [event.kind for event in found[-1].events] == ["eof"]


def test_a_stream_shorter_than_a_second_is_one_short_segment(made: Path) -> None:
    (only,) = cut(make(made / "short.mp4", seconds=0.5))
    assert only.end == pytest.approx(0.5, abs=0.05)
    assert len(only.frames) == 3 and only.audio.size == round(only.end * SAMPLE_RATE)


def test_segments_come_while_the_stream_still_runs(made: Path) -> None:
    read: list[float] = []

    def watched(stream: Iterator[TimedPacket | Event]) -> Iterator[TimedPacket | Event]:
        for item in stream:
            if isinstance(item, TimedPacket):
                read.append(item.time)
            yield item

    with open_source(str(make(made / "running.flv", seconds=30.0))) as source:
        for segment in segments(watched(packets(source)), segment_seconds=6.0):
            if segment.index < 4:
                assert read[-1] < segment.end + 8.0, "a segment waits for no more than the next one's end"


def test_comments_are_asked_for_once_a_segment_in_order(made: Path) -> None:
    class Feed:
        def __init__(self) -> None:
            self.asked: list[tuple[float, float]] = []
            self.has_chat = True

        def take(self, start: float, end: float) -> tuple[Comment, ...]:
            self.asked.append((start, end))
            self.has_chat = start != 6
            return (Comment(start, "hi"),)

        def take_events(self, now: float) -> list[Event]:
            return [Event("comments", now, "gone")] if now == 6 else []

    feed = Feed()
    found = cut(make(made / "chat.mp4", seconds=14.0), comments=feed)
    assert feed.asked == [(one.start, one.end) for one in found]
    assert [one.comments[0].time for one in found] == [0, 6, 12]
    assert [one.has_chat for one in found] == [True, False, True]
    assert [[event.kind for event in one.events if event.kind != "eof"] for one in found] == [[], ["comments"], []]


def test_large_frames_are_scaled_down_in_proportion(made: Path) -> None:
    wide = cut(make(made / "wide.mp4", seconds=2.0, size=(960, 540)))[0].frames[0]
    tall = cut(make(made / "tall.mp4", seconds=2.0, size=(540, 960)))[0].frames[0]
    small = cut(make(made / "small.mp4", seconds=2.0))[0].frames[0]
    assert [one.image.shape for one in (wide, tall, small)] == [(288, 512, 3), (512, 288, 3), (96, 192, 3)]
    assert [number_in(one) for one in (wide, tall)] == [0, 0]


def test_a_gap_is_silent_flagged_and_shows_the_last_picture(made: Path) -> None:
    ten = media_tags(make(made / "ten.flv", seconds=10.0))
    found = cut(write_flv(made / "with_gap.flv", [*ten, *retimed(ten, lambda ms: ms + 25_000)]))
    assert [one.gap for one in found] == [False, True, True, True, True, False]
    (gap,) = found[1].events
    assert gap.kind == "gap" and gap.until == pytest.approx(25.0, abs=0.2)
    inside = found[2]
    assert inside.audio.size == 6 * SAMPLE_RATE and not inside.audio.any()
    assert {number_in(frame) for frame in inside.frames} == {99}
    assert second_heard(found[4], 25.5) == 0


def test_memory_holds_a_few_packets_however_long_the_stream(made: Path) -> None:
    with open_source(str(make(made / "held.mp4", seconds=60.0, gop=20))) as source:
        stills = KeyframeSelector(10.0)
        most = 0
        for item in packets(source):
            if isinstance(item, TimedPacket) and item.kind == "video":
                stills.push(item)
                stills.forget(item.time - 30.0)
                most = max(most, sum(1 + len(gop.followers) for gop in stills.gops))
    assert most < 40, "the keyframes of a segment, and the packets of the Gop that is being read"


def test_a_slow_stream_holds_only_the_keyframes_that_an_instant_needs_or_nothing_near_replaces(made: Path) -> None:
    with open_source(str(make(made / "sparing.mp4", seconds=60.0, gop=5))) as source:
        sparing = KeyframeSelector(10.0, sparing=True)
        most = 0
        for item in packets(source):
            if isinstance(item, TimedPacket) and item.kind == "video":
                sparing.push(item)
                sparing.forget(item.time - 30.0)
                most = max(most, len(sparing.gops))
    times = [gop.key.time for gop in sparing.gops]
    assert most <= 15, "of 60 in a segment"
    assert max(later - time for time, later in pairwise(times)) < 5.0
    for instant in (35.0, 45.0, 55.0):
        assert any(0.0 <= instant - time <= 0.5 for time in times)


def test_a_keyframe_at_the_time_of_an_instant_is_held_if_its_stamp_is_rounded_up(made: Path) -> None:
    with open_source(str(make(made / "rounded.flv", seconds=30.0, gop=10))) as source:
        pictures = [item for item in packets(source) if isinstance(item, TimedPacket) and item.kind == "video"]
    sparing = KeyframeSelector(10.0, sparing=True)
    for picture in pictures:
        sparing.push(picture._replace(time=round(picture.time) + 0.001 if picture.keyframe else picture.time))
    for instant in (5.0, 15.0, 25.0):
        wanted = sparing.request(instant, 5.0)
        assert wanted.gop is not None and wanted.gop.key.time == pytest.approx(instant + 0.001)


def test_an_endless_gop_is_decoded_as_it_comes_rather_than_held(made: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("keyframes", "segmenter"):
        monkeypatch.setattr(f"kuaihl.engines.segmenter.{module}.MAX_HELD_BYTES", 4_000)
    found = cut(make(made / "endless.mp4", seconds=40.0, gop=5000), seconds=30.0)
    assert [frame.time for frame in found[0].frames] == pytest.approx([5, 15, 25], abs=5.01)
    assert_truthful(found)


class Finder:
    """Random access that fails from some instant on."""

    def __init__(self, until: float) -> None:
        self.until = until

    def frames_at(self, instants: Sequence[float]) -> list[Frame]:
        if instants[0] > self.until:
            raise SourceError("stream.mp4: decord gave up")
        return [Frame(instant, np.full((2, 2, 3), 7, np.uint8)) for instant in instants]


def test_exact_frames_take_the_place_of_keyframes_until_they_fail(made: Path) -> None:
    found = cut(make(made / "exact.mp4", seconds=20.0), exact=Finder(until=7.5))
    assert [frame.time for frame in found[0].frames] == [1, 3, 5]
    assert [frame.time for frame in found[1].frames] == pytest.approx([7, 8, 10])
    assert [event.kind for event in found[1].events] == ["corrupt"]
    assert "decord gave up" in found[1].events[0].detail
    assert_truthful(found[2:])


def test_nothing_is_left_running_when_the_segments_are_not_read_to_their_end(made: Path) -> None:
    before = threading.active_count()
    with open_source(str(make(made / "left.mp4", seconds=20.0))) as source:
        stream = segments(packets(source), segment_seconds=6.0)
        next(stream)
        stream.close()  # type: ignore[attr-defined]
    assert threading.active_count() == before


@pytest.mark.parametrize(
    ("name", "seconds", "frames", "sound"),
    [
        ("animation_5s.mp4", 5.3, True, True),
        ("avatar.flv", 11.4, True, True),
        ("bbb.flv", 10.1, True, True),
        ("jfk_11s.flac", 11.0, False, True),
        ("nasa_13s_two_streams.mp4", 13.0, True, True),
        ("pancake_10s.mkv", 10.4, True, True),
        ("segmenter_test.flv", 19.0, True, True),
        ("talk_35s.mp4", 35.1, True, True),
        ("talk_42s.mp4", 42.4, True, True),
        ("talk_96s.webm", 95.6, True, True),
        ("odd/corrupted.mp4", 5.0, True, False),
        ("odd/duplicate-audio-dts.ts", 2.0, True, True),
        ("odd/failing_audio.mp4", 11.2, True, True),
        ("odd/missing-dts.ts", 2.0, True, False),
        ("odd/portrait.ts", 1.0, True, False),
        ("odd/singleframe.ts", 0.03, True, False),
        ("odd/unordered.mov", 0.125, True, False),
    ],
)
def test_real_files_end_in_whole_segments(
    shared_media: Path, name: str, seconds: float, frames: bool, sound: bool
) -> None:
    found = cut(shared_media / name, seconds=30.0)
    assert len(found) == int(seconds // 30) + 1
    assert found[-1].end == pytest.approx(seconds, abs=0.15)
    for number, one in enumerate(found):
        assert one.index == number and one.start == 30.0 * number
        assert len(one.frames) == (3 if frames else 0)
        assert one.audio.size == (round((one.end - one.start) * SAMPLE_RATE) if sound else 0)
        assert not sound or np.abs(one.audio).max() > 0.02
    faults = ["corrupt"] if "corrupted" in name else []
    assert [event.kind for one in found for event in one.events] == [*faults, "eof"]
    assert_as_decoded(shared_media / name, [frame for one in found for frame in one.frames])


def assert_as_decoded(path: Path, frames: list[Frame]) -> None:
    """The frames are those that decoding all of the file shows at their times."""
    wanted = {round(frame.time, 2): frame.image for frame in frames}
    for time, decoded in decoded_frames(path) if wanted else ():
        image = wanted.pop(round(time, 2), None)
        if image is not None:
            height, width, _ = image.shape
            same = decoded.to_ndarray(format="rgb24", width=width, height=height, interpolation="BILINEAR")
            assert np.abs(same.astype(int) - image).mean() < 2
    assert not wanted


def decoded_frames(path: Path) -> Iterator[tuple[float, av.VideoFrame]]:
    with av.open(str(path)) as container:
        origin = (container.start_time or 0) / av.time_base
        for packet in container.demux(container.streams.best("video")):
            with suppress(av.InvalidDataError):
                for frame in packet.decode():
                    if frame.time is not None:
                        yield frame.time - origin, frame
