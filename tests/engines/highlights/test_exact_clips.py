"""Exact clips begin at the frame that is on screen at the start, with every frame after it, and sound in time."""

from pathlib import Path
from typing import Any

import av
import pytest
from support.clip_media import FPS, beep_onsets, frame_numbers, join_flv, make_recording

from kuaihl.engines.highlights.clip_style import ClipStyle
from kuaihl.engines.highlights.clips import Clip, cut_clips
from kuaihl.engines.types import Highlight

FRAME = 1 / FPS
EXACT = ClipStyle(clips=True, exact=True)

# What the recording is made of, how its clip is cut, and how long the clip's end may be after the highlight's.
RECORDINGS: dict[str, tuple[dict[str, Any], str, float]] = {
    "plain.flv": ({}, "smart", FRAME),
    "b_frames.mp4": ({"bframes": 2}, "smart", 4 * FRAME),
    "b_frames.flv": ({"bframes": 2}, "smart", 4 * FRAME),
    "broadcast.ts": ({"bframes": 2, "late": 3600.0}, "smart", 4 * FRAME),
    "h264_opus.mkv": ({"audio": "libopus"}, "smart", FRAME),
    "silent.mp4": ({"audio": None}, "smart", FRAME),
    "hevc_b_frames.mp4": ({"video": "libx265", "bframes": 3}, "encode", FRAME),
    "vp8_opus.webm": ({"video": "libvpx", "audio": "libopus"}, "encode", FRAME),
}


def cut_exactly(source: Path, start: float, end: float, into: Path) -> Clip:
    (clip,) = cut_clips(str(source), [Highlight(start, end, 0.5, (0,))], into, "room", style=EXACT)
    assert isinstance(clip, Clip), clip
    return clip


def frames_of(clip: Clip) -> list[tuple[float, int]]:
    """Time and number of every frame; a decoder that meets any fault raises."""
    with av.open(str(clip.path), options={"err_detect": "explode"}) as container:
        container.streams.video[0].codec_context.options = {"err_detect": "explode"}
        for _ in container.decode(video=0):
            pass
    return frame_numbers(clip.path)


@pytest.mark.parametrize("name", RECORDINGS)
def test_the_first_frame_is_the_one_on_screen_at_the_start_and_none_is_lost(tmp_path: Path, name: str) -> None:
    how, cut, late = RECORDINGS[name]
    clip = cut_exactly(make_recording(tmp_path / name, **how), 7.3, 12.5, tmp_path)
    assert (clip.cut, clip.start) == (cut, 7.3)
    frames = frames_of(clip)
    numbers = [number for _, number in frames]
    assert frames[0][0] == pytest.approx(0.0, abs=1e-3)
    assert abs(numbers[0] * FRAME - 7.3) <= FRAME + 0.022, "0.022 s: sound comes first in some containers"
    assert numbers == list(range(numbers[0], numbers[-1] + 1))
    for time, number in frames[1:]:
        assert clip.start + time == pytest.approx(number * FRAME, abs=0.025)
    assert 12.5 - 2 * FRAME <= (numbers[-1] + 1) * FRAME <= 12.5 + late
    if how.get("audio", True):
        assert [second for _, second in beep_onsets(clip.path)] == [8, 9, 10, 11, 12]
        for time, second in beep_onsets(clip.path):
            assert clip.start + time == pytest.approx(second, abs=0.03)


def test_only_what_lies_before_the_keyframe_is_encoded(tmp_path: Path) -> None:
    source = make_recording(tmp_path / "room.mp4", bframes=2, audio=None)
    clip = cut_exactly(source, 7.3, 15.0, tmp_path)
    with av.open(str(source)) as container:
        own = {bytes(packet) for packet in container.demux(video=0) if packet.size}
    with av.open(str(clip.path)) as container:
        copied = [bytes(packet) in own for packet in container.demux(video=0) if packet.size]
    before = copied.index(True)
    assert before == round((8.0 - 7.28) * FPS), "keyframes are two seconds apart"
    assert all(copied[before:]) and not any(copied[:before])


def test_a_clip_that_begins_at_a_keyframe_is_copied(tmp_path: Path) -> None:
    source = make_recording(tmp_path / "room.mp4", video="libx265", audio=None)
    clip = cut_exactly(source, 8.0, 12.0, tmp_path)
    assert (clip.cut, clip.start, frames_of(clip)[0][1]) == ("copy", 8.0, 200)


def test_without_another_keyframe_inside_all_of_it_is_encoded(tmp_path: Path) -> None:
    clip = cut_exactly(make_recording(tmp_path / "room.mp4", gop=500, bframes=2), 7.3, 12.5, tmp_path)
    numbers = [number for _, number in frames_of(clip)]
    assert clip.cut == "encode" and numbers == list(range(182, 313))


def test_interlaced_pictures_are_encoded_whole(tmp_path: Path) -> None:
    source = tmp_path / "tv.mp4"
    with av.open(str(make_recording(tmp_path / "plain.mp4", audio=None))) as plain, av.open(str(source), "w") as tv:
        stream: Any = tv.add_stream("libx264", rate=FPS, options={"x264-params": "tff=1:keyint=50"})
        stream.width, stream.height = 256, 64
        for frame in plain.decode(video=0):
            frame.pict_type = 0
            tv.mux(stream.encode(frame))
        tv.mux(stream.encode(None))
    clip = cut_exactly(source, 7.3, 12.5, tmp_path)
    numbers = [number for _, number in frames_of(clip)]
    assert clip.cut == "encode" and numbers == list(range(182, 313))


def test_time_stamps_that_restart_move_no_exact_clip(tmp_path: Path) -> None:
    """A recorder's encoder starts again after 10 s: the clip lies in the second part."""
    parts = [make_recording(tmp_path / f"{first}.flv", seconds=10.0, first=first) for first in (0, 10)]
    joined = join_flv(tmp_path / "joined.flv", (parts[0], 0.0), (parts[1], 0.0))
    clip = cut_exactly(joined, 13.3, 18.5, tmp_path)
    numbers = [number for _, number in frames_of(clip)]
    assert clip.cut == "smart" and abs(numbers[0] * FRAME - 13.3) <= 2 * FRAME
    assert numbers == list(range(numbers[0], numbers[-1] + 1))
    for time, second in beep_onsets(clip.path):
        assert clip.start + time == pytest.approx(second, abs=0.06)


def test_what_a_phone_filmed_on_its_side_stays_upright(tmp_path: Path) -> None:
    source = tmp_path / "phone.mp4"
    plain_file = make_recording(tmp_path / "plain.mp4", audio=None, seconds=6.0)
    with av.open(str(plain_file)) as plain, av.open(str(source), "w") as phone:
        stream: Any = phone.add_stream_from_template(plain.streams.video[0])
        stream.set_display_rotation(90)
        for packet in plain.demux(video=0):
            if packet.size:
                packet.stream = stream
                phone.mux(packet)
    smart = cut_exactly(source, 1.3, 5.0, tmp_path)
    style = ClipStyle(clips=True, aspect="1:4", clip_name="{rank}")
    (upright,) = cut_clips(str(source), [Highlight(1.3, 5.0, 0.5, (0,))], tmp_path, "room", style=style)
    assert isinstance(upright, Clip) and (smart.cut, upright.cut) == ("smart", "encode")
    with av.open(str(smart.path)) as copied, av.open(str(upright.path)) as encoded:
        noted, turned = next(copied.decode(video=0)), next(encoded.decode(video=0))
    assert (noted.width, noted.height, noted.rotation) == (256, 64, 90)
    assert (turned.width, turned.height, turned.rotation) == (64, 256, 0)
