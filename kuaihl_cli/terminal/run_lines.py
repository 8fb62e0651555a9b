"""The results of a run, shown as they come: segments, faults of the stream, openings and closings of highlights."""

from typing import TYPE_CHECKING

from kuaihl.engines.outputs.timecode import format_timecode
from kuaihl_cli.terminal.progress import Progress

if TYPE_CHECKING:
    from kuaihl.engines.highlights.online import HighlightEvent
    from kuaihl.engines.scoring.conclude import ScoreResult
    from kuaihl.engines.scoring.run import Run


def show_run(run: "Run", progress: Progress, *, start: float = 0.0, end: float | None = None) -> "ScoreResult":
    """Score a source to its end, or to a requested stop, while `progress` shows it."""
    progress.begin(run.name, run.duration, start=start, end=end)
    for scored in run:
        progress.segment(scored)
        for event in scored.events:
            if event.kind != "eof":
                progress.message(f"{format_timecode(event.time)}  {event.kind}: {event.detail}")
        for change in run.changes:
            progress.message(_change_words(change))
    for change in run.changes:
        progress.message(_change_words(change))
    return run.finish()


def _change_words(change: "HighlightEvent") -> str:
    """An opening or closing of a highlight, in words for the terminal."""
    from kuaihl.engines.highlights.online import HighlightClosed, HighlightOpened

    match change:
        case HighlightOpened():
            when = "opens at" if change.known_by == "score" else "has been on since"
            return f"▲ highlight {when} {format_timecode(change.start)} ({change.known_by} {change.score:.3f})"
        case HighlightClosed(highlight=highlight):
            span = f"{format_timecode(highlight.start)}–{format_timecode(highlight.end)}"
            return f"▼ highlight {span} closes (score {highlight.score:.3f})"
        case _:
            return f"▽ highlight at {format_timecode(change.start)} dropped ({change.reason})"
