"""`kuaihl batch status OUT`: what the ledger of a batch knows."""

import json
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from kuaihl.engines.archive.ledger import LEDGER_FILE, Ledger, Row, State
from kuaihl.engines.outputs.run_folder import RECORD_FILE
from kuaihl.engines.outputs.timecode import format_timecode
from kuaihl.models.errors import SourceError
from kuaihl_cli.archive_run import open_ledger
from kuaihl_cli.command import RULE, application, read_settings
from kuaihl_cli.options import JsonOption
from kuaihl_cli.terminal.json_output import print_document
from kuaihl_cli.terminal.messages import CONTROL, say

app = application()

_STATES: tuple[State, ...] = ("done", "running", "waiting", "failed", "quarantined", "left out")
_RATE_OVER = 3600.0  # seconds


@dataclass(frozen=True, kw_only=True)
class StatusOptions:
    """The options of `kuaihl batch status`."""

    output: Annotated[
        Path, typer.Argument(metavar="OUT", help="The output folder of a batch, a watch or a data set that is built.")
    ]
    as_json: JsonOption = False


@app.command(epilog=RULE)
@read_settings(StatusOptions)
def batch_status(options: StatusOptions) -> None:
    """Show the states of recordings, the rate, what runs, and the reason of each that failed.

    It may be asked while a batch runs. To score a folder that is called "status": kuaihl batch ./status -o OUT.
    """
    if not (options.output / LEDGER_FILE).is_file() and not any(options.output.glob(f"*/{RECORD_FILE}")):
        raise SourceError(f"{options.output}: holds no ledger and no run folder, so it is no output folder of a batch")
    with open_ledger(options.output, say) as ledger:
        status = read_status(ledger)
    if options.as_json:
        print_document(json.dumps(status, ensure_ascii=False))
        return
    for line in status_lines(status):
        typer.echo(CONTROL.sub(" ", line))


def read_status(ledger: Ledger) -> dict[str, Any]:
    """The counts by state, the rate in the last hour of work, and the rows that somebody may want to look at."""
    now, counts = time.time(), Counter(ledger.counts())
    running = [row for row in ledger.rows("running") if row.is_running]
    counts["waiting"] += counts["running"] - len(running)  # their process was killed
    counts["running"] = len(running)
    rate = ledger.rate(_RATE_OVER)
    return {
        "counts": {state: counts[state] for state in _STATES},
        "times_real_time": None if rate is None else round(rate, 3),
        "running": [_running_entry(row, now) for row in running],
        **{state.replace(" ", "_"): [_entry(row) for row in ledger.rows(state)] for state in _STATES[-3:]},
    }


def _entry(row: Row) -> dict[str, Any]:
    return {"source": row.source, "reason": row.reason, "tries": row.tries}


def _running_entry(row: Row, now: float) -> dict[str, Any]:
    age = None if row.begun is None else round(max(0.0, now - row.begun), 3)
    return {"source": row.source, "seconds": age, "host": row.host, "process": row.process}


def status_lines(status: dict[str, Any]) -> list[str]:
    """The status for people."""
    counts = status["counts"]
    lines = [", ".join(f"{number} {state}" for state, number in counts.items() if number) or "no recordings"]
    if status["times_real_time"] is not None:
        lines.append(f"{status['times_real_time']:.1f}× real time in the last hour of work")
    lines += [
        f"{one['source']}: running for {format_timecode(one['seconds'] or 0.0)}, process {one['process']}"
        for one in status["running"]
    ]
    for state in ("failed", "quarantined"):
        lines += [
            f"{one['source']}: {state} ({one['tries']} {'try' if one['tries'] == 1 else 'tries'}): {one['reason']}"
            for one in status[state]
        ]
    return lines
