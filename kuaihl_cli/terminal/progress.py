"""Progress while a stream is scored, on standard error: a live line in a terminal, plain lines elsewhere."""

import sys
import time
from types import TracebackType
from typing import TYPE_CHECKING, Protocol, Self

from kuaihl.engines.outputs.timecode import format_timecode
from kuaihl.engines.types import ScoredSegment
from kuaihl.models.credentials import mask_credentials
from kuaihl_cli.terminal.messages import CONTROL, LOG, say
from kuaihl_cli.terminal.sparkline import draw_sparkline

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.live import Live


class Progress(Protocol):
    """Receives the stream's name, length and part, then every scored segment and message as they come."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...

    def begin(self, name: str, duration: float | None, *, start: float = 0.0, end: float | None = None) -> None: ...

    def segment(self, scored: ScoredSegment) -> None: ...

    def message(self, text: str) -> None: ...


def progress_for(*, quiet: bool) -> Progress:
    """The suitable progress: silent if requested, live in a terminal, else one line per segment."""
    if quiet:
        return SilentProgress()
    return LiveProgress() if sys.stderr.isatty() else PlainProgress()


class SilentProgress:
    """`--quiet`: only errors reach the terminal; the log has everything."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        return None

    def begin(self, name: str, duration: float | None, *, start: float = 0.0, end: float | None = None) -> None:
        LOG.info("scoring %s", name)

    def segment(self, scored: ScoredSegment) -> None:
        LOG.info(_segment_line(scored))

    def message(self, text: str) -> None:
        LOG.info(text)


class PlainProgress(SilentProgress):
    """One line per segment, for logs and pipes."""

    def segment(self, scored: ScoredSegment) -> None:
        say(_segment_line(scored))

    def message(self, text: str) -> None:
        say(text)


class LiveProgress:
    """Position, speed, time left and the score curve so far, redrawn in place; messages scroll above."""

    def __init__(self) -> None:
        self.name = "loading"
        self.duration: float | None = None  # the end of the recording, or of its scored part
        self.start = 0.0  # and its start
        self.scores: list[float] = []
        self.rates = ""
        self.position = 0.0
        self.last_text = ""
        self.began = time.monotonic()
        self.live: Live | None = None
        self.width = 80

    def __enter__(self) -> Self:
        from rich.console import Console
        from rich.live import Live

        console = Console(stderr=True)
        self.width = console.width
        # The constructor itself renders once, before `live` exists to give the width.
        self.live = Live(console=console, get_renderable=self.render, refresh_per_second=4, transient=True)
        self.live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.live:
            self.live.stop()

    def begin(self, name: str, duration: float | None, *, start: float = 0.0, end: float | None = None) -> None:
        self.name, self.began, self.start = name, time.monotonic(), start
        self.duration = min(duration, end or duration) if duration is not None else None

    def segment(self, scored: ScoredSegment) -> None:
        self.scores.append(scored.score)
        self.rates = _format_rates(scored)
        self.position = scored.end
        self.last_text = scored.text or self.last_text
        LOG.info(_segment_line(scored))

    def message(self, text: str) -> None:
        LOG.info(text)
        assert self.live is not None
        self.live.console.print(CONTROL.sub(" ", mask_credentials(text)), markup=False, highlight=False)

    def render(self) -> "RenderableType":
        from rich.text import Text

        if self.live is not None:
            self.width = self.live.console.width  # it follows the terminal's width
        width = max(20, self.width)
        head = Text.assemble((self.name, "bold"), "  ", self.facts(), overflow="ellipsis", no_wrap=True)
        curve = Text.assemble(
            (draw_sparkline(self.scores, width=max(10, min(len(self.scores), width - len(self.rates) - 4))), "cyan"),
            f"  {self.rates}",
            no_wrap=True,
        )
        words = Text(shorten(self.last_text, width - 1), style="dim", no_wrap=True)
        return Text("\n").join([head, curve, words])

    def facts(self) -> str:
        elapsed = time.monotonic() - self.began
        if not self.position:
            return f"first segment … {elapsed:.0f} s"
        speed = (self.position - self.start) / elapsed
        where = format_timecode(self.position)
        if self.duration is None:
            return f"{where}  {speed:.1f}× real time"
        left = max(0.0, self.duration - self.position) / speed
        share = min(1.0, (self.position - self.start) / max(self.duration - self.start, 1e-9))
        return f"{where} / {format_timecode(self.duration)}  {share:.0%}  {speed:.1f}× real time  ETA {left:.0f} s"


def _segment_line(scored: ScoredSegment) -> str:
    """A segment's span, its interest, the score of the next one, its words."""
    span = f"{format_timecode(scored.start)}–{format_timecode(scored.end)}"
    gap = "  [gap]" if scored.gap else ""
    return f"{span}  {_format_rates(scored)}{gap}  {shorten(scored.text, 70)}".rstrip()


def _format_rates(scored: ScoredSegment) -> str:
    """The segment's own rate, if the network outputs it, and the forecast for the next one."""
    now = "" if scored.interest is None else f"now {scored.interest:.3f}  "
    return f"{now}next {scored.score:.3f}"


def shorten(text: str, width: int) -> str:
    """The text on one line, cut to `width` characters."""
    flat = " ".join(CONTROL.sub(" ", text).split())
    return flat if len(flat) <= width else flat[: max(0, width - 1)] + "…"
