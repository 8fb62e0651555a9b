"""yt-dlp's heat map ("most replayed") in, a rate per segment out: a public relative of LVTR if there are no view logs.

`yt-dlp --write-info-json` leaves NAME.info.json beside the recording. Its `heatmap` lists spans of the video, each with
a value in [0, 1]: its replays relative to the video's most replayed span.
"""

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kuaihl.models.errors import DataError
from kuaihl.models.json_text import parse_json

_INFO_SUFFIX = ".info.json"
_MAX_INFO_BYTES = 64 << 20
_MAX_SPANS = 10_000  # YouTube provides a hundred
_ROUNDED = 0.1  # seconds that a span may be off the end of the last one: YouTube rounds starts and lengths


@dataclass(frozen=True)
class HeatMap:
    """How often parts of a video were replayed, and other facts from its info file."""

    edges: NDArray[np.float64]  # [N + 1] seconds, rising
    values: NDArray[np.float64]  # [N] in [0, 1]
    channel: str = ""
    start_time: datetime | None = None

    def average_rates(self, starts: NDArray[np.float64], ends: NDArray[np.float64]) -> NDArray[np.float32]:
        """The mean value over each segment [S], by time. Time after the map's end counts as its last span.

        Raises DataError if the recording is longer than the map by more than a span and a segment.
        """
        widest = float(np.diff(self.edges).max())
        if ends[-1] > self.edges[-1] + widest + (ends[0] - starts[0]):
            raise DataError(
                f"the recording is {ends[-1]:.0f} s long and the heat map {self.edges[-1]:.0f} s: two videos"
            )
        edges = np.append(self.edges, max(self.edges[-1], ends[-1]) + 1.0)
        heat = np.concatenate([[0.0], np.cumsum(np.append(self.values, self.values[-1]) * np.diff(edges))])
        means = (np.interp(ends, edges, heat) - np.interp(starts, edges, heat)) / (ends - starts)
        rates: NDArray[np.float32] = np.clip(means, 0.0, 1.0).astype(np.float32)
        return rates


def read_heatmap(recording: Path) -> HeatMap:
    """The heat map of a recording, from the info file beside it. Raises DataError if there is no usable one."""
    file = recording.with_name(recording.stem + _INFO_SUFFIX)
    try:
        if file.stat().st_size > _MAX_INFO_BYTES:
            raise DataError(f"{file}: more than {_MAX_INFO_BYTES >> 20} MB, which is no info file of yt-dlp")
        info = parse_json(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise DataError(f"{file}: cannot be read ({error.strerror}); download with yt-dlp --write-info-json") from error
    except ValueError as error:
        raise DataError(f"{file}: is not JSON ({error})") from error
    spans = info.get("heatmap") if isinstance(info, dict) else None
    if not spans:
        raise DataError(f"{file}: has no heatmap; YouTube makes one only of videos that many have watched")
    edges, values = _parse_spans(file, spans)
    return HeatMap(edges, values, str(info.get("channel_id") or ""), start_time(info))


def _parse_spans(file: Path, spans: Any) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Edges and values of spans that follow each other. Raises DataError naming one that does not."""
    try:
        rows = np.array(
            [[float(span[name]) for name in ("start_time", "end_time", "value")] for span in spans[: _MAX_SPANS + 1]]
        )
    except (TypeError, ValueError, KeyError) as error:
        raise DataError(f"{file}: has a heatmap of a kind that is not known ({error!r})") from error
    if len(rows) > _MAX_SPANS:
        raise DataError(f"{file}: has a heatmap of more than {_MAX_SPANS} spans")
    starts, ends, values = rows.T
    follows = np.append(True, np.abs(starts[1:] - ends[:-1]) <= _ROUNDED)
    good = follows & (ends > starts) & (starts >= 0) & (values >= 0) & (values <= 1) & np.isfinite(ends)
    if not good.all() or starts[0] > _ROUNDED:
        row = int(np.flatnonzero(~good)[0]) if not good.all() else 0
        raise DataError(f"{file}: heatmap, span {row}: {starts[row]} to {ends[row]} s, value {values[row]}")
    return np.append(starts, ends[-1]), values


def start_time(info: dict[str, Any]) -> datetime | None:
    """The start of the broadcast, if yt-dlp knows it."""
    stamp = info.get("release_timestamp") or info.get("timestamp")
    return datetime.fromtimestamp(stamp, UTC) if isinstance(stamp, int) and 0 < stamp < 1 << 33 else None
