"""highlights.twitch.csv: markers as Twitch exports them: `H:MM:SS,role,user,description`, without a header.

Their times are those of the stream, whatever the time stamps of a recording of it are.
"""

import csv
import io

from kuaihl.engines.outputs.csv import as_text
from kuaihl.engines.outputs.cue import cue_lines
from kuaihl.engines.outputs.highlights_json import HighlightsDocument
from kuaihl.engines.outputs.timelines.timeline import Timeline

_LONGEST = 140  # characters of a description


def render(document: HighlightsDocument, _: Timeline) -> str:
    """One marker per highlight, in order of time, at the last whole second before its start."""
    text = io.StringIO(newline="")
    rows = csv.writer(text)
    for one in document["highlights"]:
        seconds = int(one["start"])
        place = f"{seconds // 3600}:{seconds // 60 % 60:02}:{seconds % 60:02}"
        rows.writerow((place, "Editor", "kuaihl", as_text(" · ".join(cue_lines(one))[:_LONGEST])))
    return text.getvalue()
