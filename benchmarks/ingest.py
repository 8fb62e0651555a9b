"""How fast is the ingest, and how much memory does it take? Ours beside a full decode, on 30 min of 720p30 FLV.

    python benchmarks/ingest.py                 # the table
    python benchmarks/ingest.py --memory        # and the peak memory at 10 min and at 4 h

FFmpeg makes the FLV. Every measurement is a process of its own, the contenders take turns, and medians are printed. The
full decode is FFmpeg's own command: every frame through `fps=1/10`, all of the sound to 16 kHz mono.
"""

import argparse
import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

PIECE_SECONDS = 60  # encoded once, then repeated by stream copy
SHORT_MINUTES, LONG_MINUTES = 10, 240
MEGABYTE = 1 << 20


def make_piece(folder: Path) -> Path:
    """A minute of 720p30 H.264 with a keyframe every 2 s, and AAC, at a streamer's bit rate."""
    piece = folder / "piece.flv"
    picture = f"testsrc2=size=1280x720:rate=30:duration={PIECE_SECONDS}"
    sound = f"anoisesrc=color=pink:amplitude=0.3:sample_rate=44100:duration={PIECE_SECONDS}"
    video = ["-c:v", "libx264", "-preset", "veryfast", "-b:v", "2500k", "-maxrate", "2500k", "-bufsize", "5000k"]
    video += ["-g", "60", "-sc_threshold", "0", "-pix_fmt", "yuv420p"]
    ffmpeg("-f", "lavfi", "-i", picture, "-f", "lavfi", "-i", sound, *video, "-c:a", "aac", "-b:a", "128k", str(piece))
    return piece


def repeated(piece: Path, minutes: int, target: str) -> list[str]:
    """FFmpeg's arguments to repeat the piece by stream copy."""
    seconds = minutes * 60
    return ["-stream_loop", "-1", "-i", str(piece), "-t", str(seconds), "-c", "copy", "-f", "flv", target]


def ffmpeg(*arguments: str) -> None:
    subprocess.run(["ffmpeg", "-v", "error", "-nostdin", "-y", *arguments], check=True)


def demux_alone(path: str) -> None:
    import av

    with av.open(path) as container:
        for _ in container.demux():
            pass


def ours(path: str) -> None:
    from kuaihl.engines.ingest.opening import open_source
    from kuaihl.engines.ingest.packets import packets
    from kuaihl.engines.segmenter.segmenter import segments

    with open_source(path) as source:
        for segment in segments(packets(source)):
            assert len(segment.frames) == 3
            assert segment.audio.size > 0


def full_decode(path: str) -> None:
    ffmpeg(
        *(
            "-i",
            path,
            "-map",
            "0:v",
            "-vf",
            "fps=1/10,scale=512:288",
            "-pix_fmt",
            "rgb24",
            "-f",
            "rawvideo",
            "/dev/null",
        ),
        *("-map", "0:a", "-ac", "1", "-ar", "16000", "-f", "f32le", "/dev/null"),
    )


CONTENDERS: dict[str, tuple[str, Callable[[str], None]]] = {
    "demux": ("demuxing alone, PyAV", demux_alone),
    "ours": ("kuaihl: 3 keyframes and 30 s of sound a segment", ours),
    "full": ("full decode: ffmpeg -vf fps=1/10, sound to 16 kHz", full_decode),
}


def measure(contender: str, path: str) -> None:
    """In a process of its own: print wall and processor seconds and peak memory, without the start of Python."""
    begin, used = time.perf_counter(), time.process_time()
    CONTENDERS[contender][1](path)
    seconds, processor = time.perf_counter() - begin, time.process_time() - used
    peak = max(resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    print(json.dumps({"seconds": seconds, "processor": processor, "megabytes": peak * 1024 / MEGABYTE}))


def measured(contender: str, path: str, feed: list[str] | None = None) -> dict[str, float]:
    """Measure in a new process; `feed` holds FFmpeg's arguments for its piped input."""
    command = [sys.executable, __file__, "--measure", contender, path]
    if feed is None:
        run = subprocess.run(command, stdout=subprocess.PIPE, check=True)
        return dict(json.loads(run.stdout))
    with subprocess.Popen(["ffmpeg", "-v", "error", "-nostdin", *feed], stdout=subprocess.PIPE) as writer:
        run = subprocess.run(command, stdin=writer.stdout, stdout=subprocess.PIPE, check=True)
    return dict(json.loads(run.stdout))


def speed_table(path: Path, minutes: int, runs: int) -> None:
    results: dict[str, list[dict[str, float]]] = {name: [] for name in CONTENDERS}
    for _ in range(runs):
        for name, found in results.items():
            found.append(measured(name, str(path)))
    print(f"\n{minutes} min of 720p30 FLV, {path.stat().st_size / MEGABYTE:.0f} MB, median of {runs}:\n")
    print("| | wall, s | × real time | peak memory, MB |\n|---|---:|---:|---:|")
    seconds = {name: statistics.median(one["seconds"] for one in found) for name, found in results.items()}
    for name, (words, _) in CONTENDERS.items():
        peak = statistics.median(one["megabytes"] for one in results[name])
        print(f"| {words} | {seconds[name]:.2f} | {minutes * 60 / seconds[name]:,.0f} | {peak:.0f} |")
    print(f"\nkuaihl is {seconds['full'] / seconds['ours']:.1f} times as fast as the full decode.")


def memory_table(piece: Path) -> None:
    """The stream is piped in, so that four hours need no disk."""
    print("\n| stream, piped in | peak memory, MB | × real time |\n|---|---:|---:|")
    for minutes in (SHORT_MINUTES, LONG_MINUTES):
        one = measured("ours", "-", repeated(piece, minutes, "pipe:1"))
        print(f"| {minutes} min | {one['megabytes']:.0f} | {minutes * 60 / one['seconds']:,.0f} |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=int, default=30)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--memory", action="store_true", help="also 10 min against 4 h")
    parser.add_argument("--measure", nargs=2, metavar=("CONTENDER", "FILE"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.measure:
        measure(*options.measure)
        return
    with tempfile.TemporaryDirectory() as folder:
        piece = make_piece(Path(folder))
        path = Path(folder) / "stream.flv"
        ffmpeg(*repeated(piece, options.minutes, str(path)))
        speed_table(path, options.minutes, options.runs)
        if options.memory:
            memory_table(piece)


if __name__ == "__main__":
    main()
