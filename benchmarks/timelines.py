"""How long do all files for editors take? A run folder of ten hours, with a highlight every minute and a half.

    python benchmarks/timelines.py              # 1,200 segments of 30 s, 18,000 of 2 s

`kuaihl highlights` chooses the highlights from the scores and writes every format that there is, in a process of its
own. Processor time counts, with the interpreter's start, because wall time means little on a busy machine. The least of
three runs. It ends with 1 if a run takes longer than the target.
"""

import math
import os
import random
import subprocess
import sys
import tempfile
from fractions import Fraction
from pathlib import Path

from kuaihl.engines.outputs.formats import FORMATS
from kuaihl.engines.outputs.run_record import RunRecord, SourceIdentity, write_record
from kuaihl.engines.outputs.scores_jsonl import ScoresWriter
from kuaihl.engines.types import MediaFacts, ScoredSegment, Sentence

HOURS, RUNS = 10, 3
TARGET = 5.0  # seconds
RATE = Fraction(60000, 1001)
MEDIA = MediaFacts(
    "/media/stream.mp4", RATE, round(HOURS * 3600 * RATE), False, "10:00:00;00", 0.021, 1920, 1080, 48_000, 2
)
SAID = 'the what a play he is so good nice try 太棒了 哈哈哈 again no way that was close go left <b> & "please"'
WORDS = SAID.split()


def make_run(folder: Path, seconds: float) -> None:
    """Scores with a peak every ninety seconds, and words, sentences and keyframes in every line."""
    draw = random.Random(0)
    folder.mkdir()
    with ScoresWriter(folder / "scores.jsonl") as scores:
        for index in range(round(HOURS * 3600 / seconds)):
            start = index * seconds
            level = 0.4 + 0.2 * math.sin(2 * math.pi * start / 90.0) + draw.gauss(0.0, 0.01)
            words = " ".join(draw.choices(WORDS, k=round(2.5 * seconds)))
            scores.write(
                ScoredSegment(
                    index,
                    start,
                    start + seconds,
                    start + seconds,
                    start + 2 * seconds,
                    level,
                    words,
                    12,
                    False,
                    1.7e9,
                    interest=level,
                    sentences=(Sentence(start, start + seconds / 2, words),),
                    keyframe_times=tuple(start + 2.0 * at for at in range(max(round(seconds / 2), 1))),
                )
            )
    write_record(folder, RunRecord(SourceIdentity("stream.mp4", 1, 1, "ab"), None, "edge", "ab" * 32, media=MEDIA))
    (folder / "highlights.json").write_text('{"complete": true}')


def measure(folder: Path, names: str) -> float:
    """Processor seconds of the command."""
    options = ["--min-score", "0.1", "--format", names, "--quiet"]
    before = os.times()
    subprocess.run([sys.executable, "-m", "kuaihl_cli", "highlights", str(folder), *options], check=True)
    after = os.times()
    return after.children_user + after.children_system - before.children_user - before.children_system


def main() -> int:
    print("| segments | highlights | csv alone | all formats | size of all |")
    print("|---|---|---|---|---|")
    slowest = 0.0
    for seconds in (30.0, 2.0):
        with tempfile.TemporaryDirectory() as place:
            folder = Path(place) / "run"
            make_run(folder, seconds)
            alone = min(measure(folder, "csv") for _ in range(RUNS))
            took = min(measure(folder, ",".join(FORMATS)) for _ in range(RUNS))
            size = sum((folder / one.file).stat().st_size for one in FORMATS.values())
            count = len((folder / FORMATS["twitch"].file).read_text(encoding="utf-8").splitlines())
        segments = round(HOURS * 3600 / seconds)
        print(f"| {segments:,} of {seconds:g} s | {count} | {alone:.2f} s | {took:.2f} s | {size / 1e6:.1f} MB |")
        slowest = max(slowest, took)
    print(f"\ntarget: {TARGET:g} s for all formats; the slowest took {slowest:.2f} s")
    return int(slowest > TARGET)


if __name__ == "__main__":
    sys.exit(main())
