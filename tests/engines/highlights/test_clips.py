"""Clips are right to the frame: what they show and what is heard is decoded and compared with the recording."""

import os
import re
from pathlib import Path

import av
import pytest
from support.clip_media import FPS, beep_onsets, frame_numbers, join_flv, make_recording
from support.paths import SHARED

from kuaihl.engines.highlights import clip_windows
from kuaihl.engines.highlights.clips import Clip, FailedClip, cut_clips
from kuaihl.engines.types import Highlight
from kuaihl.models.errors import SourceError, UsageError

MEDIA = SHARED / "media"
FRAME = 1 / FPS


def span(start: float, end: float, score: float = 0.5) -> Highlight:
    return Highlight(start, end, score, (0,))


def cut(source: Path, *spans: tuple[float, float], into: Path) -> list[Clip]:
    """The clips of spans, all of which must be there."""
    clips = cut_clips(str(source), [span(*one) for one in spans], into, "room")
    assert all(isinstance(clip, Clip) for clip in clips), clips
    return [clip for clip in clips if isinstance(clip, Clip)]


RECORDINGS = {
    "plain.flv": {},
    "b_frames.mp4": {"bframes": 2},
    "b_frames.flv": {"bframes": 2},
    "broadcast.ts": {"bframes": 2, "late": 3600.0},
    "hevc.flv": {"video": "libx265"},
    "hevc_b_frames.mp4": {"video": "libx265", "bframes": 3},
    "vp8_opus.webm": {"video": "libvpx", "audio": "libopus"},
    "h264_opus.mkv": {"audio": "libopus"},
    "silent.mp4": {"audio": None},
}


@pytest.fixture(scope="session")
def recordings(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("recordings")
    return {name: make_recording(folder / name, **how) for name, how in RECORDINGS.items()}  # type: ignore[arg-type]


@pytest.mark.parametrize("name", RECORDINGS)
def test_a_clip_shows_every_frame_from_the_keyframe_at_or_before_its_start(
    recordings: dict[str, Path], tmp_path: Path, name: str
) -> None:
    clip = cut_clips(str(recordings[name]), [span(7.3, 12.5)], tmp_path, "room")[0]
    assert isinstance(clip, Clip)
    frames = frame_numbers(clip.path)
    offset = frames[0][1]
    assert offset % 50 == 0 or RECORDINGS[name].get("video") == "libvpx"
    assert offset * FRAME <= 7.3 + 1e-6
    assert clip.start == pytest.approx(offset * FRAME, abs=0.03)
    assert [number for _, number in frames] == list(range(offset, offset + len(frames)))
    for time, number in frames:
        assert time == pytest.approx((number - offset) * FRAME, abs=0.002), "timestamps count from 0"
    # At the end, at most the few frames that were needed to decode the last one wanted.
    assert 12.5 - FRAME <= (frames[-1][1] + 1) * FRAME <= 12.5 + 5 * FRAME
    assert clip.end == pytest.approx((frames[-1][1] + 1) * FRAME, abs=0.05)


@pytest.mark.parametrize("name", [name for name in RECORDINGS if name != "silent.mp4"])
def test_sound_stays_with_the_picture(recordings: dict[str, Path], tmp_path: Path, name: str) -> None:
    clip = cut_clips(str(recordings[name]), [span(7.3, 12.5)], tmp_path, "room")[0]
    assert isinstance(clip, Clip)
    begins = frame_numbers(clip.path)[0][1] * FRAME
    onsets = beep_onsets(clip.path)
    assert len(onsets) >= 4
    for time, second in onsets:
        # The recording's own encoder delay (AAC 21 ms, Opus 6.5 ms) is in it before the cut.
        assert begins + time == pytest.approx(round(begins + time), abs=0.035)
        assert round(begins + time) % 20 == second


def test_the_container_follows_the_codecs(recordings: dict[str, Path], tmp_path: Path) -> None:
    suffixes = {name: cut(path, (4.0, 8.0), into=tmp_path)[0].path.suffix for name, path in recordings.items()}
    assert suffixes["plain.flv"] == suffixes["hevc.flv"] == suffixes["broadcast.ts"] == ".mp4"
    assert suffixes["vp8_opus.webm"] == ".webm"
    assert suffixes["h264_opus.mkv"] == ".mkv"


def test_hevc_clips_carry_the_tag_that_apple_plays(recordings: dict[str, Path], tmp_path: Path) -> None:
    clip = cut_clips(str(recordings["hevc.flv"]), [span(4.0, 8.0)], tmp_path, "room")[0]
    assert isinstance(clip, Clip)
    with av.open(str(clip.path)) as container:
        assert container.streams.video[0].codec_context.codec_tag == "hvc1"


@pytest.mark.parametrize(("codec", "name", "suffix"), [("aac", "a.m4a", ".m4a"), ("flac", "a.flac", ".mka")])
def test_a_source_without_video_gives_a_clip_of_sound(tmp_path: Path, codec: str, name: str, suffix: str) -> None:
    source = make_recording(tmp_path / name, video=None, audio=codec)
    clip = cut_clips(str(source), [span(7.3, 12.5)], tmp_path, "talk")[0]
    assert isinstance(clip, Clip) and clip.path.suffix == suffix
    assert clip.start == pytest.approx(7.3, abs=0.1)
    assert clip.end == pytest.approx(12.5, abs=0.1)
    onsets = beep_onsets(clip.path)
    assert [second for _, second in onsets] == [8, 9, 10, 11, 12]
    for time, second in onsets:
        assert clip.start + time == pytest.approx(second, abs=0.03)


def test_clips_too_large_to_hold_are_cut_in_a_second_reading_and_are_the_same(
    recordings: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spans = (3.3, 9.0), (7.3, 12.5), (15.0, 19.0)
    usual = clip_windows.MOST_BYTES
    for name in ("b_frames.flv", "broadcast.ts"):
        made = []
        for most in (usual, 20_000, 0):
            monkeypatch.setattr(clip_windows, "MOST_BYTES", most)
            folder = tmp_path / name / str(most)
            folder.mkdir(parents=True)
            clips = cut(recordings[name], *spans, into=folder)
            made.append([(clip.path.read_bytes(), clip.start, clip.end) for clip in clips])
        assert made[0] == made[1] == made[2]


def test_clips_that_share_packets_are_each_whole(recordings: dict[str, Path], tmp_path: Path) -> None:
    clips = cut_clips(
        str(recordings["b_frames.flv"]), [span(3.1, 9.5, 0.4), span(9.5, 12.1, 0.9), span(12.1, 99.0)], tmp_path, "room"
    )
    assert [clip.path.name for clip in clips if isinstance(clip, Clip)] == [
        "room_03_00-00-03.mp4",
        "room_01_00-00-09.mp4",
        "room_02_00-00-12.mp4",
    ]
    for clip, first, last in zip(clips, (50, 200, 300), (9.5, 12.1, 20.0), strict=True):
        assert isinstance(clip, Clip)
        numbers = [number for _, number in frame_numbers(clip.path)]
        assert numbers == list(range(first, first + len(numbers)))
        assert numbers[-1] * FRAME == pytest.approx(last, abs=5 * FRAME)


def test_a_highlight_without_media_gives_no_clip_and_no_file(recordings: dict[str, Path], tmp_path: Path) -> None:
    source = str(recordings["plain.flv"])
    (failed,) = cut_clips(source, [span(500.0, 530.0)], tmp_path, "room")
    assert isinstance(failed, FailedClip) and "no media" in failed.reason
    assert list(tmp_path.iterdir()) == []


def test_a_clip_does_not_reach_over_a_change_of_resolution_and_each_side_decodes(tmp_path: Path) -> None:
    before = make_recording(tmp_path / "before.flv", seconds=10)
    after = make_recording(tmp_path / "after.flv", seconds=10, height=128, bframes=2)
    joined = join_flv(tmp_path / "joined.flv", (before, 0.0), (after, 10.1))
    first, second, later = cut_clips(
        str(joined), [span(3.1, 13.0), span(8.1, 17.0), span(14.5, 18.0)], tmp_path, "room"
    )
    assert isinstance(first, Clip) and isinstance(second, Clip) and isinstance(later, Clip)
    for clip, height, numbers, end in (
        (first, 64, range(50, 250), 10.2),
        (second, 128, range(173), 17.0),
        (later, 128, range(100, 198), 18.0),
    ):
        with av.open(str(clip.path)) as container:
            assert {frame.height for frame in container.decode(video=0)} == {height}
        assert shown_height(clip.path) == height
        found = [number for _, number in frame_numbers(clip.path)]
        assert found == list(range(numbers.start, numbers.start + len(found)))
        assert abs(len(found) - len(numbers)) <= 5
        assert clip.end == pytest.approx(end, abs=0.2)
        assert len(beep_onsets(clip.path)) >= 3


def shown_height(clip: Path) -> int:
    """What an MP4's track header tells players to scale the picture to: the last field of the first track's `tkhd`."""
    data = clip.read_bytes()
    at = data.index(b"tkhd") - 4
    return int.from_bytes(data[at + 88 : at + 90], "big")


def test_a_truncated_recording_still_gives_what_it_holds(recordings: dict[str, Path], tmp_path: Path) -> None:
    whole = recordings["plain.flv"].read_bytes()
    torn = tmp_path / "torn.flv"
    torn.write_bytes(whole[: len(whole) * 6 // 10])
    (clip,) = cut_clips(str(torn), [span(8.1, 19.0)], tmp_path, "room")
    assert isinstance(clip, Clip)
    numbers = [number for _, number in frame_numbers(clip.path)]
    assert numbers == list(range(200, 200 + len(numbers)))
    assert 10.5 < clip.end < 13.5


@pytest.mark.parametrize("source", ["-", "rtmp://host/live/room", "https://host/a.flv"])
def test_a_source_that_is_no_file_is_refused_in_one_line(tmp_path: Path, source: str) -> None:
    with pytest.raises(UsageError, match="from a file alone"):
        cut_clips(source, [span(0.0, 1.0)], tmp_path, "room")


def test_unreadable_sources_are_refused_in_one_line(tmp_path: Path) -> None:
    text = tmp_path / "notes.flv"
    text.write_text("not media")
    for source in (text, tmp_path / "missing.flv"):
        with pytest.raises(SourceError, match=f"^{re.escape(str(source))}: "):
            cut_clips(str(source), [span(0.0, 1.0)], tmp_path, "room")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_without_permission_is_told_in_one_line(recordings: dict[str, Path], tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    assert_unwritten(cut_clips(str(recordings["plain.flv"]), [span(2.0, 5.0)], tmp_path, "room"))


def test_a_missing_folder_is_told_in_one_line(recordings: dict[str, Path], tmp_path: Path) -> None:
    assert_unwritten(cut_clips(str(recordings["plain.flv"]), [span(2.0, 5.0)], tmp_path / "nowhere", "room"))


def assert_unwritten(clips: list[Clip | FailedClip]) -> None:
    (failed,) = clips
    assert isinstance(failed, FailedClip) and "cannot be written" in failed.reason and "\n" not in failed.reason


@pytest.mark.parametrize(
    "name",
    ["bbb.flv", "avatar.flv", "segmenter_test.flv", "talk_42s.mp4", "talk_96s.webm", "nasa_13s_two_streams.mp4",
     "pancake_10s.mkv", "jfk_11s.flac", "odd/duplicate-audio-dts.ts", "odd/missing-dts.ts", "odd/portrait.ts",
     "odd/failing_audio.mp4", "odd/unordered.mov", "odd/singleframe.ts"],
)  # fmt: skip
def test_real_files_give_clips_that_decode_to_the_end(tmp_path: Path, name: str) -> None:
    source = MEDIA / name
    if not source.exists():
        pytest.skip("no shared media here")
    with av.open(str(source)) as container:
        length = (container.duration or 0) / av.time_base
    clip = cut_clips(str(source), [span(length * 0.4, length * 0.8)], tmp_path, "clip")[0]
    assert isinstance(clip, Clip)
    assert clip.start <= length * 0.4 + 0.1
    with av.open(str(clip.path)) as container:
        for stream in container.streams:
            assert stream.type in ("video", "audio")
        times = {kind: [frame.time for frame in frames] for kind, frames in decoded(container).items()}
    for kind, seen in times.items():
        assert seen[0] == pytest.approx(0.0, abs=0.1), kind
        assert seen == sorted(seen), kind
        assert seen[-1] + clip.start <= length * 0.8 + 0.3


def decoded(container: "av.container.InputContainer") -> dict[str, list[av.VideoFrame | av.AudioFrame]]:
    frames: dict[str, list[av.VideoFrame | av.AudioFrame]] = {}
    for packet in container.demux():
        for frame in packet.decode():
            frames.setdefault(packet.stream.type, []).append(frame)  # type: ignore[arg-type]
    return frames
