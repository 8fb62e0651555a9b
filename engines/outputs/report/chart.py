"""The curve of a report as SVG paths: scored segments and highlights in, a `Chart` out."""

from collections.abc import Sequence

from kuaihl.engines.highlights.curve import Stretch, missing_spans
from kuaihl.engines.outputs.highlights_json import HighlightEntry
from kuaihl.engines.outputs.report.page import Block, Chart, Mark
from kuaihl.engines.outputs.timecode import format_timecode
from kuaihl.engines.types import ScoredSegment

_HEIGHT = 1000.0  # of the plane of a path
_STEPS = (5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 21600, 43200, 86400)  # seconds between labels
_MOST_TIMES = 8
_RATE_STEPS = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5)
_MOST_RATES = 5


def draw_chart(
    segments: Sequence[ScoredSegment], curve: Sequence[Stretch], highlights: Sequence[HighlightEntry]
) -> Chart:
    """The chart of a recording with at least one segment."""
    start, end = segments[0].start, max(one.end for one in segments)
    seconds = max(end - start, 1e-3)
    low, high = _limits([one.score for one in curve])
    line, area = _draw_curve(curve, start, low, high)
    bars, most = _draw_comments(segments, start)
    return Chart(
        start=start,
        seconds=seconds,
        line=line,
        area=area,
        comments=bars,
        most_comments=most,
        rates=_rate_marks(low, high),
        times=_time_marks(start, seconds),
        highlights=tuple(
            Block(
                round(one["start"] - start, 3),
                round(one["end"] - one["start"], 3),
                f"#{one['rank']}  {format_timecode(one['start'])} – {format_timecode(one['end'])}  {one['score']:.3f}",
                one["rank"],
            )
            for one in highlights
        ),
        gaps=tuple(
            Block(round(gap_start - start, 3), round(gap_end - gap_start, 3), _gap_label(gap_start, gap_end))
            for gap_start, gap_end in missing_spans(segments)
        ),
        points=tuple((round(one.start, 1), round(one.end, 1), round(one.score, 4)) for one in curve),
    )


def _limits(scores: Sequence[float]) -> tuple[float, float]:
    """The rates at the bottom and the top of the plane."""
    if not scores:
        return 0.0, 1.0
    low, high = min(scores), max(scores)
    margin = max(0.02, 0.08 * (high - low))
    return max(0.0, low - margin), min(1.0, high + margin)


def _draw_curve(curve: Sequence[Stretch], start: float, low: float, high: float) -> tuple[str, str]:
    """The line of steps, which breaks where media is missing, and the area below it."""
    lines, areas = [], []
    run: list[Stretch] = []
    for one in (*curve, None):
        if run and (one is None or one.after_gap):
            path = "".join(
                f"{'L' if index else 'M'}{_short(step.start - start)} {_place(step.score, low, high)}"
                f"H{_short(step.end - start)}"
                for index, step in enumerate(run)
            )
            lines.append(path)
            areas.append(f"{path}V{_short(_HEIGHT)}H{_short(run[0].start - start)}Z")
            run = []
        if one is not None:
            run.append(one)
    return "".join(lines), "".join(areas)


def _draw_comments(segments: Sequence[ScoredSegment], start: float) -> tuple[str, float]:
    """A bar per segment that has comments, and the comments per minute that are as high as the plane."""
    rates = [60.0 * one.comments / max(one.end - one.start, 1.0) for one in segments]
    most = max(rates)
    bars = [
        f"M{_short(one.start - start)} {_short(_HEIGHT)}V{_short(_HEIGHT * (1.0 - rate / most))}"
        f"H{_short(one.end - start)}V{_short(_HEIGHT)}Z"
        for one, rate in zip(segments, rates, strict=True)
        if rate > 0
    ]
    return "".join(bars), most


def _rate_marks(low: float, high: float) -> tuple[Mark, ...]:
    step = next((one for one in _RATE_STEPS if (high - low) / one <= _MOST_RATES), 1.0)
    first = int(low / step) + 1
    values = [step * index for index in range(first, int(high / step) + 1)]
    decimals = 2 if step < 0.1 else 1
    return tuple(Mark(round(100.0 * (high - one) / (high - low), 2), f"{one:.{decimals}f}") for one in values)


def _time_marks(start: float, seconds: float) -> tuple[Mark, ...]:
    step = next((one for one in _STEPS if seconds / one <= _MOST_TIMES), _STEPS[-1])
    first = -(-int(start) // step)
    times = [step * index for index in range(first, int((start + seconds) / step) + 1)]
    return tuple(Mark(round(100.0 * (one - start) / seconds, 3), format_timecode(one)) for one in times)


def _gap_label(start: float, end: float) -> str:
    span = format_timecode(start) if end - start < 1.0 else f"{format_timecode(start)} – {format_timecode(end)}"
    return f"media missing: {span}"


def _place(score: float, low: float, high: float) -> str:
    return _short(_HEIGHT * (high - score) / (high - low))


def _short(number: float) -> str:
    return f"{number:.1f}".removesuffix(".0")
