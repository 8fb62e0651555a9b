"""`kuaihl bench BUNDLE`: every engine and precision that is here, timed side by side and held against torch."""

import json
import sys
from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from kuaihl_cli.options import debug_option, text_weights_option

if TYPE_CHECKING:
    from kuaihl.engines.engine_bench import Parity, Timing


@click.command()
@click.argument("model", metavar="BUNDLE")
@click.option(
    "--sample", metavar="RECORDING", help="What the engines' scores are compared on; drawn scenes if not given."
)
@click.option(
    "--segment-seconds", type=click.FloatRange(2.0, 300.0), metavar="S",
    help="Length of the sample's segments; by default the one the bundle was trained on (30 s).",
)  # fmt: skip
@click.option("--device", default="auto", show_default=True, envvar="KUAIHL_DEVICE", help="auto, cpu, cuda or cuda:N.")
@click.option(
    "--seconds", type=click.FloatRange(0.01), default=1.0, show_default=True, metavar="S",
    help="How long each engine is timed, for every network and batch size.",
)  # fmt: skip
@text_weights_option
@click.option("--threads", type=click.IntRange(1, 256), metavar="N", envvar="KUAIHL_THREADS", help="CPU threads.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
@debug_option
def bench(
    model: str,
    sample: str | None,
    segment_seconds: float | None,
    device: str,
    seconds: float,
    text_weights: str | None,
    threads: int | None,
    as_json: bool,
) -> None:
    """Time BUNDLE's networks in every engine and precision that is here, and compare their scores with torch's.

    What `kuaihl export` has not compiled is not there. p50 and p99 are of a batch, cut as scoring cuts it; a step
    takes one segment of each room, vision 3 frames a segment, text one text of 128 tokens a segment.
    """
    from kuaihl.engines.engine_bench import contenders, parities, real_sample, timings
    from kuaihl.engines.processor import processor
    from kuaihl.engines.profiles import choose_device, set_threads
    from kuaihl.models.bundle import load_bundle

    def say(line: str) -> None:
        print(line, file=sys.stderr, flush=True)

    bundle = load_bundle(model)
    place, count = choose_device(device), set_threads(threads)
    segments = real_sample(sample, bundle, segment_seconds=segment_seconds, threads=count)
    found, graphs = contenders(bundle, device=place, threads=count, say=say, text_weights=text_weights)
    compared = parities(found, bundle, segments)
    timed = list(timings(found, graphs, seconds=seconds, device=place))
    if as_json:
        document = {
            "bundle": bundle.name,
            "device": place,
            "threads": count,
            "processor": {"name": processor().name} | processor().instructions,
            "sample": sample,
            "timings": [asdict(each) for each in timed],
            "parity": [asdict(each) for each in compared],
        }
        click.echo(json.dumps(document, indent=2))
        return
    print_rows(timed, compared, f"{bundle.name} on {place}, {count} CPU threads of {processor().said}")


HEADINGS = ("network", "batch", "engine", "p50 ms", "p99 ms", "a second", "max |Δ score|", "tau")


def rows_of(timed: "list[Timing]", compared: "list[Parity]") -> list[tuple[str, ...]]:
    """A row a timing; parity is of an engine as a whole, and stands in each of its rows."""
    from kuaihl.engines.engine import engine_label

    rows: list[tuple[str, ...]] = []
    parity = {(each.kind, each.asked, each.target): each for each in compared}
    for each in timed:
        whole = parity[each.kind, each.asked, each.target]
        rows.append(
            (
                each.graph,
                str(each.batch),
                engine_label(each.kind, each.asked, each.target)
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
    rows = rows_of(timed, compared)
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
