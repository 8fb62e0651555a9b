"""Reports of a training run: on the terminal, in `log.jsonl` beside the checkpoint, and in TensorBoard if requested.

All receive the same reports, only in the main process, so each opens its files at the first report.
"""

import json
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kuaihl.models.errors import UsageError
from kuaihl.models.training.report import TERMS, EpochReport, StepReport
from kuaihl_cli.terminal.messages import say

if TYPE_CHECKING:
    from rich.progress import Progress

Report = StepReport | EpochReport
Callback = Callable[[Report], None]

_LOG_FILE = "log.jsonl"
_SECONDS_PER_LINE = 10.0  # the least interval between lines without a terminal


@contextmanager
def open_callbacks(folder: Path, batch: int, tensorboard: Path | None, *, quiet: bool) -> Iterator[Callback]:
    """One function that passes a report on to all. Raises UsageError if TensorBoard is requested but unavailable."""
    with ExitStack() as open_things:
        callbacks: list[Callback] = [_JsonLog(folder / _LOG_FILE)]
        if tensorboard:
            callbacks.append(_Scalars(tensorboard, open_things))
        if not quiet:
            callbacks.append(_Bar(batch, open_things) if sys.stderr.isatty() else _Lines(batch))

        def report_to_all(report: Report) -> None:
            for callback in callbacks:
                callback(report)

        yield report_to_all


class _JsonLog:
    """One line per report. An interrupted run's lines beyond its checkpoint are cut off first, to be written again."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self.begun = False

    def __call__(self, report: Report) -> None:
        facts = asdict(report)
        if not self.begun:
            self.begun = True
            self.file.parent.mkdir(parents=True, exist_ok=True)
            kept = [line for line in self._lines() if _precedes(json.loads(line), facts)]
            self.file.write_text("".join(line + "\n" for line in kept), encoding="utf-8")
        with self.file.open("a", encoding="utf-8") as stream:
            stream.write(json.dumps(facts) + "\n")

    def _lines(self) -> list[str]:
        return self.file.read_text(encoding="utf-8").splitlines() if self.file.exists() else []


def _precedes(line: dict[str, float], first: dict[str, float]) -> bool:
    """Whether a report of an earlier run precedes the first one of this run."""
    return _steps_of(line) < _steps_of(first)


def _steps_of(report: dict[str, float]) -> float:
    """The steps done up to a report of either kind."""
    return report["step"] if "step" in report else report["steps_done"]


class _Scalars:
    """TensorBoard's event files, written by tensorboardX, which needs neither TensorFlow nor the viewer."""

    def __init__(self, folder: Path, open_things: ExitStack) -> None:
        try:
            from tensorboardX import SummaryWriter  # type: ignore[import-untyped]
        except ImportError as error:
            raise UsageError("--tensorboard needs tensorboardX: pip install 'kuaihl[train]'") from error
        self.folder, self.make, self.open_things = folder, SummaryWriter, open_things
        self.writer: Any = None

    def __call__(self, report: Report) -> None:
        facts = asdict(report)
        at = report.step if isinstance(report, StepReport) else report.steps_done
        if self.writer is None:
            self.writer = self.make(str(self.folder), purge_step=facts.get("step"))
            self.open_things.callback(self.writer.close)
        for name in TERMS:
            if name in facts:
                self.writer.add_scalar(f"loss/{name}", facts[name], at)
        for name in ("tau", "tau_per_room"):
            if name in facts:
                self.writer.add_scalar(f"validation/{name}", facts[name], at)


class _Rate:
    """Windows per second since this process began; the work of an earlier run before a resume does not count."""

    def __init__(self, batch: int) -> None:
        self.batch = batch
        self.since: tuple[int, float] | None = None

    def rate_at(self, step: int) -> float:
        now = time.monotonic()
        if self.since is None:
            self.since = step, now
        first, began = self.since
        return self.batch * (step - first) / (now - began) if step > first else 0.0


class _Lines:
    """Plain lines for logs and pipes: the loss at intervals, and every epoch's tau."""

    def __init__(self, batch: int) -> None:
        self.rate, self.last = _Rate(batch), float("-inf")

    def __call__(self, report: Report) -> None:
        if isinstance(report, EpochReport):
            say(_epoch_line(report))
            return
        rate = self.rate.rate_at(report.step)
        if time.monotonic() - self.last >= _SECONDS_PER_LINE:
            self.last = time.monotonic()
            say(f"step {report.step}/{report.steps}  {_format_terms(report)}  {rate:.0f} windows/s")


class _Bar:
    """A bar over all steps with the loss terms, the speed and the time left; the epochs' lines scroll above it."""

    def __init__(self, batch: int, open_things: ExitStack) -> None:
        self.rate, self.open_things = _Rate(batch), open_things
        self.progress: Progress | None = None

    def __call__(self, report: Report) -> None:
        if self.progress is None:
            self.progress = self.open_things.enter_context(_rich_progress())
            self.task = self.progress.add_task("training", total=None, terms="")
        if isinstance(report, EpochReport):
            self.progress.console.print(_epoch_line(report), markup=False, highlight=False)
            return
        self.progress.update(
            self.task,
            description=f"epoch {report.epoch}",
            total=report.steps,
            completed=report.step,
            terms=f"{_format_terms(report)}  {self.rate.rate_at(report.step):.0f} windows/s",
        )


def _rich_progress() -> "Progress":
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (
        "{task.description}",
        BarColumn(20),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[terms]}"),
    )
    return Progress(*columns, console=Console(stderr=True), transient=True)


def _format_terms(report: StepReport) -> str:
    """The losses of a report, without those that are off."""
    named = {
        "loss": report.total,
        "point": report.point,
        "pair": report.pair,
        "align": report.align,
        "interest": report.interest,
    }
    return "  ".join(f"{name} {value:.4f}" for name, value in named.items() if value)


def _epoch_line(report: EpochReport) -> str:
    """A validation as a readable line."""
    best = "  best so far, kept" if report.best else ""
    taus = f"validation tau {report.tau:.3f}  per room {report.tau_per_room:.3f}"
    return f"step {report.steps_done}  epoch {report.epoch}  loss {report.loss:.4f}  {taus}{best}"
