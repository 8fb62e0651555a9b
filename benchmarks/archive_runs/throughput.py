"""Throughput: a batch with two jobs beside two processes of `kuaihl score` at once, over the same recordings.

The two processes of `kuaihl score` get half of the recordings each, and load the models once each, as workers do.
"""

import os
import time
from pathlib import Path

from fault_campaign.result import Figure
from support.media import make

from archive_runs.commands import LONG_AGO, OPTIONS, batch, measure, start

LEAST_SHARE = 0.95
SECONDS = 60.0  # of each recording
ROUNDS = 3  # of both by turns: the best counts, for another program may disturb one


def run(folder: Path, size: int) -> tuple[Figure, ...]:
    """Score `size` recordings."""
    (folder / "in").mkdir()
    first = make(folder / "in" / "000.flv", seconds=SECONDS)
    os.utime(first, (LONG_AGO, LONG_AGO))
    for number in range(1, size):
        os.link(first, folder / "in" / f"{number:03}.flv")
    files = sorted((folder / "in").iterdir())
    alone, together = [], []
    for each in range(ROUNDS):
        alone.append(_score_in_two_processes(files, folder / f"alone-{each}"))
        spent = measure(*batch(folder, "--jobs", "2", "--force"))
        together.append((spent.wall, spent.processor))
    media = SECONDS * size
    (wall_alone, processor_alone), (wall, processor) = (
        tuple(map(min, zip(*each, strict=True))) for each in (alone, together)
    )
    return (
        Figure("media", media, "s"),
        Figure("two processes of score", media / wall_alone, "× real time"),
        Figure("a batch with two jobs", media / wall, "× real time"),
        Figure("time of the batch in times of the two processes", wall / wall_alone, "", 1 / LEAST_SHARE),
        Figure("processor time in the same way", processor / processor_alone),
    )


def _score_in_two_processes(files: list[Path], output: Path) -> tuple[float, float]:
    """Seconds until both are done, and of processor time. Raises AssertionError if one fails."""
    output.mkdir()
    began, before = time.monotonic(), os.times()
    halves = (files[0::2], files[1::2])
    both = [
        start("score", *half, "-o", output / str(number), *OPTIONS, "--quiet") for number, half in enumerate(halves)
    ]
    codes = [one.wait() for one in both]
    assert codes == [0, 0], codes
    after = os.times()
    processor = after.children_user + after.children_system - before.children_user - before.children_system
    return time.monotonic() - began, processor
