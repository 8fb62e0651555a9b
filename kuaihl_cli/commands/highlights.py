"""`kuaihl highlights RUN...`: highlights and clips made from the scores of earlier runs, without a model."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated

import typer

from kuaihl.engines.outputs.formats import parse_formats
from kuaihl.engines.outputs.stored_run import with_stored_run
from kuaihl.engines.scoring.conclude import ScoreResult
from kuaihl.engines.scoring.remake import remake_highlights
from kuaihl.engines.scoring.settings import Products
from kuaihl.engines.stores.urls import is_stored
from kuaihl.models.credentials import shown_source
from kuaihl.models.errors import BatchError, KuaihlError, SourceError, UsageError
from kuaihl_cli.command import RULE, application, read_settings
from kuaihl_cli.options import DocumentOption, QuietOption
from kuaihl_cli.places import place_on_disk
from kuaihl_cli.run_options import ProductOptions, products_of
from kuaihl_cli.terminal.errors import error_words
from kuaihl_cli.terminal.messages import say
from kuaihl_cli.terminal.outcome import print_outcome

app = application()


@dataclass(frozen=True, kw_only=True)
class HighlightsOptions(ProductOptions):
    """The options of `kuaihl highlights`."""

    runs: Annotated[
        tuple[str, ...],
        typer.Argument(metavar="RUN...", help="Folders that score or batch wrote, on disk or in an object store."),
    ]
    source: Annotated[
        str | None,
        typer.Option("--source", metavar="FILE", help="Where the recording is now; for clips, editors and a report."),
    ] = None
    as_json: DocumentOption = False
    quiet: QuietOption = False


@app.command(epilog=RULE)
@read_settings(HighlightsOptions)
def highlights(options: HighlightsOptions) -> int:
    """Choose the highlights of scored sources anew, and write highlights.json and what else is asked for.

    It reads the scores in RUN and loads no model, so it takes a second. Only the options given now count, not those of
    the earlier run. A run that was killed gets the highlights of what it scored.

    If one of several fails, its reason is printed, the others go on, and the exit code is 5.
    """
    products = products_of(options)
    parse_formats(products.formats)
    if options.source is not None and len(options.runs) > 1:
        raise UsageError("--source is of one recording; give one RUN")
    if len(options.runs) == 1:
        _highlight(options.runs[0], products, options)
        return 0
    failed = sum(not _try_run(run, products, options) for run in options.runs)
    if failed:
        raise BatchError(f"{failed} of {len(options.runs)} runs failed; the lines above say why")
    return 0


def _highlight(run: str, products: Products, options: HighlightsOptions) -> None:
    def remake(folder: Path) -> ScoreResult:
        return remake_highlights(folder, products, source=options.source, report=say)

    if is_stored(run):
        found = with_stored_run(run, place_on_disk(run, None), remake)
        if found is None:
            raise SourceError(f"{run}: no whole run is there; name a place that score or batch has written")
        outcome = replace(found, output=None)
    else:
        outcome = remake(Path(run))
    print_outcome(outcome, as_json=options.as_json, quiet=options.quiet)
    outcome.check_clips()


def _try_run(run: str, products: Products, options: HighlightsOptions) -> bool:
    """Whether one run among several succeeded; if not, its error is reported."""
    try:
        _highlight(run, products, options)
    except KuaihlError as error:
        say(f"{shown_source(run)}: FAILED: {error_words(error)}")
        return False
    return True
