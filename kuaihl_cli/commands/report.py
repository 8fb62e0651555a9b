"""`kuaihl report DIR`: a page over all recordings of a batch, and the pages of those that have none."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from kuaihl.engines.outputs.report.index import run_folders, write_index
from kuaihl.engines.outputs.report.write import write_lacking_report
from kuaihl_cli.command import RULE, application, read_settings
from kuaihl_cli.options import QuietOption
from kuaihl_cli.terminal.messages import log_only, say

app = application()


@dataclass(frozen=True, kw_only=True)
class ReportOptions:
    """The options of `kuaihl report`."""

    folder: Annotated[Path, typer.Argument(metavar="DIR", help="The output folder of a batch, with its run folders.")]
    quiet: QuietOption = False


@app.command(epilog=RULE)
@read_settings(ReportOptions)
def report(options: ReportOptions) -> int:
    """Write DIR/index.html over the recordings of a batch: their states, and the best moments of all of them.

    Each recording's row leads to its page, report.html in its run folder. One that has none gets it, with its
    highlights as they are. It reads run folders alone and loads no model.
    """
    tell = log_only if options.quiet else say
    for folder in run_folders(options.folder):
        if (reason := write_lacking_report(folder)) is not None:
            tell(f"{folder}: no page: {reason}")
    tell(f"wrote {write_index(options.folder)}")
    return 0
