"""How fast windows are read from a KLive data set, and whether memory stays flat while the data grows.

    python benchmarks/reader.py [--rooms 1000 20000] [--segments 40] [--seconds 15] [--folder /tmp]

Writes as many rooms as the largest number asks for (340 kB each), and removes them at the end. Reads random windows of
20 segments in batches of 48, as training does: first in one process, then in two at once. Patches are pooled to one
per frame, 3 of 1280 numbers, and a text vector has 384. The data are in the page cache: the disk is not measured.
"""

import argparse
import multiprocessing
import shutil
import tempfile
import time
from pathlib import Path

import numpy as np

from kuaihl.models.data.klive import ROOMS_FOLDER, WINDOW, open_klive
from kuaihl.models.data.klive_writer import DataSetWriter
from kuaihl.models.facts import DataSetFacts, LabelFacts, RoomRecord

BATCH = 48
FACTS = DataSetFacts(
    profile="edge",
    encoders=(),
    segment_seconds=30.0,
    label=LabelFacts(source="drawn for a benchmark"),
    visual_width=1280,
    text_width=384,
    patches=3,
)
Found = tuple[
    float, float, float, dict[str, float]
]  # windows per second, windows per second of CPU, bytes per second, memory
MEASURES = ("VmRSS", "RssAnon", "RssFile")


def main() -> None:
    parser = argparse.ArgumentParser(description="Windows a second, and memory, of the KLive reader.")
    parser.add_argument("--rooms", type=int, nargs="+", default=[1000, 20_000])
    parser.add_argument("--segments", type=int, default=40)
    parser.add_argument("--seconds", type=float, default=15.0)
    parser.add_argument("--folder", type=Path)
    options = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="kuaihl-reader-", dir=options.folder))
    try:
        sets = write_sets(folder, sorted(options.rooms), options.segments)
        print(f"{'rooms':>7} {'processes':>10} {'windows/s':>10} {'a CPU second':>13} {'GB/s':>6}", end="")
        print("   MB resident, anonymous, of files")
        for rooms, path in sets.items():
            for processes in (1, 2):
                report(rooms, measure(path, processes, options.seconds))
    finally:
        shutil.rmtree(folder)


def write_sets(folder: Path, counts: list[int], segments: int) -> dict[int, Path]:
    """A data set for each number of rooms; they share their files."""
    random = np.random.default_rng(0)
    pool = random.normal(size=(4 * segments, FACTS.patches * FACTS.visual_width + FACTS.text_width)).astype(np.float16)
    views = random.integers(60, 1000, segments).astype(np.int32)
    written: list[RoomRecord] = []
    sets = {}
    for count in counts:
        path = folder / str(count)
        writer = DataSetWriter(path, FACTS)
        if sets:
            (path / ROOMS_FOLDER).rmdir()
            (path / ROOMS_FOLDER).symlink_to(folder / str(counts[0]) / ROOMS_FOLDER)
        for number in range(len(written), count):
            record = RoomRecord(f"room-{number:06}", f"streamer-{number % 500}", segments, "train")
            features = pool[random.integers(len(pool), size=segments)]
            visual, text = np.split(features, [FACTS.patches * FACTS.visual_width], axis=1)
            arrays = {
                "visual": visual.reshape(segments, FACTS.patches, FACTS.visual_width),
                "text": text,
                "views": views,
                "long_views": views // 3,
            }
            writer.write_room(record, arrays)
            written.append(record)
        writer.records.update({record.id: record for record in written})
        writer.finish()
        sets[count] = path
    return sets


def measure(path: Path, processes: int, seconds: float) -> list[Found]:
    """Read in that many processes at once; returns the findings of each."""
    context = multiprocessing.get_context("spawn")
    together = context.Barrier(processes)
    answers = context.SimpleQueue()
    workers = [context.Process(target=read, args=(path, seconds, seed, together, answers)) for seed in range(processes)]
    for worker in workers:
        worker.start()
    found = [answers.get() for _ in workers]
    for worker in workers:
        worker.join()
    return found


def read(path: Path, seconds: float, seed: int, together: object, answers: object) -> None:
    """Open the data set, read every room once, then read random windows for that long."""
    data = open_klive(path)
    windows = data.windows("train")
    segments = data.rooms[0].segments
    random = np.random.default_rng(seed)
    for first in range(
        0, len(data.rooms), BATCH
    ):  # rows are checked when a room is first read: once per epoch, not per window
        windows.gather(np.arange(first, min(first + BATCH, len(data.rooms))) * segments)
    together.wait()  # type: ignore[attr-defined]
    start, cpu, count, copied = time.perf_counter(), time.process_time(), 0, 0
    while (elapsed := time.perf_counter() - start) < seconds:
        got = windows.gather(random.integers(len(windows), size=BATCH))
        count += BATCH
        copied += got.visual.nbytes + got.text.nbytes
    cpu = time.process_time() - cpu  # less than the elapsed time if others use the machine
    answers.put((count / elapsed, count / cpu, copied / elapsed, resident()))  # type: ignore[attr-defined]


def resident() -> dict[str, float]:
    """This process's memory in MB, as the kernel counts it."""
    status = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    lines = {line.split(":")[0]: line for line in status}
    return {name: int(lines[name].split()[1]) / 1000 for name in MEASURES}


def report(rooms: int, found: list[Found]) -> None:
    rate, copied = sum(one[0] for one in found), sum(one[2] for one in found) / 1e9
    cpu = sum(one[1] for one in found) / len(found)
    memory = ", ".join(f"{max(one[3][name] for one in found):.0f}" for name in MEASURES)
    print(f"{rooms:>7} {len(found):>10} {rate:>10,.0f} {cpu:>13,.0f} {copied:>6.2f}   {memory}", flush=True)


if __name__ == "__main__":
    assert WINDOW == 20
    main()
