"""The final output: the highlights as a table in a terminal, as tab-separated lines elsewhere."""

import sys
from collections.abc import Sequence

from kuaihl.engines.highlights.offline import rank_highlights
from kuaihl.engines.outputs.timecode import format_timecode
from kuaihl.engines.types import Highlight
from kuaihl_cli.terminal.progress import shorten


def print_highlights(highlights: Sequence[Highlight]) -> None:
    """Write the highlights to standard output in order of time, each with its rank, 1 for the best."""
    ranked = list(zip(rank_highlights(highlights), highlights, strict=True))
    if not sys.stdout.isatty():
        for rank, highlight in ranked:
            print(
                rank,
                format_timecode(highlight.start),
                format_timecode(highlight.end),
                f"{highlight.score:.3f}",
                shorten(highlight.text, 200),
                sep="\t",
            )
        return
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    if not highlights:
        Console().print("no highlights: no part of the stream stands out", style="dim")
        return
    table = Table(title="Highlights", title_justify="left", header_style="bold", expand=False)
    table.add_column("rank", justify="right")
    for name in ("from", "to"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("score", justify="right", style="cyan")
    table.add_column("words", overflow="ellipsis", max_width=70)
    for rank, highlight in ranked:
        table.add_row(
            str(rank),
            format_timecode(highlight.start),
            format_timecode(highlight.end),
            f"{highlight.score:.3f}",
            Text(shorten(highlight.text, 200)),  # not markup, whatever was said
        )
    Console().print(table)
