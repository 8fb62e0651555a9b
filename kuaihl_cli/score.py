"""`kuaihl score SOURCE`: rolling highlight scores and highlights of one recording or live stream."""

import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

import click

from kuaihl.engines.archive import Room
from kuaihl.engines.heap import share_one_heap
from kuaihl.engines.manifest import source_stem
from kuaihl.models.errors import UsageError
from kuaihl_cli.options import debug_option, highlight_options, model_options, text_weights_option
from kuaihl_cli.output_folder import HIGHLIGHTS_FILE, SCORES_FILE, is_finished
from kuaihl_cli.settings import ScoreSettings

EXIT_INTERRUPTED = 130


@click.command()
@click.argument("source")
@click.option(
    "--output",
    "-o",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="Default: NAME.kuaihl.",
)
@click.option(
    "--comments", type=click.Path(path_type=Path), metavar="FILE", help="Viewers' comments; see docs/comments.md."
)
@click.option("--streamer", metavar="ID", help="Who streams, if the bundle was trained on them.")
@model_options
@text_weights_option
@highlight_options
@click.option(
    "--timeout", type=click.FloatRange(0.5), default=10.0, show_default=True, metavar="S",
    help="Longest wait for a network source to answer.",
)  # fmt: skip
@click.option("--force", is_flag=True, help="Overwrite the outputs of an earlier run.")
@click.option("--skip", is_flag=True, help="Do nothing where an earlier run finished.")
@click.option("--json", "as_json", is_flag=True, help="Print highlights.json to standard output.")
@click.option("--quiet", "-q", is_flag=True, help="Say nothing but errors.")
@click.option("--verbose", "-v", is_flag=True, help="Also tell how the time was spent.")
@debug_option
def score(
    source: str,
    output: Path | None,
    comments: Path | None,
    streamer: str | None,
    force: bool,
    skip: bool,
    as_json: bool,
    quiet: bool,
    verbose: bool,
    **options: Any,
) -> int:
    """Score SOURCE: a media file, an rtmp, http(s), HLS or srt URL, or - for standard input.

    Writes scores.jsonl, a line a segment while it runs, and highlights.json. Ctrl-C ends a live stream cleanly, with
    its highlights written; a second Ctrl-C ends it at once.
    """
    share_one_heap()  # before any thread starts: reading a file's header starts the decoders' threads
    settings = ScoreSettings(**options)
    output = output or Path(f"{source_stem(source)}.kuaihl")
    if skip and is_finished(output):
        return 0
    check_before_loading(source, output, settings, comments, force=force or skip)
    return run(Room(source, output, comments, streamer), settings, as_json=as_json, quiet=quiet, verbose=verbose)


def check_before_loading(
    source: str, output: Path, settings: ScoreSettings, comments: Path | None, *, force: bool
) -> None:
    """What can be told without a model is told at once. Raises UsageError, SourceError."""
    from kuaihl_cli.writers import parse_formats

    parse_formats(settings.formats)
    taken = [name for name in (SCORES_FILE, HIGHLIGHTS_FILE) if holds_something(output / name)]
    if taken and not force:
        raise UsageError(f"{output} already holds {taken[0]}; --force overwrites it, --output names another folder")
    is_stream = source == "-" or "://" in source
    if is_stream and settings.clips:
        raise UsageError(f"--clips needs a file, and {source} is a stream: record it, then score the recording")
    if is_stream and settings.frames == "exact":
        raise UsageError(f"--frames exact needs a file, and {source} is a stream: leave it at keyframe")
    if not is_stream:
        from kuaihl.engines.source import open_source

        open_source(source).close()
    if comments is not None and comments != Path("-") and not comments.is_file():
        raise UsageError(f"{comments}: no such file of comments")


def holds_something(file: Path) -> bool:
    """Whether there is anything to lose: a run that failed at once leaves an empty file of scores."""
    return file.exists() and (not file.is_file() or file.stat().st_size > 0)


def run(room: Room, settings: ScoreSettings, *, as_json: bool, quiet: bool, verbose: bool) -> int:
    """Load, score, print; gives the exit code."""
    from kuaihl_cli.highlight_table import print_highlights
    from kuaihl_cli.progress import progress_for
    from kuaihl_cli.room import load_tools, score_room

    with stopped_by_signals() as stop, progress_for(quiet=quiet) as progress:
        tools = load_tools(settings, progress.message)
        outcome = score_room(room, tools, settings, progress, stop)
        if verbose:
            for line in tools.encoders.times.report():
                progress.message(line)
    if as_json:
        from kuaihl_cli.writers.highlights_json import to_json

        sys.stdout.write(to_json(outcome.document))
    elif not quiet:
        print_highlights(outcome.highlights)
        print(f"wrote {room.output}/", file=sys.stderr)
    return 0 if outcome.complete else EXIT_INTERRUPTED


@contextmanager
def stopped_by_signals() -> Iterator[threading.Event]:
    """An event that the first Ctrl-C or SIGTERM sets; a second one interrupts at once."""
    stop = threading.Event()

    def ask(_number: int, _frame: FrameType | None) -> None:
        if stop.is_set():
            raise KeyboardInterrupt
        stop.set()

    before = {number: signal.signal(number, ask) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
