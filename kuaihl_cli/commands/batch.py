"""`kuaihl batch DIR|MANIFEST -o OUT`: an archive of recordings, scored in worker processes."""

import json
import os
import sys
import threading
from collections import Counter
from functools import partial
from pathlib import Path
from typing import Any

import click

from kuaihl.engines.archive import Room, RoomResult, ScoreRoom, score_archive
from kuaihl.engines.manifest import read_rooms
from kuaihl.models.errors import BatchError
from kuaihl_cli.options import debug_option, highlight_options, model_options, text_weights_option
from kuaihl_cli.output_folder import is_finished
from kuaihl_cli.settings import ScoreSettings

SUMMARY_FILE = "batch.jsonl"


@click.command()
@click.argument("archive", type=click.Path(path_type=Path), metavar="DIR|MANIFEST")
@click.option(
    "--output", "-o", type=click.Path(path_type=Path), required=True, metavar="OUT", help="A folder a room goes here."
)
@click.option("--jobs", "-j", type=click.IntRange(1, 256), default=1, show_default=True, help="Worker processes.")
@model_options
@text_weights_option
@highlight_options
@click.option("--force", is_flag=True, help="Score finished rooms again.")
@click.option("--quiet", "-q", is_flag=True, help="Say nothing but errors.")
@debug_option
def batch(archive: Path, output: Path, jobs: int, force: bool, quiet: bool, **options: Any) -> int:
    """Score every recording of a folder, or every source that a manifest lists, one a line.

    Comments beside a recording (NAME.xml, NAME.live_chat.json, …) are read with it. Rooms that an earlier run finished
    are skipped. A room that fails is listed with its reason, the rest go on, and the exit code is 5.
    """
    rooms = read_rooms(archive, output)
    settings = ScoreSettings(**options)
    if settings.threads is None:
        settings = ScoreSettings(**{**options, "threads": max(1, (os.cpu_count() or 1) // jobs)})
    output.mkdir(parents=True, exist_ok=True)
    counts: Counter[str] = Counter()
    results = score_archive(
        rooms,
        jobs=jobs,
        prepare=partial(prepare, settings),
        finished=lambda room: not force and is_finished(room.output),
    )
    with (output / SUMMARY_FILE).open("a", encoding="utf-8") as summary:
        for result in results:
            counts[result.status] += 1
            if result.status != "skipped":
                summary.write(json.dumps(summary_entry(result), ensure_ascii=False) + "\n")
                summary.flush()
            if not quiet or result.status == "failed":
                print(f"[{counts.total()}/{len(rooms)}] {in_words(result)}", file=sys.stderr, flush=True)
    if not quiet:
        print(f"{counts['done']} done, {counts['skipped']} skipped, {counts['failed']} failed", file=sys.stderr)
    if counts["failed"]:
        raise BatchError(f"{counts['failed']} of {len(rooms)} rooms failed; {output / SUMMARY_FILE} says why")
    return 0


def prepare(settings: ScoreSettings) -> ScoreRoom:
    """In a worker: load the models, give what scores a room with them."""
    from kuaihl_cli.progress import SilentProgress
    from kuaihl_cli.room import load_tools, score_room

    tools = load_tools(settings, lambda line: print(line, file=sys.stderr, flush=True))

    def score_one(room: Room) -> None:
        score_room(room, tools, settings, SilentProgress(), threading.Event())

    return score_one


def summary_entry(result: RoomResult) -> dict[str, Any]:
    """A line of batch.jsonl."""
    return {
        "source": result.room.source,
        "output": str(result.room.output),
        "status": result.status,
        "reason": result.reason,
        "seconds": round(result.seconds, 3),
    }


def in_words(result: RoomResult) -> str:
    match result.status:
        case "done":
            return f"{result.room.source}: done in {result.seconds:.1f} s"
        case "skipped":
            return f"{result.room.source}: finished before, skipped"
        case _:
            return f"{result.room.source}: FAILED: {result.reason}"
