"""An editor's cuts as labels: the share of each segment that was kept.

The file lies beside the recording under the same name, or is named by the user. Without one, the recording's chapters
serve.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from kuaihl.engines.datasets.cut_files import READERS, MediaClock, Span, file_name, read_spans
from kuaihl.engines.ingest.media_facts import probe_source
from kuaihl.engines.ingest.opening import open_source
from kuaihl.models.errors import DataError, Remedy

# LosslessCut names the project of NAME.mp4 NAME-proj.llc.
_CUT_SUFFIXES = ("-proj.llc", *READERS)
_ALL = 0.98  # of a recording: an editor who kept this much left nothing out


@dataclass(frozen=True)
class CutSettings:
    """How files of cuts are found and read."""

    path: Path | None = None  # one recording's file, or a folder with one for each; None: beside the recordings
    named: str = ""  # of named spans, only those whose name contains this
    clock: MediaClock = field(default_factory=MediaClock)  # the settings given; the recording supplies the rest


def _find_cuts_file(recording: Path, folder: Path | None = None) -> Path | None:
    """The file of cuts of a recording: beside it, or in `folder` under its name."""
    for suffix in _CUT_SUFFIXES:
        candidate = (folder or recording.parent) / (recording.stem + suffix)
        if candidate.is_file():
            return candidate
    return None


def cuts_file(recording: str, given: Path | None, settings: CutSettings) -> Path | None:
    """The file of cuts of a recording: the one `given` for it, named in the settings, or found; None without one."""
    path = settings.path
    return given or (path if path and path.is_file() else _find_cuts_file(Path(recording), path))


def read_cuts(recording: str, given: Path | None, settings: CutSettings) -> list[Span]:
    """The spans of a recording, from the file `given` for it or the one that is found.

    Raises DataError if none exists or a line of it is not a span, SourceError if `recording` cannot be read.
    """
    path, file = settings.path, cuts_file(recording, given, settings)
    if path and file is None and not path.is_dir():
        raise DataError(f"{path}: no such file or folder of cuts")
    clock, chapters = media_clock(recording, settings.clock)
    spans = _choose_recording(recording, file, read_spans(file, clock)) if file else chapters
    where = str(file or recording)
    if not spans:
        raise DataError(f"{recording}: no file of cuts beside it ({' '.join(_CUT_SUFFIXES)}) and no chapters in it")
    named = [span for span in spans if settings.named.lower() in span.name.lower()]
    if not named:
        raise DataError(f"{where}: none of its {len(spans)} cuts has {settings.named!r} in its name")
    return _close_spans(spans, named)


def _close_spans(spans: Sequence[Span], wanted: Sequence[Span]) -> list[Span]:
    """The wanted spans, each with an end: a span without one lasts until the next of all spans begins."""
    starts = np.array(sorted({span.start for span in spans}))
    following = np.append(starts, np.inf)
    return [
        span
        if span.end is not None
        else replace(span, end=float(following[np.searchsorted(starts, span.start, side="right")]))
        for span in wanted
    ]


def _choose_recording(recording: str, file: Path, spans: list[Span]) -> list[Span]:
    """This recording's spans in a timeline cut from several. Raises DataError if they cannot be determined."""
    sources = {file_name(span.source) for span in spans if span.source}
    if len(sources) < 2:
        return spans
    name = file_name(recording)
    mine = [span for span in spans if file_name(span.source) == name]
    if not mine:
        raise DataError(f"{file}: is cut from {len(sources)} recordings, and none is called {name}")
    return mine


def media_clock(recording: str, told: MediaClock) -> tuple[MediaClock, list[Span]]:
    """Frame rate and first time code, as `told` or from the recording, and its chapters. Raises SourceError."""
    with open_source(recording) as source:
        container, facts = source.container, probe_source(source)
        rate = told.rate or (float(facts.rate) if facts.has_video else 0.0)
        chapters = [
            Span(
                float(one["start"] * one["time_base"]),
                float(one["end"] * one["time_base"]),
                str(one["metadata"].get("title", "")),
            )
            for one in container.chapters()
            if one["time_base"]
        ]
    return MediaClock(rate, told.start or facts.start_code), chapters


def compute_shares(
    spans: Sequence[Span], starts: NDArray[np.float64], ends: NDArray[np.float64], where: str
) -> NDArray[np.float32]:
    """The share of each segment [S] inside any span, in [0, 1].

    Raises DataError if most of the spans' time is after the recording's end, or if they leave nothing out.
    """
    bounds = np.array([(span.start, span.end) for span in spans], np.float64)
    bounds = bounds[np.argsort(bounds[:, 0])]
    bounds[:, 1] = np.where(np.isinf(bounds[:, 1]), np.maximum(bounds[:, 0], ends[-1]), bounds[:, 1])
    upto = np.maximum.accumulate(bounds[:, 1])
    begins = np.maximum(bounds[:, 0], np.append(0.0, upto[:-1]))  # time that an earlier span covers counts once
    lengths = np.maximum(upto - begins, 0.0)
    # Kept seconds up to each edge, linear between. Edges rise: a covered span begins where its cover ends.
    edges = np.stack([begins, upto], axis=1).ravel()
    kept = np.stack([np.cumsum(lengths) - lengths, np.cumsum(lengths)], axis=1).ravel()
    rates = (np.interp(ends, edges, kept) - np.interp(starts, edges, kept)) / (ends - starts)
    inside = float(np.interp(ends[-1], edges, kept))
    if inside * 2 < kept[-1] or not rates.any():
        raise DataError(f"{where}: most of its cuts are after the recording's end; are their times from its start?")
    if float((rates * (ends - starts)).sum()) > _ALL * float((ends - starts).sum()):
        raise DataError(
            f"{where}: its cuts are the whole recording, which labels nothing",
            remedy=Remedy("pick some of them by name", {"cuts_named": None}),
        )
    shared: NDArray[np.float32] = np.clip(rates, 0.0, 1.0).astype(np.float32)
    return shared
