"""The traps of recorded streams, one by one: each ends in right segments, or in one clear line."""

import itertools
import random
import subprocess
import sys
from pathlib import Path

import av
import pytest
from support.media import (
    AUDIO_TAG,
    FPS,
    make,
    media_tags,
    number_in,
    retimed,
    second_heard,
    tags,
    with_legacy_hevc,
    write_flv,
)

from kuaihl.engines.ingest.opening import open_source
from kuaihl.engines.ingest.packets import packets
from kuaihl.engines.ingest.source import Source
from kuaihl.engines.segmenter.segmenter import segments
from kuaihl.engines.types import SAMPLE_RATE, Segment
from kuaihl.models.errors import SourceError

pytestmark = pytest.mark.timeout(60)  # whatever happens, nothing hangs

AAC_START = 0.03  # seconds by which the encoder's first packet pushes pictures back in FLV


def cut_source(source: Source, seconds: float = 6.0, *, rests: bool = False) -> list[Segment]:
    with source:
        return list(segments(packets(source), segment_seconds=seconds, rests=rests))


def cut(path: Path, seconds: float = 6.0, *, rests: bool = False) -> list[Segment]:
    return cut_source(open_source(str(path)), seconds, rests=rests)


def kinds(found: list[Segment]) -> list[str]:
    return [event.kind for segment in found for event in segment.events]


def assert_truthful(found: list[Segment], *, delay: float = AAC_START, wrap: float = 1e9) -> None:
    """Frames show their time and sound has its second; both count anew after `wrap` seconds."""
    for segment in found:
        for frame in segment.frames:
            off = (number_in(frame) / FPS - (frame.time - delay) + wrap / 2) % wrap - wrap / 2
            assert abs(off) < 0.09
        for second in range(int(segment.start), int(segment.end - 0.5)):
            assert second_heard(segment, second + 0.5 + delay) == int((second + 0.5) % wrap) % 60


def refusal(path: Path) -> str:
    with pytest.raises(SourceError) as caught:
        cut(path)
    line = str(caught.value)
    assert "\n" not in line and path.name in line
    return line


@pytest.fixture(scope="module")
def plain(made: Path) -> Path:
    return make(made / "plain_ten.flv", seconds=10.0)


def test_flv_without_a_keyframe_index_or_any_metadata(plain: Path, made: Path) -> None:
    found = cut(write_flv(made / "no_index.flv", media_tags(plain)))
    assert len(found) == 2
    assert_truthful(found)
    assert kinds(found) == ["eof"]


# HEVC in FLV


@pytest.fixture(scope="module")
def hevc(made: Path) -> Path:
    return make(made / "hevc.flv", seconds=10.0, video="libx265", bframes=2)


@pytest.fixture(scope="module")
def legacy_hevc(hevc: Path, made: Path) -> Path:
    return write_flv(made / "legacy_hevc.flv", map(with_legacy_hevc, media_tags(hevc)))


def test_hevc_in_flv_as_enhanced_rtmp(hevc: Path) -> None:
    found = cut(hevc)
    assert [len(one.frames) for one in found] == [3, 3]
    assert_truthful(found)


def test_hevc_in_flv_under_the_old_codec_id(hevc: Path, legacy_hevc: Path) -> None:
    found = cut(legacy_hevc)
    assert [len(one.frames) for one in found] == [3, 3]
    assert_truthful(found)
    with open_source(str(legacy_hevc)) as old, open_source(str(hevc)) as new:
        assert [one.time for one in cut_times(old)] == pytest.approx([one.time for one in cut_times(new)])


def cut_times(source: Source) -> list[object]:
    return [item for item in packets(source) if hasattr(item, "packet")]


def test_legacy_hevc_on_standard_input(legacy_hevc: Path) -> None:
    script = (
        "from kuaihl.engines.ingest.opening import open_source; from kuaihl.engines.ingest.packets import packets;"
        "from kuaihl.engines.segmenter.segmenter import segments;"
        "print([len(s.frames) for s in segments(packets(open_source('-')), segment_seconds=6.0)])"
    )
    for shell in (
        f'cat {legacy_hevc} | {sys.executable} -c "{script}"',
        f'{sys.executable} -c "{script}" < {legacy_hevc}',
    ):
        run = subprocess.run(shell, shell=True, capture_output=True, text=True, timeout=50)
        assert run.stdout == "[3, 3]\n", run.stderr


# Streams that come late or not at all


def test_audio_that_starts_seconds_late_is_silence_until_then(made: Path) -> None:
    found = cut(make(made / "late.flv", seconds=14.0, audio_from=8.0))
    assert [one.audio.size for one in found[:2]] == [6 * SAMPLE_RATE] * 2 or found[0].audio.size == 0
    assert second_heard(found[1], 7.0) is None
    assert second_heard(found[1], 9.5) == 9
    assert [number_in(frame) for frame in found[1].frames] == [60, 80, 100]


def test_audio_that_starts_too_late_for_the_demuxer_to_know_of_it(made: Path) -> None:
    late = make(made / "very_late.flv", seconds=112.0, audio_from=100.0)
    found = cut(write_flv(made / "very_late_plain.flv", media_tags(late)), seconds=10.0)
    assert second_heard(found[10], 104.5) == 104 % 60
    assert second_heard(found[10], 108.5) == 108 % 60
    assert [number_in(frame) for frame in found[10].frames] == pytest.approx([1000, 1040, 1080], abs=20)


def test_aac_that_starts_too_late_for_mpeg_ts_to_know_its_rate(made: Path) -> None:
    late = make(made / "late_aac.ts", seconds=20.0, audio_from=9.0, muxer={"max_delay": "700000"})
    with av.open(str(late)) as container:
        stamps = [packet.pts for packet in container.demux(audio=0)]
    assert stamps.count(None) > len(stamps) / 2, "several frames share a time stamp"
    found = cut(late)
    assert [round(one.end) for one in found] == [6, 12, 18, 20]
    assert kinds(found) == ["eof"]
    assert [second_heard(found[1], second + 0.5) for second in range(6, 12)] == [None] * 3 + [9, 10, 11]
    assert [second_heard(found[2], second + 0.5) for second in range(12, 18)] == list(range(12, 18))
    assert [number_in(frame) for frame in found[2].frames] == [120, 140, 160]


def test_video_that_starts_late(made: Path) -> None:
    found = cut(make(made / "late_video.flv", seconds=10.0, video_from=3.5))
    assert [number_in(frame) for frame in found[0].frames] == [35, 35, 49], "before it begins: its first picture"
    assert [second_heard(found[0], second + 0.53) for second in range(6)] == [0, 1, 2, 3, 4, 5]


def test_flv_that_promises_audio_and_has_none(made: Path) -> None:
    found = cut(write_flv(made / "no_audio.flv", media_tags(make(made / "v.flv", seconds=8.0, audio=None))))
    assert [one.audio.size for one in found] == [0, 0]
    assert [number_in(frame) for frame in found[0].frames] == [0, 20, 40]


def test_flv_that_promises_video_and_has_none(made: Path) -> None:
    found = cut(write_flv(made / "no_video.flv", media_tags(make(made / "a.flv", seconds=8.0, video=None))))
    assert [one.frames for one in found] == [(), ()]
    assert second_heard(found[1], 6.53) == 6


def test_an_audio_that_stops_leaves_silence_and_frames_go_on(plain: Path, made: Path) -> None:
    stopped = [tag for tag in media_tags(plain) if tag.kind != AUDIO_TAG or tag.ms < 4000]
    found = cut(write_flv(made / "stopped_audio.flv", stopped))
    assert second_heard(found[0], 3.5) == 3 and second_heard(found[0], 5.0) is None
    assert found[1].audio.size == round((found[1].end - 6) * SAMPLE_RATE) and not found[1].audio.any()
    assert number_in(found[1].frames[-1]) > 80


# Time


@pytest.mark.parametrize("suffix", ["flv", "mkv", "mp4"])
def test_variable_frame_rate(made: Path, suffix: str) -> None:
    """Bursts of 10 pictures per second and seconds without any: the frame shown is the one before."""
    times = tuple(sorted({*(k / 10 for k in range(20)), 4.5, 7.0, *(9 + k / 10 for k in range(10)), 13.0, 17.9}))
    found = cut(make(made / f"vfr.{suffix}", seconds=18.0, frame_times=times, gop=1000))
    for one in found:
        for frame, instant in zip(one.frames, (one.start + 1, one.start + 3, one.start + 5), strict=True):
            delay = AAC_START if suffix == "flv" else 0.0
            shown = max(time for time in times if time <= max(instant - delay, 0) + 0.011)
            key = 0.0  # a keyframe within a second will do
            assert number_in(frame) in (round(shown * FPS), round(key * FPS) if instant <= 1.0 + delay else -1)
            assert frame.time == pytest.approx(number_in(frame) / FPS, abs=0.05)


def test_time_stamps_that_restart_at_0(plain: Path, made: Path) -> None:
    found = cut(write_flv(made / "restarts.flv", media_tags(plain) * 3))
    assert kinds(found) == ["rebase", "rebase", "eof"]
    assert found[-1].end == pytest.approx(30.1, abs=0.2)
    assert [one.gap for one in found] == [False] * len(found)
    assert_truthful(found, wrap=10.04, delay=0.05)


@pytest.mark.parametrize("jump", [40_000_000, 2_000_000_000])
def test_time_stamps_that_jump_far_ahead(plain: Path, made: Path, jump: int) -> None:
    ten = media_tags(plain)
    found = cut(write_flv(made / "jumps.flv", [*ten, *retimed(ten, lambda ms: ms + jump)]))
    assert kinds(found) == ["rebase", "eof"]
    assert found[-1].end == pytest.approx(20.05, abs=0.2)
    assert_truthful(found, wrap=10.04, delay=0.05)


def test_time_stamps_that_wrap_around(plain: Path, made: Path) -> None:
    base = (1 << 32) - 5000
    found = cut(write_flv(made / "wraps.flv", retimed(media_tags(plain), lambda ms: (ms + base) % (1 << 32))))
    assert found[-1].end == pytest.approx(10.0, abs=0.2)
    assert_truthful(found)


# Changes midway


def joined(made: Path, plain: Path, name: str, **changes: object) -> list[Segment]:
    second = media_tags(make(made / f"second_{name}.flv", seconds=10.0, first_number=10, **changes))
    return cut(write_flv(made / f"{name}.flv", [*media_tags(plain), *retimed(second, lambda ms: ms + 10_000)]))


def test_resolution_changes_midway(made: Path, plain: Path) -> None:
    found = joined(made, plain, "resolution", size=(384, 192))
    assert kinds(found) == ["header_change", "eof"]
    assert_truthful(found)
    shapes = [frame.image.shape[:2] for one in found for frame in one.frames]
    assert [shape for shape, _ in itertools.groupby(shapes)] == [(96, 192), (192, 384)]


@pytest.mark.parametrize("rests", [False, True])
def test_resolution_changes_at_a_keyframe_that_is_not_decoded(made: Path, plain: Path, rests: bool) -> None:
    joined(made, plain, "resolution", size=(384, 192))
    found = cut(made / "resolution.flv", seconds=18.0, rests=rests)
    assert kinds(found) == ["header_change", "eof"]
    assert [(round(frame.time), len(frame.image)) for frame in found[0].frames] == [(2, 96), (8, 96), (14, 192)]
    assert_truthful(found)


def test_sample_rate_and_channels_change_midway(made: Path, plain: Path) -> None:
    found = joined(made, plain, "rate", rate=44_100, layout="stereo")
    assert kinds(found) == ["header_change", "eof"]
    assert "44100 Hz, stereo" in found[1].events[0].detail
    assert_truthful(found)


def test_video_codec_changes_midway(made: Path, plain: Path) -> None:
    found = joined(made, plain, "video_codec", video="libx265")
    assert kinds(found) == ["header_change", "eof"]
    assert "hevc" in found[1].events[0].detail
    assert_truthful(found)


def test_audio_codec_changes_midway(made: Path, plain: Path) -> None:
    found = joined(made, plain, "audio_codec", audio="libmp3lame", rate=44_100)
    assert kinds(found) == ["header_change", "eof"]
    assert "mp3" in found[1].events[0].detail
    assert_truthful(found)


# Damage


def test_a_truncated_flv_is_whole_up_to_where_it_ends(plain: Path, made: Path) -> None:
    raw = plain.read_bytes()
    for share in (0.35, 0.62, 0.9):
        path = made / "truncated.flv"
        path.write_bytes(raw[: int(len(raw) * share)])
        found = cut(path)
        assert 1 < found[-1].end < 10
        assert_truthful(found)
        assert kinds(found)[-1] == "eof"


def test_garbage_between_tags_is_passed_over(plain: Path, made: Path) -> None:
    found_tags, noise = media_tags(plain), random.Random(3).randbytes(20_000)
    found = cut(write_flv(made / "garbage.flv", [*found_tags[:300], noise, *found_tags[300:]]))
    assert found[-1].end == pytest.approx(10.0, abs=0.2)
    assert_truthful(found)


@pytest.mark.parametrize("seed", range(6))
def test_garbage_over_the_media_costs_what_it_covers_and_no_more(plain: Path, made: Path, seed: int) -> None:
    raw = bytearray(plain.read_bytes())
    middle = int(len(raw) * (0.3 + 0.05 * seed))
    raw[middle : middle + 6000] = random.Random(seed).randbytes(6000)
    path = made / f"overwritten_{seed}.flv"
    path.write_bytes(raw)
    found = cut(path)
    assert found[-1].end == pytest.approx(10.0, abs=0.5)
    assert [len(one.frames) for one in found] == [3, 3]
    assert second_heard(found[0], 0.53) == 0 and second_heard(found[1], 9.53) == 9
    assert number_in(found[0].frames[0]) == 0


@pytest.mark.parametrize("suffix", ["flv", "mkv", "ts", "mp4"])
def test_no_damage_whatever_crashes_or_hangs(made: Path, suffix: str) -> None:
    raw = make(made / f"fuzzed.{suffix}", seconds=8.0).read_bytes()
    dice = random.Random(suffix)
    for _ in range(12):
        damaged = bytearray(raw)
        for _ in range(dice.randrange(1, 20)):
            at, size = dice.randrange(len(raw)), dice.choice((1, 8, 300, 5000))
            damaged[at : at + size] = dice.randbytes(min(size, len(raw) - at))
        path = made / f"damaged.{suffix}"
        path.write_bytes(damaged)
        try:
            found = cut(path)
        except SourceError as error:
            assert "\n" not in str(error)
            continue
        for number, one in enumerate(found):
            assert one.index == number and one.start == 6.0 * number
            assert one.audio.size in (0, round((one.end - one.start) * SAMPLE_RATE))
            assert len(one.frames) in (0, 3)


def test_an_empty_file_is_one_clear_line(made: Path) -> None:
    path = made / "empty.flv"
    path.write_bytes(b"")
    assert "empty" in refusal(path)


def test_a_text_named_flv_is_one_clear_line(made: Path) -> None:
    for text in ("hello\n", "FLV is a format\n" * 500, "<html><body>404 Not Found</body></html>" * 50):
        path = made / "text.flv"
        path.write_text(text)
        assert "not media" in refusal(path) or "no packet" in refusal(path) or "no video" in refusal(path)


def test_an_flv_of_a_header_alone_is_one_clear_line(made: Path) -> None:
    assert refusal(write_flv(made / "header.flv", []))


def test_an_flv_of_script_data_alone_is_one_clear_line(made: Path, plain: Path) -> None:
    script = [tag for tag in tags(plain) if tag.kind == 18]
    assert refusal(write_flv(made / "script.flv", script))


# Time stamps that stand still


def test_stamps_that_stand_still_are_counted_by_the_sound(plain: Path, made: Path) -> None:
    zeros = write_flv(made / "zeros.flv", retimed(media_tags(plain), lambda ms: 0))
    found = cut(zeros)
    assert [one.start for one in found] == [0.0, 6.0]
    assert found[-1].end == pytest.approx(10.0, abs=0.1)
    assert_truthful(found)
    assert kinds(found).count("rebase") == 2


def test_pictures_alone_are_counted_by_the_declared_frame_rate(made: Path) -> None:
    silent = make(made / "silent_ten.flv", seconds=10.0, audio=None, bframes=2)
    found = cut(write_flv(made / "silent_zeros.flv", retimed(tags(silent), lambda ms: 0)))
    assert found[-1].end == pytest.approx(10.0, abs=0.1)
    assert [len(one.frames) for one in found] == [3, 3]
    for frame in (frame for one in found for frame in one.frames):
        assert number_in(frame) / FPS == pytest.approx(frame.time, abs=1.0)  # the first second may share its stamp


def test_without_sound_and_frame_rate_nothing_is_guessed(made: Path) -> None:
    silent = make(made / "silent_twelve.flv", seconds=12.0, audio=None)
    line = refusal(write_flv(made / "timeless.flv", retimed(media_tags(silent), lambda ms: 0)))
    assert "stand still" in line and "ffmpeg -r" in line


@pytest.mark.parametrize("seed", range(4))
def test_stamps_that_stand_still_for_a_while_lose_no_time(plain: Path, made: Path, seed: int) -> None:
    chance = random.Random(seed)
    start = chance.randrange(500, 4000)
    end = start + chance.randrange(1500, 5000)
    still = retimed(media_tags(plain), lambda ms: start if start <= ms < end else ms)
    found = cut(write_flv(made / f"still_{seed}.flv", still))
    assert found[-1].end == pytest.approx(10.0, abs=0.1)
    assert_truthful(found)


@pytest.mark.parametrize("parts", [2, 5])
def test_packets_that_share_a_stamp_keep_it(plain: Path, made: Path, parts: int) -> None:
    shared = retimed(media_tags(plain), lambda ms: ms // (100 * parts) * 100 * parts)
    found = cut(write_flv(made / f"shared_{parts}.flv", shared))
    assert kinds(found) == ["eof"]
