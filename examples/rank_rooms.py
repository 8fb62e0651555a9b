"""Rank live rooms as the paper's online experiment does: a recommender's own scores plus KuaiHL's (supplement, III-A).

    python examples/rank_rooms.py RUN... --scores FILE.csv

    s_base = s_ctr + s_lvtr + …
    s_exp  = s_ctr + s_lvtr + … + s_KuaiHL

Each RUN is a folder that `kuaihl score -o RUN` fills; s_KuaiHL is the last score in its scores.jsonl, what it predicts
for the segment to come. FILE.csv has a column `room`, the folder's name, and a column per score of the recommender. Run
it again whenever the order is wanted: the feed grows by a line per segment. A room without a score yet counts with the
mean of the others (the paper does not say). The sum is unweighted, as printed.
"""

import argparse
import csv
import json
import math
import sys
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Room:
    """A candidate: what the recommender says of it, and what KuaiHL says of its next segment."""

    name: str
    base: float  # s_base
    highlight: float | None  # s_KuaiHL, None before the first segment is over
    until: float | None  # seconds of the stream up to which that score speaks


def main() -> int:
    parser = argparse.ArgumentParser(description="Rank live rooms by s_ctr + s_lvtr + … + s_KuaiHL.")
    parser.add_argument("runs", nargs="+", type=Path, metavar="RUN", help="folder of kuaihl score -o")
    parser.add_argument("--scores", required=True, type=Path, metavar="FILE", help="csv: room, s_ctr, s_lvtr, …")
    asked = parser.parse_args()
    try:
        bases = read_bases(asked.scores)
        rooms = [read_room(run, bases) for run in asked.runs]
    except (OSError, ValueError) as error:
        words = f"{error.filename}: {error.strerror}" if isinstance(error, OSError) else error
        print(f"rank_rooms: error: {words}", file=sys.stderr)
        return 3
    for line in table(rooms):
        print(line)
    return 0


def read_bases(file: Path) -> dict[str, float]:
    """s_base of each room: the sum of all columns but `room`. Raises OSError, ValueError naming the row."""
    bases = {}
    with file.open(newline="", encoding="utf-8") as opened:
        rows = csv.DictReader(opened)
        if "room" not in (rows.fieldnames or ()):
            raise ValueError(f"{file}: has no column 'room'")
        for number, row in enumerate(rows, start=2):
            name = row.pop("room")
            try:
                base = sum(float(value) for value in row.values())
            except (TypeError, ValueError) as error:
                raise ValueError(f"{file}, line {number}: room {name} has a score that is no number") from error
            if not math.isfinite(base):
                raise ValueError(f"{file}, line {number}: room {name} has a score that is not finite")
            bases[name] = base
    return bases


def read_room(run: Path, bases: dict[str, float]) -> Room:
    """The room of a run folder, by its last whole line of scores.jsonl. Raises OSError, ValueError."""
    name = run.resolve().name
    if name not in bases:
        raise ValueError(f"{run}: the csv has no row of room {name}")
    feed = run / "scores.jsonl"
    lines = feed.read_text(encoding="utf-8").splitlines(keepends=True) if feed.is_file() else []
    whole = [line for line in lines if line.endswith("\n")]  # the last may be in the middle of being written
    if not whole:
        return Room(name, bases[name], None, None)
    last = json.loads(whole[-1])
    return Room(name, bases[name], last["score"], last["predicts_end"])


def table(rooms: list[Room]) -> list[str]:
    """The ranking by s_exp, best first, with the rank that s_base alone would give."""
    known = [room.highlight for room in rooms if room.highlight is not None]
    usual = sum(known) / len(known) if known else 0.0

    def s_exp(room: Room) -> float:
        return room.base + (usual if room.highlight is None else room.highlight)

    before = {room.name: rank for rank, room in enumerate(sorted(rooms, key=lambda room: -room.base), start=1)}
    lines = [f"{'rank':>4} {'before':>6} {'s_exp':>8} {'s_base':>8} {'s_KuaiHL':>8} {'until':>8}  room"]
    for rank, room in enumerate(sorted(rooms, key=lambda room: -s_exp(room)), start=1):
        highlight = "-" if room.highlight is None else f"{room.highlight:.4f}"
        until = "-" if room.until is None else f"{room.until:.0f} s"
        sums = f"{s_exp(room):>8.4f} {room.base:>8.4f}"
        lines.append(f"{rank:>4} {before[room.name]:>6} {sums} {highlight:>8} {until:>8}  {room.name}")
    return lines


if __name__ == "__main__":
    sys.exit(main())
