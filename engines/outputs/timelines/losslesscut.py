"""highlights.llc and highlights.losslesscut.csv: LosslessCut's project (version 2) and its list of segments."""

import csv
import io
import json

from kuaihl.engines.outputs.csv import as_text
from kuaihl.engines.outputs.highlights_json import TIME_DECIMALS, HighlightsDocument
from kuaihl.engines.outputs.timelines.timeline import Timeline


def render(_: HighlightsDocument, timeline: Timeline) -> str:
    """The project, for the recording beside it. JSON, which is JSON5 too."""
    segments = [
        {
            "start": round(cut.start, TIME_DECIMALS),
            "end": round(cut.end, TIME_DECIMALS),
            "name": cut.title,
            "tags": {"rank": str(cut.entry["rank"]), "score": f"{cut.entry['score']:.6f}"},
        }
        for cut in timeline.cuts
    ]
    project = {"version": 2, "mediaFileName": timeline.file.name, "cutSegments": segments}
    return json.dumps(project, ensure_ascii=False, indent=2) + "\n"


def render_csv(_: HighlightsDocument, timeline: Timeline) -> str:
    """Start, end and name per line, times in seconds; without a header, which older versions take for a segment."""
    text = io.StringIO(newline="")
    rows = csv.writer(text)
    rows.writerows((f"{cut.start:.3f}", f"{cut.end:.3f}", as_text(cut.title)) for cut in timeline.cuts)
    return text.getvalue()
