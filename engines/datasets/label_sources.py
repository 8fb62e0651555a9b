"""The sources of a data set's labels: view logs, heat maps, comments, or an editor's cuts.

A source looks a room up before it is encoded, so that a room without labels costs nothing, and labels its segments
afterwards. A new source is one class here and its LabelFacts.
"""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime
from hashlib import blake2b
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from kuaihl.engines.archive.jobs import Job
from kuaihl.engines.comments.reader import read_comments
from kuaihl.engines.datasets.chat_labels import DELAY, chat_rates
from kuaihl.engines.datasets.cuts import CutSettings, compute_shares, cuts_file, read_cuts
from kuaihl.engines.datasets.heatmap import read_heatmap
from kuaihl.engines.datasets.view_log import LONG_VIEW_SECONDS, ViewLog
from kuaihl.models.errors import DataError, SourceError
from kuaihl.models.facts import LabelFacts

_LONG_VIEWS = f"impressions of the next segment watched for more than {LONG_VIEW_SECONDS:.0f} s / all its impressions"

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class RoomLabels:
    """A labelled room: the function that labels its segments from their starts and ends [S], and other facts found."""

    label: Callable[[Floats, Floats], dict[str, NDArray[Any]]]  # counts or a rate, as in the layout
    streamer: str = ""
    start_time: datetime | None = None


class LabelSource(Protocol):
    """A source of labels; sent to the workers."""

    @property
    def facts(self) -> LabelFacts: ...

    def find(self, room: Job, segment_seconds: float) -> RoomLabels:
        """A room's labels. Raises SourceError, DataError if it has none here, as does its `label`."""
        ...

    def identity(self, room: Job) -> dict[str, Any]:
        """What a room's labels depend on, in JSON, besides its recording and comments. Raises as `find` does."""
        ...


@dataclass(frozen=True)
class ViewLabels:
    """LVTR from a log of views (paper, eq. 1)."""

    views: ViewLog

    @property
    def facts(self) -> LabelFacts:
        return LabelFacts(definition=_LONG_VIEWS, source="view log")

    def find(self, room: Job, segment_seconds: float) -> RoomLabels:
        name = room.room
        self.views.find(name)

        def label(starts: Floats, ends: Floats) -> dict[str, NDArray[Any]]:
            places = np.rint(starts / segment_seconds).astype(np.int64)
            views, long_views = self.views.counts(name, int(places[-1]) + 1)
            return {"views": views[places], "long_views": long_views[places]}

        return RoomLabels(label)

    def identity(self, room: Job) -> dict[str, Any]:
        return {"views": _digest(np.ascontiguousarray(self.views.find(room.room)).tobytes())}


@dataclass(frozen=True)
class HeatmapLabels:
    """yt-dlp's heat maps beside the recordings."""

    @property
    def facts(self) -> LabelFacts:
        definition = "how often the next segment was replayed, relative to the video's most replayed part"
        return LabelFacts("heat map", definition, 0, "yt-dlp heatmap (.info.json)")

    def find(self, room: Job, segment_seconds: float) -> RoomLabels:
        heat = read_heatmap(Path(room.source))
        return RoomLabels(
            lambda starts, ends: {"rate": heat.average_rates(starts, ends)}, heat.channel, heat.start_time
        )

    def identity(self, room: Job) -> dict[str, Any]:
        heat = read_heatmap(Path(room.source))
        facts = f"{heat.channel} {heat.start_time}".encode()
        return {"heatmap": _digest(heat.edges.tobytes() + heat.values.tobytes() + facts)}


@dataclass(frozen=True)
class ChatLabels:
    """Audience reaction in the comments beside the recordings."""

    delay: float = DELAY  # seconds between an event and the comments on it
    comments_offset: float = 0.0  # seconds first added to every comment's time

    @property
    def facts(self) -> LabelFacts:
        definition = (
            f"logistic of 1/2 chatters + 1/4 comments + 1/4 laughter of the next segment, {self.delay:g} s later, "
            "each a standard score against the room's level"
        )
        return LabelFacts("chat reaction", definition, 0, "chat: the comment files beside the recordings")

    def find(self, room: Job, segment_seconds: float) -> RoomLabels:
        if room.comments is None:
            raise DataError(f"{room.source}: no file of comments beside it, so there is nothing to label it by")
        written: Sequence[Any] = read_comments(room.comments, offset=self.comments_offset)
        where = str(room.comments)
        return RoomLabels(lambda starts, ends: {"rate": chat_rates(written, starts, ends, where, delay=self.delay)})

    def identity(self, room: Job) -> dict[str, Any]:
        return {"reaction_delay": self.delay, "comments_offset": self.comments_offset}


@dataclass(frozen=True)
class CutLabels:
    """The share of each segment that an editor kept."""

    settings: CutSettings = field(default_factory=CutSettings)

    @property
    def facts(self) -> LabelFacts:
        named = f" as {self.settings.named!r}" if self.settings.named else ""
        return LabelFacts("cut", f"share of the next segment that an editor kept{named}", 0, "cuts of an editor")

    def find(self, room: Job, segment_seconds: float) -> RoomLabels:
        spans = read_cuts(room.source, room.cuts, self.settings)
        return RoomLabels(lambda starts, ends: {"rate": compute_shares(spans, starts, ends, room.source)})

    def identity(self, room: Job) -> dict[str, Any]:
        file = cuts_file(room.source, room.cuts, self.settings)
        try:
            content = None if file is None else _digest(file.read_bytes())
        except OSError as error:
            raise SourceError(f"{file}: cannot be read ({error.strerror})") from error
        return {"cuts": content, "named": self.settings.named, "clock": asdict(self.settings.clock)}


def _digest(content: bytes) -> str:
    return blake2b(content, digest_size=16).hexdigest()
