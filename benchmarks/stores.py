"""What does it cost to read from an object store? Ingest from S3 beside a local file, and the listing of an archive.

    python benchmarks/stores.py                    # 30 min of 720p30 as FLV, TS, Matroska and MP4; 100,000 objects

The server is moto, in a process of its own on loopback: a network's latency and bandwidth are not in the figures. Every
measurement is a process of its own, file and object take turns, and medians are printed.
"""

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from ingest import MEGABYTE, ffmpeg, make_piece, measured, repeated

sys.path.append(str(Path(__file__).resolve().parent.parent / "tests"))  # for the server of tests/support
CONTAINERS = {"flv": "flv", "ts": "mpegts", "mkv": "matroska", "mp4": "mp4"}


def serve(objects: int) -> None:
    """In a process of its own: an S3 server with `objects` small objects, until standard input ends.

    It prints its variables, then for each line that comes the bytes of each object that it has sent since the last one.
    """
    from moto.s3.models import s3_backends
    from support.s3_server import BUCKET, s3_server

    with s3_server() as server:
        backend = next(iter(s3_backends["123456789012"].values()))
        for number in range(objects):
            backend.put_object(BUCKET, f"many/{number // 1000:03}/{number:06}.flv", b"")
        print(json.dumps(server.variables), flush=True)
        for line in sys.stdin:  # one per question
            print(json.dumps(server.sent), flush=True)
            server.sent.clear()
            assert line


def list_all(url: str) -> None:
    """In a process of its own: list an archive, and print seconds and peak memory."""
    from kuaihl.engines.archive.stored_recordings import read_store

    begin = time.perf_counter()
    found = read_store(url, Path("out"), results=None, min_age=0.0)
    seconds = time.perf_counter() - begin
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / MEGABYTE
    print(json.dumps({"rooms": len(found.rooms), "seconds": seconds, "megabytes": peak}))


def ask(server: "subprocess.Popen[str]") -> dict[str, int]:
    """The bytes of each object that the server has sent since it was asked last."""
    assert server.stdin is not None and server.stdout is not None
    server.stdin.write("\n")
    server.stdin.flush()
    return dict(json.loads(server.stdout.readline()))


def compare(server: "subprocess.Popen[str]", folder: Path, minutes: int, runs: int) -> None:
    """Print the table of containers."""
    from kuaihl.engines.stores.store import put_file

    piece = make_piece(folder)
    print(f"{minutes} min of 720p30, median of {runs}; wall and processor seconds of the reader:\n")
    print("| container | MB | file, wall | object, wall | file, CPU | object, CPU | bytes sent ÷ size |")
    print("|---|---:|---:|---:|---:|---:|---:|")
    for suffix, muxer in CONTAINERS.items():
        path, url = folder / f"stream.{suffix}", f"s3://archive/media/stream.{suffix}"
        ffmpeg(*repeated(piece, minutes, str(path))[:-2], muxer, str(path))
        put_file(path, url)
        found: dict[str, list[dict[str, float]]] = {str(path): [], url: []}
        ask(server)
        for _ in range(runs):
            for source, measures in found.items():
                measures.append(measured("ours", source))
        size = path.stat().st_size
        share = ask(server)[f"media/stream.{suffix}"] / runs / size
        walls, processors = (
            [statistics.median(one[kind] for one in measures) for measures in found.values()]
            for kind in ("seconds", "processor")
        )
        seconds = " | ".join(f"{one:.2f}" for one in (*walls, *processors))
        print(f"| {suffix} | {size / MEGABYTE:.0f} | {seconds} | {share:.3f} |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=int, default=30)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--objects", type=int, default=100_000)
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--list", metavar="URL", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        serve(options.objects)
    elif options.list:
        list_all(options.list)
    else:
        command = [sys.executable, __file__, "--serve", "--objects", str(options.objects)]
        with (
            tempfile.TemporaryDirectory() as folder,
            subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as server,
        ):
            assert server.stdout is not None
            os.environ.update(json.loads(server.stdout.readline()))
            compare(server, Path(folder), options.minutes, options.runs)
            found = subprocess.run([sys.executable, __file__, "--list", "s3://archive/many"], capture_output=True)
            said = json.loads(found.stdout)
            print(f"\n{said['rooms']:,} objects listed in {said['seconds']:.1f} s, at most {said['megabytes']:.0f} MB")
            server.communicate()


if __name__ == "__main__":
    main()
