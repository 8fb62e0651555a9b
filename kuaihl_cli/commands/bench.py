"""`kuaihl bench BUNDLE`: every installed engine and precision, timed side by side and compared with torch."""

import json
import sys
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Annotated

import typer

from kuaihl_cli.command import RULE, application, read_settings
from kuaihl_cli.options import (
    BundleArgument,
    DeviceOption,
    JsonOption,
    SegmentSecondsOption,
    TextWeightsOption,
    ThreadsOption,
)
from kuaihl_cli.terminal.errors import worded
from kuaihl_cli.terminal.json_output import print_document
from kuaihl_cli.terminal.messages import say
from kuaihl_cli.terminal.timecode import time_between

if TYPE_CHECKING:
    from kuaihl.engines.export.bench import Parity, Timing

app = application()


@dataclass(frozen=True, kw_only=True)
class BenchSettings:
    """The options of `kuaihl bench`."""

    model: BundleArgument
    sample: Annotated[
        str | None,
        typer.Option(
            "--sample", metavar="RECORDING",
            help="The recording that scores are compared on; drawn scenes if not given.",
        ),
    ] = None  # fmt: skip
    seconds: Annotated[
        float,
        typer.Option(
            "--seconds", parser=time_between(0.01), metavar="TIME",
            help="How long each engine is timed for every network and batch size.",
        ),
    ] = 1.0  # fmt: skip
    as_json: JsonOption = False
    device: DeviceOption = "auto"
    threads: ThreadsOption = None
    text_weights: TextWeightsOption = None
    segment_seconds: SegmentSecondsOption = None


@app.command(epilog=RULE)
@read_settings(BenchSettings)
def bench(settings: BenchSettings) -> None:
    """Time BUNDLE's networks in every installed engine and precision, and compare their scores with torch's.

    Engines that `kuaihl export` has not compiled BUNDLE for are left out. p50 and p99 are per batch, cut as scoring
    cuts it: a step takes one segment of each room, vision 3 frames per segment, text one text of 128 tokens.
    """
    from kuaihl.engines.export.bench import compare_scores, measure_timings, open_contenders, real_sample
    from kuaihl.engines.runtimes.device import choose_device, set_threads
    from kuaihl.engines.runtimes.processor import read_processor
    from kuaihl.models.bundle import load_bundle

    bundle = load_bundle(settings.model)
    place, count = choose_device(settings.device), set_threads(settings.threads)
    segments = real_sample(settings.sample, bundle, segment_seconds=settings.segment_seconds, threads=count)
    found, graphs = open_contenders(
        bundle,
        device=place,
        threads=count,
        on_message=worded(say),
        text_weights=settings.text_weights,
    )
    compared = compare_scores(found, bundle, segments)
    timed = list(measure_timings(found, graphs, seconds=settings.seconds, device=place))
    if settings.as_json:
        document = {
            "bundle": bundle.name,
            "device": place,
            "threads": count,
            "processor": {"name": read_processor().name} | read_processor().instructions,
            "sample": settings.sample,
            "timings": [asdict(each) for each in timed],
            "parity": [asdict(each) for each in compared],
        }
        print_document(json.dumps(document, indent=2))
        return
    print_rows(timed, compared, f"{bundle.name} on {place}, {count} CPU threads of {read_processor().description}")


HEADINGS = ("network", "batch", "engine", "p50 ms", "p99 ms", "a second", "max |Δ score|", "tau")


def _rows_of(timed: "list[Timing]", compared: "list[Parity]") -> list[tuple[str, ...]]:
    """One row per timing; parity belongs to a whole engine and appears in each of its rows."""
    from kuaihl.engines.runtimes.runtime import runtime_label

    rows: list[tuple[str, ...]] = []
    parity = {(each.kind, each.asked, each.target): each for each in compared}
    for each in timed:
        whole = parity[each.kind, each.asked, each.target]
        rows.append(
            (
                each.graph,
                str(each.batch),
                runtime_label(each.kind, each.asked, each.target)
                + ("" if each.precision == each.asked else f" (in {each.precision})"),
                f"{each.p50:.2f}",
                f"{each.p99:.2f}",
                f"{each.throughput:,.0f}",
                f"{whole.max_abs_difference:.1e}",
                f"{whole.tau:.4f}",
            )
        )
    return rows


def print_rows(timed: "list[Timing]", compared: "list[Parity]", title: str) -> None:
    """A table on a terminal, tab-separated lines elsewhere."""
    rows = _rows_of(timed, compared)
    if not sys.stdout.isatty():
        print(title, file=sys.stderr)
        for row in (HEADINGS, *rows):
            print(*row, sep="\t")
        return
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table

    table = Table(title=title, title_justify="left", header_style="bold", box=SIMPLE_HEAD)
    for index, heading in enumerate(HEADINGS):
        table.add_column(heading, justify="left" if index in (0, 2) else "right", no_wrap=True)
    before = rows[0][:2]
    for row in rows:
        if row[:2] != before:
            table.add_section()
        before = row[:2]
        table.add_row(*row)
    Console().print(table)
    segments = compared[0].segments
    Console().print(f"scores compared with torch fp32 over {segments} segments of the sample", style="dim")
