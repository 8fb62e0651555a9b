"""How long does it take to cut 10 highlights out of 2 h, beside ten runs of `ffmpeg -ss … -c copy`?

    python benchmarks/clips.py                # the table
    python benchmarks/clips.py --minutes 20   # a shorter recording

kuaihl is measured twice: as after scoring, which notes where the recording can be read, and as with another file.
The recording is 720p30 H.264 in FLV with a keyframe every 2 s, written by FFmpeg without an index, as recorders do. It
was read once before, so that the disk counts for neither side. Highlights are 40 s long, and evenly spread. Processor
time counts, of all threads and children, because wall time means little on a busy machine; both are given. FFmpeg has
no clock of a run: it seeks by the stamps in the file, so it would miss a recording whose stamps restart.
"""

import argparse
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from ingest import ffmpeg, make_piece, repeated

from kuaihl.engines.highlights.clip_style import ClipStyle
from kuaihl.engines.highlights.clips import Clip, cut_clips
from kuaihl.engines.ingest.opening import open_source
from kuaihl.engines.ingest.packets import packets
from kuaihl.engines.segmenter.segmenter import segments
from kuaihl.engines.types import Highlight, ScoredSegment

COUNT, SECONDS = 10, 40.0
TARGET = 3.0  # s for a stream copy


def spread(minutes: int) -> list[Highlight]:
    step = (minutes * 60 - SECONDS) / COUNT
    return [Highlight(step * (i + 0.5) + 0.7, step * (i + 0.5) + 0.7 + SECONDS, 0.5, (i,)) for i in range(COUNT)]


def score(source: Path) -> list[ScoredSegment]:
    """What a run knows of a recording's keyframes; scores mean nothing."""
    with open_source(str(source)) as opened:
        return [
            ScoredSegment(
                one.index, one.start, one.end, one.end, one.end, 0.5, "", 0, False, 0.0,
                keyframe_times=one.keyframe_times, seek=one.seek,
            )
            for one in segments(packets(opened), locate=opened.locate)
        ]  # fmt: skip


def by_kuaihl(
    source: Path, highlights: list[Highlight], folder: Path, style: ClipStyle, scored: list[ScoredSegment] | None = None
) -> None:
    clips = cut_clips(
        str(source), highlights, folder, "room", style=style, scored=scored or (), seek=scored is not None
    )
    assert all(isinstance(clip, Clip) for clip in clips), clips


def by_ffmpeg(source: Path, highlights: list[Highlight], folder: Path) -> None:
    for number, one in enumerate(highlights):
        span = ["-ss", f"{one.start}", "-i", str(source), "-t", f"{one.end - one.start}"]
        ffmpeg(*span, "-c", "copy", str(folder / f"{number}.mp4"))


def measure(work: Callable[[], None], passes: int) -> tuple[float, float]:
    """Medians of wall and processor seconds."""
    walls, cpus = [], []
    for _ in range(passes):
        used, began = os.times(), time.perf_counter()
        work()
        walls.append(time.perf_counter() - began)
        cpus.append(sum(os.times()[:4]) - sum(used[:4]))
    return statistics.median(walls), statistics.median(cpus)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=int, default=120)
    parser.add_argument("--passes", type=int, default=3)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        source = folder / "room.flv"
        ffmpeg(*repeated(make_piece(folder), options.minutes, str(source)))
        highlights = spread(options.minutes)
        by_ffmpeg(source, highlights, folder)
        scored = score(source)
        ways: dict[str, Callable[[], None]] = {
            "`ffmpeg -ss … -c copy`, ten times": lambda: by_ffmpeg(source, highlights, folder),
            "kuaihl, `--clips`": lambda: by_kuaihl(source, highlights, folder, ClipStyle(clips=True), scored),
            "the same, of another file": lambda: by_kuaihl(source, highlights, folder, ClipStyle(clips=True)),
            "kuaihl, `--clips --exact`": lambda: by_kuaihl(
                source, highlights, folder, ClipStyle(clips=True, exact=True), scored
            ),
        }
        print(f"| {COUNT} clips of {SECONDS:.0f} s from {options.minutes} min | wall, s | processor, s | ratio |")
        print("|---|---:|---:|---:|")
        first: float | None = None
        for way, work in ways.items():
            wall, cpu = measure(work, options.passes)
            first = cpu if first is None else first
            print(f"| {way} | {wall:.2f} | {cpu:.2f} | {cpu / first:.2f} |", flush=True)


if __name__ == "__main__":
    main()
