"""The progress of an archive on standard error: a live line per worker in a terminal, a line now and then elsewhere."""

import sys
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from kuaihl.engines.archive.jobs import NO_PROGRESS, Job, JobResult, Progress
from kuaihl.engines.outputs.timecode import format_timecode
from kuaihl.models.credentials import shown_source
from kuaihl_cli.terminal.errors import error_words
from kuaihl_cli.terminal.messages import CONTROL, log_only, say

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.live import Live

_SUMMARY_EVERY = 60.0  # seconds


@dataclass
class _UnderWay:
    """A job that a worker is doing."""

    name: str
    since: float  # monotonic
    progress: Progress = NO_PROGRESS

    def words(self, now: float) -> str:
        """Its place and its speed."""
        progress, place = self.progress, format_timecode(self.progress.position)
        if not progress.segments:
            return f"{self.name}  loading … {now - self.since:.0f} s"
        speed = f"{progress.media_seconds / max(now - self.since, 1e-9):.1f}× real time"
        if not progress.duration:
            return f"{self.name}  {place}  {speed}"
        share = min(1.0, progress.position / progress.duration)
        return f"{self.name}  {place} / {format_timecode(progress.duration)}  {share:.0%}  {speed}"


class ArchiveProgress:
    """The counts of a run over an archive of `total` recordings (None: nobody knows), shown while it goes on.

    In a terminal only failures and warnings scroll; else each result has a line, and one per minute sums up.
    """

    def __init__(self, total: int | None, *, quiet: bool) -> None:
        self.counts: Counter[str] = Counter()
        self.no_space = False
        self._total, self._report = total, log_only if quiet else say
        self._is_live = not quiet and sys.stderr.isatty()
        self._failures: list[tuple[str, str, str]] = []  # source, status, reason
        self._under_way: dict[Path, _UnderWay] = {}
        self._warned, self._media = 0, 0.0
        self._began = self._summed = time.monotonic()
        self._live: Live | None = None

    def __enter__(self) -> Self:
        if self._is_live:
            from rich.console import Console
            from rich.live import Live

            # What others print on standard error scrolls above it.
            self._live = Live(
                console=Console(stderr=True), get_renderable=self._render, refresh_per_second=2, transient=True
            )
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End with the number of results of each kind, even if Ctrl-C ends them."""
        if self._live is not None:
            self._live.stop()
            self._live = None
        self._report(self.total_words())

    def tell(self, job: Job, progress: Progress) -> None:
        """Note how far a job is; the first time, that a worker begins with it."""
        if progress == NO_PROGRESS or job.output not in self._under_way:
            name = CONTROL.sub(" ", shown_source(job.source))
            self._under_way[job.output] = _UnderWay(name, time.monotonic())
        self._under_way[job.output].progress = progress
        self._sum_up()

    def retry(self, result: JobResult) -> None:
        """Show the failure of a try that another one follows."""
        self._end_of(result)
        self._report(f"{shown_source(result.job.source)}: {error_words(result.reason or '')}; it is tried again")

    def add(self, result: JobResult) -> None:
        """Count a result, and show it unless the recording was finished before."""
        self._end_of(result)
        self.counts[result.status] += 1
        self._warned += bool(result.warnings)
        self.no_space = self.no_space or result.no_space
        if result.status in ("failed", "quarantined"):
            self._failures.append((shown_source(result.job.source), result.status, error_words(result.reason or "")))
        if result.status == "skipped" and result.reason is None:
            return
        of_all = "" if self._total is None else f"/{self._total}"
        line = f"[{self.counts.total()}{of_all}] {result_words(result)}"
        if result.status == "failed":
            say(line)
        elif self._is_live and not result.warnings:
            log_only(line)
        else:
            self._report(line)
        self._sum_up()

    def total_words(self) -> str:
        """The number of results of each kind, and of recordings without one."""
        left = 0 if self._total is None else self._total - self.counts.total()
        return f"{self._count_words()}, {left} not done" if left else self._count_words()

    def _count_words(self) -> str:
        counts = self.counts
        warnings = f" ({self._warned} with warnings)" if self._warned else ""
        quarantined = f", {counts['quarantined']} quarantined" if counts["quarantined"] else ""
        skipped, failed = f"{counts['skipped']} skipped", f"{counts['failed']} failed"
        return f"{counts['done']} done{warnings}, {skipped}, {failed}{quarantined}"

    def summary(self) -> dict[str, Any]:
        """The counts, times and failures of the run, for `--json`."""
        seconds, media = time.monotonic() - self._began, self._media_seconds()
        return {
            **{status: self.counts[status] for status in ("done", "skipped", "failed", "quarantined")},
            "with_warnings": self._warned,
            "not_done": 0 if self._total is None else self._total - self.counts.total(),
            "seconds": round(seconds, 3),
            "media_seconds": round(media, 3),
            "times_real_time": round(media / seconds, 3) if seconds else 0.0,
            "failures": [dict(zip(("source", "status", "reason"), one, strict=True)) for one in self._failures],
        }

    def _end_of(self, result: JobResult) -> None:
        self._under_way.pop(result.job.output, None)
        self._media += result.progress.media_seconds

    def _media_seconds(self) -> float:
        return self._media + sum(one.progress.media_seconds for one in self._under_way.values())

    def _sum_up(self) -> None:
        """Without a live display, a line now and then."""
        now = time.monotonic()
        if self._live is None and now >= self._summed + _SUMMARY_EVERY:
            self._summed = now
            self._report(self._overall(now))

    def _overall(self, now: float) -> str:
        """`12/200  11 done, 0 skipped, 1 failed  24.0× real time  ETA 0:41:00`; less while the total is unknown."""
        elapsed = max(now - self._began, 1e-9)
        of_all = "" if self._total is None else f"{self.counts.total()}/{self._total}  "
        words = f"{of_all}{self._count_words()}  {self._media_seconds() / elapsed:.1f}× real time"
        left = self._seconds_left(elapsed)
        return words if left is None else f"{words}  ETA {format_timecode(left)}"

    def _seconds_left(self, elapsed: float) -> float | None:
        """As long as the rest takes if its recordings are like those of this run so far."""
        if self._total is None:
            return None
        shares = [
            min(1.0, one.progress.position / one.progress.duration)
            for one in self._under_way.values()
            if one.progress.duration
        ]
        done = self.counts["done"] + self.counts["failed"] + sum(shares)
        left = self._total - self.counts.total() - sum(shares)
        return elapsed * left / done if done else None

    def _render(self) -> "RenderableType":
        from rich.text import Text

        now = time.monotonic()
        lines = [
            Text(one.words(now), overflow="ellipsis", no_wrap=True)
            for one in sorted(self._under_way.values(), key=lambda one: one.since)
        ]
        return Text("\n").join([*lines, Text(self._overall(now), style="bold", overflow="ellipsis", no_wrap=True)])


def result_words(result: JobResult) -> str:
    """The result of a recording, on one line."""
    source = shown_source(result.job.source)
    match result.status:
        case "done":
            warnings = "".join(f"; WARNING: {warning}" for warning in result.warnings)
            return f"{source}: done in {result.seconds:.1f} s{warnings}"
        case "skipped":
            return f"{source}: {result.reason}, skipped"
        case "quarantined":
            return f"{source}: {error_words(result.reason or '')}"
        case _:
            return f"{source}: FAILED: {error_words(result.reason or '')}"
