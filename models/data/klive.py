"""Data sets in the KLive layout (DESIGN section 6): a directory in, look-back windows with shifted labels out.

`dataset.json` describes the features, `rooms.parquet` has one row per room, and `rooms/<id>.safetensors` holds each
segment once. Windows of n = 20 segments are cut from memory-mapped rooms on request (paper, section IV-A).
"""

import os
from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from sys import intern
from threading import Lock
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kuaihl.models.data.checks import label_problems, record_problems, room_problems, see_all_faults
from kuaihl.models.data.room_file import Layout, RoomFile, map_room
from kuaihl.models.data.sample_rule import SampleRule, recent_samples
from kuaihl.models.data.segment_counts import NOT_COUNTED, SEGMENT_COUNTS, SPARSE, sparse_rows
from kuaihl.models.data.shift import next_of
from kuaihl.models.dims import WINDOW
from kuaihl.models.errors import DataError, UsageError, reason_of
from kuaihl.models.facts import DataSetFacts, EncoderFacts, LabelFacts, RoomRecord
from kuaihl.models.features import UNREAD, Float16, TextSource
from kuaihl.models.json_text import parse_json
from kuaihl.models.signals import SIGNALS_WIDTH, SignalsFacts, columns_of, parse_signals

DATASET_FORMAT = 2  # raised by one if a key is renamed
FACTS_FILE, ROOMS_FILE, ROOMS_FOLDER = "dataset.json", "rooms.parquet", "rooms"
COLUMNS = ("id", "streamer", "segments", "split", "start_time")  # of rooms.parquet
_ROOMS_AT_ONCE = 512  # rows of the table turned into records at a time, so that intermediate values take no memory
OPEN_ROOMS = 64  # mapped at a time; each keeps a file open

_Arrays = Mapping[str, NDArray[Any]]
_TEXT_ARRAYS: Mapping[TextSource, str] = {"both": "text", "speech": "text_speech", "comments": "text_comments"}


@dataclass(frozen=True)
class RoomData:
    """A whole room, mapped: its pages are read when they are touched."""

    visual: Float16  # [S, P, d_v]
    text: Float16  # [S, d_t], from the requested text source
    views: NDArray[np.int32] | None  # [S]; None if the labels are rates that nobody counted
    long_views: NDArray[np.int32] | None  # [S]
    rate: NDArray[np.float32] | None  # [S], labels that are not counts
    true_rate: NDArray[np.float32] | None  # [S], from which counts were drawn; simulated rooms alone
    counts: NDArray[np.int32] | None  # [S, 8], see `segment_counts`; None in a data set without counts
    signals: NDArray[np.float32] | None  # [S, k], see `signals`; None in a data set without signals
    min_views: int

    def labels(self) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
        """The LVTR of the NEXT segment at each segment [S], 0 if it does not count, and whether it counts [S].

        The last segment has no next one, and labels from fewer than `min_views` impressions are masked (eq. 1).
        """
        present, counted = self.present_labels()
        return next_of(present), next_of(counted)

    def present_labels(self) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
        """The LVTR of each segment itself [S], which `interest` predicts, and whether it counts [S]."""
        if self.views is not None and self.long_views is not None and self.rate is None:
            return _compute_lvtr(self.views, self.long_views, self.min_views)
        if self.rate is not None:
            return self.rate, np.ones(len(self.visual), np.bool_)
        return np.zeros(len(self.visual), np.float32), np.zeros(len(self.visual), np.bool_)


@dataclass(frozen=True)
class Windows:
    """B windows of n segments; a room's first windows are padded on the left."""

    visual: Float16  # [B, n, P, d_v]
    text: Float16  # [B, n, d_t]
    labels: NDArray[np.float32]  # [B, n], the LVTR of the next segment; 0 if not valid
    label_valid: NDArray[np.bool_]  # [B, n]
    segment_valid: NDArray[np.bool_]  # [B, n], False for padding
    streamer: tuple[str, ...]  # B
    interest: NDArray[np.float32]  # [B, n], the LVTR of the segment itself; 0 if not valid
    interest_valid: NDArray[np.bool_]  # [B, n]
    sparse: NDArray[np.int32] | None = None  # [B, n, 10] if requested: `sparse_rows`, rooms from 1 in order
    signals: NDArray[np.float32] | None = None  # [B, n, k] if requested


def _compute_lvtr(
    views: NDArray[np.int32], long_views: NDArray[np.int32], min_views: int
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Long-view-through rates (eq. 1), 0 if they do not count, and whether they count; of any shape."""
    valid = views >= max(min_views, 1)
    rates = np.divide(long_views, views, out=np.zeros(views.shape), where=valid)
    return rates.astype(np.float32), valid


class KLive:
    """An open data set. Rooms are mapped when they are read, a bounded number at a time; threads may share it."""

    def __init__(self, path: Path, facts: DataSetFacts, rooms: tuple[RoomRecord, ...]) -> None:
        self.path, self.facts, self.rooms = path, facts, rooms
        self._open: OrderedDict[str, RoomFile] = OrderedDict()  # by id, least recently read first
        self._folder = f"{path / ROOMS_FOLDER}{os.sep}"
        self._lock = Lock()

    def rooms_of(self, split: str) -> tuple[RoomRecord, ...]:
        return tuple(room for room in self.rooms if room.split == split)

    def windows(
        self,
        split: str,
        window: int = WINDOW,
        text: TextSource = "both",
        samples: SampleRule = "masked",
        *,
        counts: bool = False,
        signals: bool = False,
    ) -> "WindowIndex":
        """All windows of a split that are samples, with `counts` per segment and `signals` if requested.

        "recent" reads every room's views to find them. Raises DataError.
        """
        return WindowIndex(self, self.rooms_of(split), window, text, samples, counts=counts, signals=signals)

    def room(
        self, record: RoomRecord, text: TextSource = "both", *, counts: bool = False, signals: bool = False
    ) -> RoomData:
        """A room, mapped, with `counts` and `signals` if requested; the signals that UNREAD names are 0.

        Raises DataError naming room and row if unfit.
        """
        file = self.open_room(record, text, counts=counts, signals=signals)
        found = _room_data(file.map_arrays(), self.facts, text)
        if signals and found.signals is not None and UNREAD[text]:
            read = np.array(found.signals)  # a copy: the file's own stay as they are
            read[:, columns_of(UNREAD[text])] = 0
            return replace(found, signals=read)
        return found

    def open_room(
        self,
        record: RoomRecord,
        text: TextSource = "both",
        known: Layout | None = None,
        *,
        counts: bool = False,
        signals: bool = False,
    ) -> RoomFile:
        """A room's file with that text and, if requested, counts and signals in it; a bounded number is kept open.

        All of its rows are checked unless its layout is already `known`. Raises DataError as `room` does.
        """
        with self._lock:
            file = self._open.get(record.id)
            if file is not None:
                self._open.move_to_end(record.id)
        if file is None:
            file = RoomFile(f"{self._folder}{record.id}.safetensors", known)
            if known is None:
                for problem in room_problems(file.map_arrays(), record.segments, self.facts):
                    raise DataError(f"{self.path}: room {record.id}, {problem}", remedy=see_all_faults(self.path))
            with self._lock:
                self._open[record.id] = file
                if len(self._open) > OPEN_ROOMS:
                    self._open.popitem(last=False)
        name = _TEXT_ARRAYS[text]
        if name not in file:
            raise DataError(f"{self.path}: room {record.id} has no {name}, the text of {text} alone; build it again")
        if counts and "counts" not in file:
            raise DataError(f"{self.path}: room {record.id} has no counts per segment; see docs/datasets.md")
        if signals and ("signals" not in file or self.facts.signals != SignalsFacts()):
            raise DataError(
                f"{self.path}: room {record.id} has no signals as this kuaihl measures them; build the data set again, "
                "or train without signals"
            )
        return file

    def labels(self, record: RoomRecord) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
        """A room's labels as in `RoomData.labels`, without checking its features. Raises DataError."""
        return self.check_room(record).labels()

    def check_room(self, record: RoomRecord) -> RoomData:
        """A room, mapped, with everything but the features checked. Raises DataError."""
        arrays = map_room(room_path(self.path, record.id))
        for problem in label_problems(arrays, record.segments, self.facts):
            raise DataError(f"{self.path}: room {record.id}, {problem}", remedy=see_all_faults(self.path))
        return _room_data(arrays, self.facts, "both")


class WindowIndex:
    """The windows of some rooms that are samples, by number: room after room, segment after segment."""

    def __init__(
        self,
        data: KLive,
        records: Sequence[RoomRecord],
        window: int,
        text: TextSource,
        samples: SampleRule = "masked",
        *,
        counts: bool = False,
        signals: bool = False,
    ) -> None:
        self.data, self.records, self.window, self.text = data, records, window, text
        self.counts, self.signals = counts, signals
        # A few bytes per room, and none or four per window: KLive has 1.4 million windows.
        self._ends: NDArray[np.int32] | None = None  # the ends of windows, if they do not end at every segment
        sizes = [record.segments for record in records]
        if samples == "recent":
            least = data.facts.label.min_views
            ends = [recent_samples(data.check_room(record).views, record.segments, window, least) for record in records]
            sizes, self._ends = [len(some) for some in ends], np.concatenate(ends) if ends else np.empty(0, np.int32)
        self._after = np.cumsum(sizes, dtype=np.int64)
        self._layouts: list[Layout | None] = [None] * len(records)  # of rooms whose rows have been checked, once each

    def __len__(self) -> int:
        return int(self._after[-1]) if len(self._after) else 0

    def pairs(self, indices: Sequence[int] | NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """The room of each window (a place in `records`), and the segment it ends at. Raises IndexError."""
        numbers = np.asarray(indices, np.int64)
        if numbers.size and not (numbers.min() >= 0 and numbers.max() < len(self)):
            raise IndexError(f"there are {len(self)} windows, numbered from 0")
        rooms = np.searchsorted(self._after, numbers, side="right")
        if self._ends is not None:
            return rooms, self._ends[numbers].astype(np.int64)
        before = np.concatenate(([0], self._after[:-1]))[rooms]
        return rooms, numbers - before

    def gather(self, indices: Sequence[int] | NDArray[np.int64]) -> Windows:
        """Copy these windows out of their rooms. Raises DataError naming room and row if one cannot be used."""
        facts, n, count = self.data.facts, self.window, len(indices)
        visual = np.empty((count, n, facts.patches, facts.visual_width), np.float16)
        text = np.empty((count, n, facts.text_width), np.float16)
        views, long_views = np.zeros((2, count, n + 1), np.int32)  # of the window, and of the segment after it
        rates, is_rate = np.zeros((count, n + 1), np.float32), np.zeros((count, n + 1), np.bool_)
        segment_valid = np.zeros((count, n), np.bool_)
        streamers, text_name = [], _TEXT_ARRAYS[self.text]
        sparse = np.full((count, n, SPARSE), NOT_COUNTED, np.int32) if self.counts else None
        signals = np.zeros((count, n, SIGNALS_WIDTH), np.float32) if self.signals else None
        for i, (where, end) in enumerate(zip(*map(np.ndarray.tolist, self.pairs(indices)), strict=True)):
            record = self.records[where]
            file = self.data.open_room(
                record, self.text, self._layouts[where], counts=self.counts, signals=self.signals
            )
            self._layouts[where] = file.layout
            streamers.append(record.streamer)
            start = max(0, end + 1 - n)
            pad = n - (end + 1 - start)
            if pad:
                visual[i, :pad], text[i, :pad] = 0, 0
            file.read_rows("visual", start, visual[i, pad:])
            file.read_rows(text_name, start, text[i, pad:])
            segment_valid[i, pad:] = True
            if sparse is not None:
                counts = np.empty((n - pad, len(SEGMENT_COUNTS)), np.int32)
                file.read_rows("counts", start, counts)
                sparse[i, pad:] = sparse_rows(where + 1, start, counts)
            if signals is not None:
                file.read_rows("signals", start, signals[i, pad:])
            labelled = slice(pad, n + 1 - (end + 1 == record.segments))  # no segment follows the last one
            if "rate" in file:
                file.read_rows("rate", start, rates[i, labelled])
                is_rate[i, labelled] = True
            else:
                file.read_rows("views", start, views[i, labelled])
                file.read_rows("long_views", start, long_views[i, labelled])
        least = facts.label.min_views if self._ends is None else 1  # all labels of a kept sample count
        if signals is not None:
            signals[..., columns_of(UNREAD[self.text])] = 0
        counted, enough = _compute_lvtr(views, long_views, least)
        labels, valid = counted + rates, enough | is_rate
        return Windows(
            visual=visual,
            text=text,
            labels=np.where(segment_valid, labels[:, 1:], np.float32(0.0)),
            label_valid=valid[:, 1:] & segment_valid,
            segment_valid=segment_valid,
            streamer=tuple(streamers),
            interest=labels[:, :-1],
            interest_valid=valid[:, :-1],
            sparse=sparse,
            signals=signals,
        )


def open_klive(path: str | Path) -> KLive:
    """Read the facts of a data set and its table of rooms, but no room yet.

    Raises DataError if it is not a data set, has another format, or its table of rooms cannot be used. Raises
    UsageError if pyarrow is missing.
    """
    folder = Path(path)
    facts, rooms = read_facts(folder), read_rooms(folder)
    for problem in record_problems(rooms):
        raise DataError(f"{folder / ROOMS_FILE}: {problem}", remedy=see_all_faults(folder))
    return KLive(folder, facts, rooms)


def _room_data(arrays: _Arrays, facts: DataSetFacts, text: TextSource) -> RoomData:
    """A room's checked arrays, by their names."""
    return RoomData(
        visual=arrays["visual"],
        text=arrays[_TEXT_ARRAYS[text]],
        views=arrays.get("views"),
        long_views=arrays.get("long_views"),
        rate=arrays.get("rate"),
        true_rate=arrays.get("true_rate"),
        counts=arrays.get("counts"),
        signals=arrays.get("signals"),
        min_views=facts.label.min_views,
    )


def room_path(folder: Path, room: str) -> Path:
    """The file of a room with that id, which has been checked."""
    return folder / ROOMS_FOLDER / f"{room}.safetensors"


def read_facts(folder: Path) -> DataSetFacts:
    """`dataset.json`, checked. Raises DataError."""
    file = folder / FACTS_FILE
    try:
        found = parse_json(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise DataError(f"{file}: cannot be read ({error.strerror}); give the folder of a data set") from error
    except ValueError as error:
        raise DataError(f"{file}: is not JSON ({error}); build the data set again") from error
    if not isinstance(found, dict) or found.get("format") != DATASET_FORMAT:
        raise DataError(f"{file}: is not of data set format {DATASET_FORMAT}; update kuaihl or build it again")
    try:
        facts = DataSetFacts(
            profile=str(found["profile"]),
            encoders=tuple(EncoderFacts(**encoder) for encoder in found["encoders"]),
            segment_seconds=float(found["segment_seconds"]),
            label=LabelFacts(**found["label"]),
            visual_width=int(found["visual_width"]),
            text_width=int(found["text_width"]),
            patches=int(found["patches"]),
            signals=None if found.get("signals") is None else parse_signals(found["signals"]),
            licence=str(found["licence"]),
            ceiling=found.get("ceiling"),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise DataError(f"{file}: lacks something or has it wrong ({error}); build the data set again") from error
    if min(facts.visual_width, facts.text_width, facts.patches) < 1 or not facts.segment_seconds > 0:
        raise DataError(f"{file}: widths, patches and segment_seconds must be above 0; build the data set again")
    return facts


def read_rooms(folder: Path) -> tuple[RoomRecord, ...]:
    """`rooms.parquet` as it is. Raises DataError if it is not such a table, UsageError if pyarrow is missing."""
    try:
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ImportError as error:
        raise UsageError("data sets need pyarrow: pip install 'kuaihl[train]'") from error
    file = folder / ROOMS_FILE
    rooms: list[RoomRecord] = []
    try:
        with pq.ParquetFile(file) as table:
            for batch in table.iter_batches(_ROOMS_AT_ONCE, columns=list(COLUMNS), use_threads=False):
                columns = (batch.column(name).to_pylist() for name in COLUMNS)
                rooms.extend(
                    RoomRecord(str(room), intern(streamer or ""), int(segments), intern(split or ""), start)
                    for room, streamer, segments, split, start in zip(*columns, strict=True)
                )
    except (OSError, pa.ArrowException, KeyError, TypeError, ValueError) as error:
        raise DataError(
            f"{file}: cannot be read as a table of rooms ({reason_of(error)}); build the data set again"
        ) from error
    return tuple(rooms)


def streamer_index(records: "Iterable[RoomRecord]") -> dict[str, int]:
    """Indices from 1, in the order of the names, so that they do not depend on the order of the rooms."""
    known = {record.streamer for record in records if record.split == "train" and record.streamer}
    return {streamer: index for index, streamer in enumerate(sorted(known), start=1)}
