"""The whole of `kuaihl score` on speech-heavy video, edge bundle, beside the script that a user would write.

    python benchmarks/score.py talk.mp4 [--runs 3] [--minutes 5] [--as-stream]

Repeats the video to the asked length by stream copy and runs both in turn, as processes of their own with the same two
threads. Prints medians: seconds, × real time, the share of every stage, and the ratio. Both include loading.
--as-stream first encodes the video as streamers send it. Files made for download may have one keyframe per minute, and
then either decoder must go through every picture.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).parent
THREADS = "2"


def repeated(video: Path, minutes: float, folder: Path) -> Path:
    """The video over and over again, by stream copy, as one Matroska file of about that many minutes."""
    seconds = float(
        subprocess.check_output(
            ["ffprobe", "-v", "error", "-show_entries", "format=duration", "-of", "csv=p=0", str(video)]
        )
    )
    times = max(1, round(minutes * 60 / seconds))
    target = folder / "speech.mkv"
    command = [
        "ffmpeg",
        "-v",
        "error",
        "-stream_loop",
        str(times - 1),
        "-i",
        str(video),
        "-map",
        "0:v:0",
        "-map",
        "0:a:0",
    ]
    subprocess.run([*command, "-c", "copy", str(target)], check=True)
    return target


def as_stream(video: Path, folder: Path) -> Path:
    """The same video as 720p30 H.264 and AAC in FLV, with a keyframe every 2 s."""
    target = folder / "stream.flv"
    picture = "-vf scale=1280:720,fps=30 -c:v libx264 -preset veryfast -b:v 2500k -pix_fmt yuv420p"
    keyframes, sound = "-g 60 -sc_threshold 0", "-c:a aac -b:a 128k -ar 44100"
    options = f"-map 0:v:0 -map 0:a:0 {picture} {keyframes} {sound}".split()
    subprocess.run(["ffmpeg", "-v", "error", "-i", str(video), *options, str(target)], check=True)
    return target


def run_ours(video: Path, folder: Path) -> dict[str, float]:
    """Wall seconds of the command, and of its stages as `--verbose` prints them."""
    began = time.perf_counter()
    options = ["-o", str(folder / "out"), "--force", "--verbose", "--no-comments"]
    done = subprocess.run(
        [sys.executable, "-m", "kuaihl_cli", "score", str(video), *options],
        check=True,
        text=True,
        capture_output=True,
        env=os.environ | {"KUAIHL_THREADS": THREADS, "OMP_NUM_THREADS": THREADS},
    )
    steps = {"total": time.perf_counter() - began}
    for line in done.stderr.splitlines():
        words = line.split()
        if line.endswith("x real time") and len(words) >= 3 and words[2] == "s":
            steps[words[0]] = float(words[1])
    return steps


def run_plain(video: Path) -> dict[str, float]:
    """Wall seconds of the plain script and of its steps."""
    began = time.perf_counter()
    done = subprocess.run(
        [sys.executable, str(HERE / "straightforward.py"), str(video)],
        check=True,
        text=True,
        capture_output=True,
        env=os.environ | {"OMP_NUM_THREADS": THREADS},
    )
    return {"total": time.perf_counter() - began} | json.loads(done.stdout.splitlines()[-1])


def table(title: str, runs: list[dict[str, float]], media_seconds: float) -> float:
    """Print the medians of some runs as a table; returns the median total."""
    medians = {name: statistics.median(run[name] for run in runs) for name in runs[0] if name != "media_seconds"}
    print(f"\n| {title} | seconds | share | × real time |\n|---|---|---|---|")
    for name, seconds in medians.items():
        print(
            f"| {name} | {seconds:.2f} | {seconds / medians['total']:.0%} | {media_seconds / max(seconds, 1e-9):.1f} |"
        )
    return medians["total"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("video", type=Path)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--minutes", type=float, default=5.0)
    parser.add_argument("--as-stream", action="store_true", help="encode first: 720p30 H.264, a keyframe every 2 s")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        original = as_stream(arguments.video, folder) if arguments.as_stream else arguments.video
        video = repeated(original, arguments.minutes, folder)
        ours, plain = [], []
        for _ in range(arguments.runs):
            ours.append(run_ours(video, folder))
            plain.append(run_plain(video))
        media_seconds = plain[0]["media_seconds"]
        what = f"{media_seconds:.0f} s of {arguments.video.name}{' as a stream' if arguments.as_stream else ''}"
        print(f"{what}, {THREADS} threads, medians of {arguments.runs} runs")
        fast = table("kuaihl score", ours, media_seconds)
        slow = table("straightforward script", plain, media_seconds)
        print(f"\nkuaihl score is {slow / fast:.1f}x the straightforward script")


if __name__ == "__main__":
    main()
