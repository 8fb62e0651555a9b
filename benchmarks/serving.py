"""How many live rooms one `kuaihl serve` follows on this machine, and how soon a segment has its score.

    python benchmarks/serving.py --rooms 25 50 100 [--asr auto] [--segment-seconds 30] [--media FILE]

A recording is brought into the form of a live stream (720p30, 2 Mbit/s, a keyframe every 2 s) and played to each room
in real time by a process of its own. The rooms begin evenly spread over a segment. A number of rooms is held if every
segment of every room was scored, in time and with its speech and pictures. The lag is counted from the moment at which
the last media of a segment was sent to the arrival of its score at a client: it includes the second that the segmenter
waits.

First come the bounds: what each part alone could do.
"""

import argparse
import http.client
import json
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from serving_rooms.bounds import bounds
from serving_rooms.server import Server

PACED = Path(__file__).parent / "serving_rooms" / "paced.py"
DEMO = Path(__file__).parent.parent / "examples" / "demo.flv"
COLUMNS = (
    *("rooms", "held", "lag p50, s", "p99, s", "after the segment p50, s", "p99, s", "dropped", "missing"),
    *("cores busy", "waits/s", "memory, MB", "per room, MB", "threads"),
)


@dataclass
class Held:
    """What was seen of a number of rooms."""

    rooms: int
    lags: list[float] = field(default_factory=list)  # seconds
    late: list[float] = field(default_factory=list)  # from a complete segment to its score
    overloads: int = 0
    missing: int = 0
    memory_mb: float = 0.0
    threads: int = 0
    cores: float = 0.0  # busy
    waits: float = 0.0  # of threads, per second


def make_stream(media: Path, seconds: float, path: Path) -> Path:
    """The recording as a streamer's encoder would send it."""
    command = ["ffmpeg", "-nostdin", "-loglevel", "error", "-stream_loop", "-1", "-i", str(media), "-t", str(seconds)]
    command += ["-vf", "scale=1280:720,fps=30", "-c:v", "libx264", "-preset", "ultrafast", "-b:v", "2M", "-g", "60"]
    command += ["-pix_fmt", "yuv420p", "-c:a", "aac", "-b:a", "96k", "-ar", "44100"]
    subprocess.run([*command, "-flvflags", "no_duration_filesize", "-f", "flv", str(path)], check=True)
    return path


def hold(rooms: int, stream: Path, arguments: argparse.Namespace, folder: Path) -> tuple[Held, float]:
    """Follow that many rooms for the time given; also the memory without any, in MB."""
    seconds = arguments.segment_seconds
    player = subprocess.Popen([sys.executable, str(PACED), str(stream)], stdout=subprocess.PIPE, text=True)
    assert player.stdout is not None
    port = int(player.stdout.readline())
    server = Server(folder, ["--asr", arguments.asr, "--segment-seconds", str(seconds), *arguments.option])
    try:
        empty, found = server.memory_mb(), Held(rooms)
        began = time.monotonic()
        for number in range(rooms):
            time.sleep(max(began + number * seconds / rooms - time.monotonic(), 0.0))
            room = {"id": f"r{number}", "url": f"http://127.0.0.1:{port}/r{number}"}
            assert server.call("POST", "/rooms", room) == 201
        time.sleep(seconds / 2)
        spent, waited, counted = server.processor(), server.switches(), time.monotonic()
        time.sleep(max(began + seconds * (arguments.segments + 1.5) - time.monotonic(), 0.0))
        taken = time.monotonic() - counted
        found.cores, found.waits = (server.processor() - spent) / taken, (server.switches() - waited) / taken
        found.memory_mb, found.threads = server.memory_mb(), server.threads()
        count(found, list(server.events), started_of(port), arguments)
    finally:
        server.stop()
        player.kill()
    return found, empty


def started_of(port: int) -> dict[str, float]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    connection.request("GET", "/started")
    found: dict[str, float] = json.loads(connection.getresponse().read())
    return found


def count(
    found: Held, events: list[tuple[float, dict[str, Any]]], started: dict[str, float], arguments: argparse.Namespace
) -> None:
    """Read the lags and the losses out of the events."""
    scored: dict[str, int] = dict.fromkeys(started, 0)
    for at, event in events:
        data = event["data"]
        if event["kind"] == "stream.event" and data["kind"] == "overload":
            found.overloads += 1
        if event["kind"] == "segment.scored" and data["segment"] < arguments.segments:
            scored[event["room"]] += 1
            found.lags.append(at - started[event["room"]] - data["end"])
            found.late.append(at - data["wall_time"])
    found.missing = sum(arguments.segments - number for number in scored.values())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rooms", type=int, nargs="+", default=[25, 50, 100])
    parser.add_argument("--segments", type=int, default=3, help="per room")
    parser.add_argument("--segment-seconds", type=float, default=30.0)
    parser.add_argument("--asr", default="none")
    parser.add_argument("--media", type=Path, default=DEMO)
    parser.add_argument("--option", action="append", default=[], help="for the server, as --option=--engine=onnx")
    parser.add_argument("--no-bounds", action="store_true")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        length = arguments.segment_seconds * (arguments.segments + 1.5) + 10
        stream = make_stream(arguments.media, length, Path(name) / "stream.flv")
        print(f"{arguments.media.name}, segments of {arguments.segment_seconds:g} s, speech: {arguments.asr}\n")
        if not arguments.no_bounds:
            print("| alone | ms of processor per segment | rooms per core |\n|---|---:|---:|")
            for part, taken, rooms in bounds(stream, arguments.segment_seconds, speech=arguments.asr != "none"):
                print(f"| {part} | {1000 * taken:.1f} | {rooms:,.0f} |", flush=True)
            print()
        print("| " + " | ".join(COLUMNS) + " |\n|---:|---" + "|---:" * (len(COLUMNS) - 2) + "|")
        for rooms in arguments.rooms:
            found, empty = hold(rooms, stream, arguments, Path(name) / str(rooms))
            print(row(found, empty, arguments), flush=True)


def row(found: Held, empty: float, arguments: argparse.Namespace) -> str:
    lags, late = (sorted(each) or [float("nan")] for each in (found.lags, found.late))
    total = found.rooms * arguments.segments
    held = not found.missing and not found.overloads
    cells = (
        *(str(found.rooms), "yes" if held else "no"),
        *(
            f"{statistics.median(lags):.1f}",
            f"{_high(lags):.1f}",
            f"{statistics.median(late):.1f}",
            f"{_high(late):.1f}",
        ),
        *(f"{found.overloads / total:.0%}", f"{found.missing} of {total}", f"{found.cores:.2f}"),
        *(
            f"{found.waits:,.0f}",
            f"{found.memory_mb:.0f}",
            f"{(found.memory_mb - empty) / found.rooms:.1f}",
            str(found.threads),
        ),
    )
    return "| " + " | ".join(cells) + " |"


def _high(ordered: list[float]) -> float:
    """The 99th percentile."""
    return ordered[min(int(0.99 * len(ordered)), len(ordered) - 1)]


if __name__ == "__main__":
    main()
