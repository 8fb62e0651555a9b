"""The faults of a data set: its table or a room's arrays in, one line per fault out, naming the row.

A room's rows are its segments, counted from 0. The reader stops at the first fault; `dataset_problems` reports them
all.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from kuaihl.models.data.segment_counts import NOT_COUNTED, SEGMENT_COUNTS
from kuaihl.models.errors import Remedy

if TYPE_CHECKING:
    from pathlib import Path

    from kuaihl.models.facts import DataSetFacts, RoomRecord

SPLITS = ("train", "validation", "test")
_SAFE_ID = re.compile(r"\w[\w.\-]{0,119}")  # becomes a file's name
_TEXTS = ("text", "text_speech", "text_comments")
OPTIONAL = (*_TEXTS, "counts", "signals")  # arrays that all rooms of a data set have, or no room has
_COUNTS = ("views", "long_views")
_RATES = ("rate", "true_rate")
_EXPONENT = np.uint16(0x7C00)  # of a float16: all ones only in infinity and NaN
_BLOCK = 16  # rows looked at together, so that a check holds little memory


def see_all_faults(data_set: "Path") -> Remedy:
    """The remedy that reports all faults."""
    return Remedy("check the whole data set", command="dataset validate", arguments=(str(data_set),))


def see_contents(data_set: "Path") -> Remedy:
    """The remedy that shows why a data set is too small for a request."""
    return Remedy("look at what it holds", command="dataset info", arguments=(str(data_set),))


def record_problems(records: "Sequence[RoomRecord]") -> Iterator[str]:
    """Every fault of a table of rooms, naming the row."""
    first_row: dict[str, int] = {}
    for row, record in enumerate(records):
        if not _SAFE_ID.fullmatch(record.id):
            yield f"row {row}: id {record.id[:130]!r} cannot be a file's name (letters, digits, _ . -; 120 at most)"
        if record.split not in SPLITS:
            yield f"row {row}: room {record.id} is of split {record.split!r}, known are {', '.join(SPLITS)}"
        if record.segments < 1:
            yield f"row {row}: room {record.id} has {record.segments} segments"
        if first_row.setdefault(record.id, row) != row:
            yield f"row {row}: id {record.id} is that of row {first_row[record.id]} too"


def room_problems(arrays: Mapping[str, NDArray[Any]], segments: int, facts: "DataSetFacts") -> Iterator[str]:
    """Every fault of a room that should have `segments` segments."""
    yield from label_problems(arrays, segments, facts)
    if any(_wrong_shapes(arrays, segments, facts)):
        return
    for name in ("visual", *_TEXTS):
        if name in arrays:
            for row in rows_not_finite(arrays[name]):
                yield f"row {row}: {name} features hold NaN or infinity"
    if "signals" in arrays:
        for row in np.flatnonzero(~np.isfinite(arrays["signals"]).all(axis=1)).tolist():
            yield f"row {row}: signals hold NaN or infinity"


def label_problems(arrays: Mapping[str, NDArray[Any]], segments: int, facts: "DataSetFacts") -> Iterator[str]:
    """The faults that can be found without reading features: in shapes, and in labels if the shapes are right."""
    shape_problems = list(_wrong_shapes(arrays, segments, facts))
    if shape_problems:
        yield from shape_problems
    else:
        yield from _wrong_labels(arrays)
        yield from _wrong_counts(arrays)


def _wrong_shapes(arrays: Mapping[str, NDArray[Any]], segments: int, facts: "DataSetFacts") -> Iterator[str]:
    """Arrays that are missing, or differ in type or shape from dataset.json and rooms.parquet."""
    text = ("float16", (segments, facts.text_width))
    expected = {
        "visual": ("float16", (segments, facts.patches, facts.visual_width)),
        **dict.fromkeys(_TEXTS, text),
        **dict.fromkeys(_COUNTS, ("int32", (segments,))),
        **dict.fromkeys(_RATES, ("float32", (segments,))),
        "counts": ("int32", (segments, len(SEGMENT_COUNTS))),
        "signals": ("float32", (segments, len(facts.signals.names) if facts.signals else 0)),
    }
    needed = ("visual", "text") if "rate" in arrays else ("visual", "text", *_COUNTS)
    for name in needed:
        if name not in arrays:
            yield f"has no {name}"
    if ("views" in arrays) != ("long_views" in arrays) and "rate" in arrays:
        yield "has one of views and long_views without the other"
    for name, (dtype, shape) in expected.items():
        if name in arrays and (arrays[name].dtype != dtype or arrays[name].shape != shape):
            found = arrays[name]
            yield f"{name} is {found.dtype} {list(found.shape)} and should be {dtype} {list(shape)}"


def rows_not_finite(features: NDArray[np.float16]) -> list[int]:
    """Rows that hold NaN or infinity, found by their bits: three times as fast as by the numbers."""
    bits = features.reshape(len(features), -1).view(np.uint16)
    bad = []
    for first in range(0, len(bits), _BLOCK):
        block = bits[first : first + _BLOCK] & _EXPONENT
        if block.max(initial=0) == _EXPONENT:
            bad += [first + int(row) for row in np.flatnonzero((block == _EXPONENT).any(axis=1))]
    return bad


def _wrong_labels(arrays: Mapping[str, NDArray[Any]]) -> Iterator[str]:
    """Labels outside [0, 1]: counts that no view log could have given, and impossible rates."""
    for name in _RATES:
        if name in arrays:
            rate = arrays[name]
            for row in np.flatnonzero(~((rate >= 0) & (rate <= 1))):  # NaN is neither
                yield f"row {row}: {name} is {rate[row]}, outside [0, 1]"
    if "views" in arrays:
        views, long_views = arrays["views"], arrays["long_views"]
        for row in np.flatnonzero((long_views < 0) | (long_views > views)):
            yield f"row {row}: {long_views[row]} long views of {views[row]} views, a label outside [0, 1]"


def _wrong_counts(arrays: Mapping[str, NDArray[Any]]) -> Iterator[str]:
    """Impossible counts per segment."""
    if "counts" in arrays:
        counts = arrays["counts"]
        for row, column in np.argwhere(counts < NOT_COUNTED):
            name = SEGMENT_COUNTS[column]
            yield f"row {row}: {counts[row, column]} as {name} count; {NOT_COUNTED} says that nobody counted"
