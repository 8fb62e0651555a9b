"""Clips of recordings with faults show what the run's clock says; one that cannot be cut leaves the others alone."""

import resource
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any

import av
import pytest
from support.clip_media import FPS, beep_onsets, frame_numbers, join_flv, make_recording
from support.media import VIDEO_TAG, tags, write_flv

from kuaihl.engines.highlights.clips import Clip, FailedClip, cut_clips
from kuaihl.engines.types import Highlight


def cut(source: str | Path, *spans: tuple[float, float], into: Path) -> list[Clip | FailedClip]:
    return cut_clips(str(source), [Highlight(*span, 0.5, (0,)) for span in spans], into, "room")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("parts")


@pytest.fixture(scope="module")
def first(folder: Path) -> Path:
    """Seconds 0 to 10."""
    return make_recording(folder / "first.flv", seconds=10)


@pytest.fixture(scope="module")
def second(folder: Path) -> Path:
    """Seconds 10 to 20, in a file whose time stamps begin at 0."""
    return make_recording(folder / "second.flv", seconds=10, first=10)


def assert_shows(clip: Clip | FailedClip, start: float, end: float, *, hole: float = 0.0) -> None:
    """The clip shows and sounds as the numbered recording does from the keyframe before `start` to `end`.

    hole: seconds that the run's clock counts and the recording lacks before the clip.
    """
    assert isinstance(clip, Clip), clip
    frames = frame_numbers(clip.path.absolute())
    numbers = [number for _, number in frames]
    assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))
    assert clip.start == pytest.approx(numbers[0] / FPS + hole, abs=0.12)
    assert start - 2.1 <= clip.start <= start + 0.12, "keyframes are 2 s apart"
    assert numbers[-1] / FPS + hole == pytest.approx(end, abs=0.2)
    assert all(after - before <= 0.2 for (before, _), (after, _) in pairwise(frames)), "no picture stands still"
    onsets = beep_onsets(clip.path.absolute())
    assert len(onsets) >= int(end - start) - 1
    for time, number in onsets:
        assert number == round(clip.start - hole + time) % 20


def test_time_stamps_that_restart_lose_no_clip(first: Path, second: Path, tmp_path: Path) -> None:
    joined = join_flv(tmp_path / "joined.flv", (first, 0.0), (second, 0.0))
    before, across, after = cut(joined, (2.3, 6.0), (8.5, 13.0), (14.5, 18.0), into=tmp_path)
    assert_shows(before, 2.3, 6.0)
    assert_shows(across, 8.5, 13.0)
    assert_shows(after, 14.5, 18.0)


def test_joined_transport_streams_lose_no_clip(first: Path, second: Path, tmp_path: Path) -> None:
    joined = tmp_path / "joined.ts"
    joined.write_bytes(b"".join(remux(part, tmp_path / f"{part.stem}.ts").read_bytes() for part in (first, second)))
    before, after = cut(joined, (2.3, 6.0), (14.5, 18.0), into=tmp_path)
    assert_shows(before, 2.3, 6.0)
    assert_shows(after, 14.5, 18.0)


def remux(source: Path, target: Path, damaged: tuple[float, float] = (0.0, 0.0)) -> Path:
    """Copy the packets into another container; sound within `damaged` seconds becomes zeros."""
    with av.open(str(source)) as read, av.open(str(target), "w") as written:
        copies = {stream: written.add_stream_from_template(stream) for stream in read.streams}
        for packet in read.demux():
            if packet.dts is None:
                continue
            stream = packet.stream
            begin, end = damaged
            if stream.type == "audio" and begin <= float(packet.dts * packet.time_base) < end:
                zeros: Any = av.Packet(bytes(packet.size))
                zeros.pts, zeros.dts, zeros.time_base = packet.pts, packet.dts, packet.time_base
                zeros.duration = packet.duration
                packet = zeros
            packet.stream = copies[stream]
            written.mux(packet)
    return target


def test_64_kib_of_zeros_inside_an_flv_cost_no_clip(first: Path, second: Path, tmp_path: Path) -> None:
    torn = join_flv(tmp_path / "torn.flv", (first, 0.0), (second, 10.0), between=bytes(1 << 16))
    before, across, after = cut(torn, (2.3, 6.0), (8.5, 13.0), (14.5, 18.0), into=tmp_path)
    assert_shows(before, 2.3, 6.0)
    assert_shows(across, 8.5, 13.0)
    assert_shows(after, 14.5, 18.0)


def test_no_clip_holds_missing_media(first: Path, second: Path, tmp_path: Path) -> None:
    holed = join_flv(tmp_path / "holed.flv", (first, 0.0), (second, 40.0))
    across, after, inside = cut(holed, (6.5, 42.0), (40.9, 46.0), (15.0, 35.0), into=tmp_path)
    assert_shows(across, 6.5, 10.0)
    assert_shows(after, 40.9, 46.0, hole=30.0)
    assert isinstance(inside, FailedClip) and "no media there" in inside.reason


def test_a_clip_of_sound_that_outlives_the_picture_does_not_begin_at_the_last_picture(tmp_path: Path) -> None:
    long = make_recording(tmp_path / "long.flv", seconds=60, video=None)
    short = make_recording(tmp_path / "short.flv", seconds=4)
    pictures = [tag for tag in tags(short) if tag.kind == VIDEO_TAG]
    source = write_flv(tmp_path / "outlived.flv", sorted([*tags(long), *pictures], key=lambda tag: tag.ms))
    (clip,) = cut(source, (45.0, 52.0), into=tmp_path)
    assert isinstance(clip, Clip) and clip.path.suffix == ".m4a"
    assert clip.start == pytest.approx(45.0, abs=0.1) and clip.end == pytest.approx(52.0, abs=0.1)


@pytest.mark.parametrize("name", ["a: b.flv", "100%d.flv", 'it\'s "so".flv', "x:y%20z.flv", "直播" * 40 + ".flv"])
def test_any_name_of_a_file_or_folder_will_do(
    first: Path, tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path(name).write_bytes(first.read_bytes())
    into = Path(Path(name).stem[:20] + "_clips")
    into.mkdir()
    (clip,) = cut_clips(name, [Highlight(2.3, 6.0, 0.5, (0,))], into, Path(name).stem)
    assert_shows(clip, 2.3, 6.0)


def test_damaged_sound_costs_neither_its_clip_nor_the_others(tmp_path: Path) -> None:
    whole = make_recording(tmp_path / "whole.mkv", seconds=12, audio="eac3")
    source = remux(whole, tmp_path / "damaged.mkv", damaged=(4.0, 12.0))
    clips = cut(source, (0.0, 3.0), (2.3, 8.0), (6.1, 10.0), into=tmp_path)
    assert [clip.path.suffix for clip in clips[:2] if isinstance(clip, Clip)] == [".mp4", ".mkv"]
    for clip, begin, end in zip(clips, (0, 50, 150), (3.0, 8.0, 10.0), strict=True):
        assert isinstance(clip, Clip), clip
        numbers = [number for _, number in frame_numbers(clip.path)]
        assert numbers == list(range(begin, begin + len(numbers)))
        assert numbers[-1] / FPS == pytest.approx(end, abs=0.2)
    assert not list(tmp_path.glob(".*"))


def test_without_the_video_header_the_clip_is_of_sound(first: Path, tmp_path: Path) -> None:
    kept = [tag for tag in tags(first) if not (tag.kind == VIDEO_TAG and tag.is_header)]
    (clip,) = cut(write_flv(tmp_path / "headless.flv", kept), (2.0, 6.0), into=tmp_path)
    assert isinstance(clip, Clip) and clip.path.suffix == ".m4a"
    assert sorted({number for _, number in beep_onsets(clip.path)}) == [2, 3, 4, 5]


@contextmanager
def largest_file(size: int) -> Iterator[None]:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_clip_that_does_not_fit_on_the_disk_makes_room_for_the_others(first: Path, tmp_path: Path) -> None:
    whole, small = cut(first, (0.0, 9.9), (4.1, 5.0), into=tmp_path)
    assert isinstance(whole, Clip) and isinstance(small, Clip)
    sizes = whole.path.stat().st_size, small.path.stat().st_size
    for clip in (whole, small):
        clip.path.unlink()
    with largest_file(sum(sizes) // 2):
        failed, again = cut(first, (0.0, 9.9), (4.1, 5.0), into=tmp_path)
    assert isinstance(failed, FailedClip) and "cannot be written (File too large)" in failed.reason
    assert again == small
    assert list(tmp_path.iterdir()) == [small.path]
