"""`kuaihl batch DIR|MANIFEST|- -o OUT`: an archive of recordings, scored in worker processes."""

import json
import os
from collections import Counter
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer

from kuaihl.engines.archive.jobs import Job, JobResult, ScoreJob
from kuaihl.engines.archive.manifest import comments_beside, read_rooms
from kuaihl.engines.archive.pool import score_archive
from kuaihl.engines.outputs.run_folder import is_finished
from kuaihl.engines.scoring.settings import ScoreSettings
from kuaihl.models.credentials import mask_credentials, shown_source
from kuaihl.models.errors import BatchError
from kuaihl_cli.command import RULE, application, read_settings
from kuaihl_cli.options import JobsOption
from kuaihl_cli.run_options import RunOptions, run_settings
from kuaihl_cli.terminal.errors import error_words
from kuaihl_cli.terminal.messages import log_only, say
from kuaihl_cli.terminal.results import result_words, total_words

_SUMMARY_FILE = "batch.jsonl"

app = application()


@dataclass(frozen=True, kw_only=True)
class BatchOptions(RunOptions):
    """The options of `kuaihl batch`."""

    archive: Annotated[
        Path,
        typer.Argument(
            metavar="DIR|MANIFEST|-",
            help="A folder of recordings, a manifest of sources, or - for a manifest on standard input.",
        ),
    ]
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="OUT", help="The folder in which every room gets its own.")
    ]
    jobs: JobsOption = 1
    force: Annotated[bool, typer.Option("--force", help="Score finished rooms again.")] = False


@app.command(epilog=RULE)
@read_settings(BatchOptions)
def batch(options: BatchOptions) -> int:
    """Score every recording of a folder, or every source that a manifest lists, one per line.

    Comments beside a recording (NAME.xml, NAME.live_chat.json, …) are read with it. Rooms that an earlier run finished
    are skipped. If a room fails, its reason is listed, the others go on, and the exit code is 5.
    """
    rooms = read_rooms(options.archive, options.output)
    if options.no_comments:
        rooms = [replace(room, comments=None) for room in rooms]
    threads = options.threads or max(1, (os.cpu_count() or 1) // options.jobs)
    options.output.mkdir(parents=True, exist_ok=True)
    report = log_only if options.quiet else say
    counts: Counter[str] = Counter()
    results = score_archive(
        rooms,
        processes=options.jobs,
        prepare=partial(_prepare, run_settings(options, threads=threads)),
        finished=lambda room: not options.force and is_finished(room.output),
    )
    with (options.output / _SUMMARY_FILE).open("a", encoding="utf-8") as summary:
        for result in results:
            counts[result.status] += 1
            if result.status != "skipped":
                summary.write(json.dumps(_summary_entry(result), ensure_ascii=False) + "\n")
                summary.flush()
            tell = say if result.status == "failed" else report
            tell(f"[{counts.total()}/{len(rooms)}] {result_words(result)}")
    report(total_words(counts))
    if counts["failed"]:
        raise BatchError(f"{counts['failed']} of {len(rooms)} rooms failed; {options.output / _SUMMARY_FILE} says why")
    return 0


def _prepare(settings: ScoreSettings) -> ScoreJob:
    """In a worker: load the models, and return the function that scores a room with them."""
    from kuaihl.engines.scoring.model import load_model
    from kuaihl.engines.scoring.run import Run

    model = load_model(settings, lambda line: say(error_words(line)))

    def score_one(room: Job) -> None:
        comments = "auto" if room.comments == comments_beside(Path(room.source)) else room.comments
        Run(model, room.source, settings, output=room.output, comments=comments, streamer=room.streamer).finish()

    return score_one


def _summary_entry(result: JobResult) -> dict[str, Any]:
    """One line of batch.jsonl."""
    return {
        "source": shown_source(result.job.source),
        "output": str(result.job.output),
        "status": result.status,
        "reason": None if result.reason is None else mask_credentials(str(result.reason)),
        "seconds": round(result.seconds, 3),
    }
