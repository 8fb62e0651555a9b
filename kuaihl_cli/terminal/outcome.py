"""What a run found: the document or the table on standard output, and where the files are."""

from kuaihl.engines.outputs.highlights_json import to_json
from kuaihl.engines.outputs.run_folder import STOPPED
from kuaihl.engines.scoring.conclude import ScoreResult
from kuaihl.models.credentials import shown_source
from kuaihl_cli.terminal.highlight_table import print_highlights
from kuaihl_cli.terminal.json_output import print_document
from kuaihl_cli.terminal.messages import say


def print_outcome(outcome: ScoreResult, *, as_json: bool, quiet: bool) -> None:
    """Print the document, or unless `quiet` the table."""
    if outcome.why not in (None, STOPPED):
        say(f"{shown_source(outcome.document['source'])}: not complete: {outcome.why}")
    if as_json:
        print_document(to_json(outcome.document))
    elif not quiet:
        print_highlights(outcome.highlights)
        if outcome.output is not None:
            say(
                f"wrote {outcome.output}/"
                if outcome.segments
                else "stopped before the first segment; nothing is written"
            )
