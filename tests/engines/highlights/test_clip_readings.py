"""Clips are read from near their highlights, where the scoring noted the bytes, and are those of a whole reading."""

from dataclasses import replace
from pathlib import Path

import pytest
from support.clip_media import FPS, beep_onsets, frame_numbers, join_flv, make_recording

from kuaihl.engines.highlights.clip_readings import Reading, plan_readings
from kuaihl.engines.highlights.clips import Clip, cut_clips
from kuaihl.engines.ingest.opening import open_source
from kuaihl.engines.ingest.packets import packets
from kuaihl.engines.outputs.scores_jsonl import parse_score, score_line
from kuaihl.engines.segmenter.segmenter import segments
from kuaihl.engines.types import Highlight, ScoredSegment, SeekPoint

SEGMENT = 5.0


def highlight(start: float, end: float) -> Highlight:
    return Highlight(start, end, 0.5, (0,))


def scored(index: int, keyframes: tuple[float, ...], seek: SeekPoint | None) -> ScoredSegment:
    start, end = index * SEGMENT, (index + 1) * SEGMENT
    return ScoredSegment(
        index, start, end, end, end + SEGMENT, 0.5, "", 0, False, 0.0, keyframe_times=keyframes, seek=seek
    )


def score(source: Path) -> list[ScoredSegment]:
    """What scores.jsonl would say of where the file can be read."""
    with open_source(str(source)) as opened:
        cut = segments(packets(opened), segment_seconds=SEGMENT, locate=opened.locate)
        lines = [score_line(scored(one.index, one.keyframe_times, one.seek)) for one in cut]
    return [parse_score(line) for line in lines]


def cut(source: Path, lines: list[ScoredSegment], spans: list[tuple[float, float]], into: Path) -> list[Clip]:
    into.mkdir()
    clips = cut_clips(str(source), [highlight(*one) for one in spans], into, "room", scored=lines, seek=bool(lines))
    assert all(isinstance(clip, Clip) for clip in clips), clips
    return [clip for clip in clips if isinstance(clip, Clip)]


def assert_same(clips: list[Clip], others: list[Clip]) -> None:
    """Pictures are the same to the frame and in time, and so are the beeps."""
    for clip, other in zip(clips, others, strict=True):
        assert (clip.start, clip.end) == pytest.approx((other.start, other.end), abs=1e-3)
        for times, expected in ((frame_numbers(clip.path), frame_numbers(other.path)), both_beeps(clip, other)):
            assert [what for _, what in times] == [what for _, what in expected]
            assert [at for at, _ in times] == pytest.approx([at for at, _ in expected], abs=1e-3)


def both_beeps(clip: Clip, other: Clip) -> tuple[list[tuple[float, int]], list[tuple[float, int]]]:
    return beep_onsets(clip.path), beep_onsets(other.path)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("readings")


@pytest.fixture(scope="module")
def halves(folder: Path) -> tuple[Path, Path]:
    """Seconds 0 to 30, and 30 to 60 in a file whose time stamps begin at 0."""
    return (
        make_recording(folder / "first.flv", seconds=30, bframes=2),
        make_recording(folder / "second.flv", seconds=30, bframes=2, first=30),
    )


@pytest.fixture(scope="module")
def whole(folder: Path) -> Path:
    return make_recording(folder / "whole.flv", seconds=80)


def test_bytes_far_from_the_highlights_are_not_read(whole: Path, tmp_path: Path) -> None:
    lines = score(whole)
    assert all(one.seek is not None for one in lines)
    usual = cut(whole, [], [(65.3, 69.0)], tmp_path / "usual")
    first = next(one.seek for one in lines if one.start == 45.0)
    assert first is not None
    torn = tmp_path / "torn.flv"
    body = bytearray(whole.read_bytes())
    body[20_000 : first.byte] = bytes(first.byte - 20_000)
    torn.write_bytes(body)
    assert_same(cut(torn, lines, [(65.3, 69.0)], tmp_path / "near"), usual)
    assert frame_numbers(usual[0].path)[0][1] == 64 * FPS


def test_a_file_that_holds_something_else_there_is_read_from_its_beginning(whole: Path, tmp_path: Path) -> None:
    lines = [one if one.seek is None else replace(one, seek=replace(one.seek, byte=one.seek.byte + 99))
             for one in score(whole)]  # fmt: skip
    spans = [(65.3, 69.0), (21.0, 25.0)]
    assert_same(cut(whole, lines, spans, tmp_path / "moved"), cut(whole, [], spans, tmp_path / "usual"))


@pytest.mark.parametrize("fault", ["restart", "hole", "zeros", "transport stream"])
def test_faults_lose_no_clip(halves: tuple[Path, Path], tmp_path: Path, fault: str) -> None:
    first, second = halves
    source, hole = tmp_path / "room.flv", 0.0
    if fault == "restart":
        join_flv(source, (first, 0.0), (second, 0.0))
    elif fault == "hole":
        hole = 40.0
        join_flv(source, (first, 0.0), (second, 30.0 + hole))
    elif fault == "zeros":
        join_flv(source, (first, 0.0), (second, 30.0), between=bytes(1 << 16))
    else:
        source = make_recording(tmp_path / "room.ts", seconds=60, bframes=2, late=3600.0)
    lines = score(source)
    assert lines[2].seek is not None
    assert (lines[-1].seek is None) == (fault == "zeros"), "bytes are known up to the damage"
    spans = [(17.3, 21.0), (28.3, 30.0), (hole + 48.3, hole + 52.0)]
    assert_same(cut(source, lines, spans, tmp_path / "near"), cut(source, [], spans, tmp_path / "usual"))


def test_places_after_another_decoder_header_are_not_known(whole: Path, folder: Path, tmp_path: Path) -> None:
    larger = make_recording(folder / "larger.flv", seconds=20, height=96, first=80)
    source = join_flv(tmp_path / "room.flv", (whole, 0.0), (larger, 80.0))
    lines = score(source)
    assert lines[8].seek is not None and all(one.seek is None for one in lines if one.start >= 80.0)
    spans = [(93.3, 97.0)]
    assert_same(cut(source, lines, spans, tmp_path / "near"), cut(source, [], spans, tmp_path / "usual"))


def test_readings_share_what_overlaps_and_skip_the_rest() -> None:
    lines = [scored(index, (index * SEGMENT,), SeekPoint(index, index * SEGMENT, 0.0)) for index in range(100)]
    wanted = [highlight(400.0, 420.0), highlight(3.0, 9.0), highlight(120.0, 130.0), highlight(187.0, 190.0)]
    # Each reading ends 40 s behind its last highlight, and begins 10 s before the keyframe at its first one's start.
    assert plan_readings(wanted, lines) == [
        Reading(None, (1,)),
        Reading(SeekPoint(22, 110.0, 0.0), (2,)),
        Reading(SeekPoint(35, 175.0, 0.0), (3,)),
        Reading(SeekPoint(78, 390.0, 0.0), (0,)),
    ]
    assert plan_readings(wanted, []) == [Reading(None, (1, 2, 3, 0))]
