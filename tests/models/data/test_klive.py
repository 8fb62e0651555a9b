"""The KLive layout, written and read again (DESIGN section 6)."""

import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from kuaihl.models.data.klive import OPEN_ROOMS, KLive, open_klive, streamer_index
from kuaihl.models.data.klive_writer import DataSetWriter
from kuaihl.models.errors import DataError
from kuaihl.models.facts import DataSetFacts, EncoderFacts, LabelFacts, RoomRecord
from kuaihl.models.features import TextSource
from kuaihl.models.signals import GROUPS, SIGNAL_NAMES, SIGNALS, SIGNALS_WIDTH, SignalsFacts, with_standard_scores

FACTS = DataSetFacts(
    profile="edge",
    encoders=(EncoderFacts("vision", "drawn", "1", ""),),
    segment_seconds=30.0,
    label=LabelFacts(source="drawn for a test"),
    visual_width=6,
    text_width=4,
    patches=2,
    signals=SignalsFacts(),
    licence="none needed",
)


def arrays(segments: int, seed: int = 0) -> dict[str, Any]:
    draw = np.random.default_rng(seed)
    views = draw.integers(60, 500, segments).astype(np.int32)
    return {
        "visual": draw.normal(size=(segments, 2, 6)).astype(np.float16),
        "text": draw.normal(size=(segments, 4)).astype(np.float16),
        "views": views,
        "long_views": (views // 3).astype(np.int32),
    }


def write(folder: Path, rooms: dict[RoomRecord, dict[str, Any]], facts: DataSetFacts = FACTS) -> KLive:
    writer = DataSetWriter(folder, facts)
    for record, content in rooms.items():
        writer.write_room(record, content)
    writer.finish()
    return open_klive(folder)


def break_array(folder: Path, room: str, name: str, where: object, value: float) -> None:
    file = folder / "rooms" / f"{room}.safetensors"
    content = load_file(file)
    content[name][where] = value
    save_file(content, file)


def test_what_was_written_is_read(tmp_path: Path) -> None:
    start = datetime(2026, 3, 1, 20, 30, tzinfo=UTC)
    record, content = RoomRecord("直播-1", "小明", 7, "test", start), arrays(7)
    data = write(tmp_path / "set", {record: content, RoomRecord("other", "", 3, "train"): arrays(3)})
    assert data.facts == FACTS
    assert data.rooms_of("test") == (record,)
    assert data.rooms_of("train")[0].start_time is None
    room = data.room(record)
    for name in ("visual", "text", "views", "long_views"):
        np.testing.assert_array_equal(getattr(room, name), content[name])


def test_what_a_file_says_of_its_room_is_never_taken_for_its_layout(tmp_path: Path) -> None:
    rooms = {
        RoomRecord(f"room{i}", "}" * i + '"},"visual":{"x": [', 3 + i, "train"): arrays(3 + i, i) for i in range(4)
    }
    data = write(tmp_path / "set", rooms)
    for record, content in rooms.items():
        np.testing.assert_array_equal(data.room(record).visual, content["visual"])
        assert DataSetWriter(tmp_path / "set", FACTS).find_written(record.id) == record


def test_a_label_is_equation_1_of_the_next_segment_and_is_masked_under_sixty_views(tmp_path: Path) -> None:
    content = arrays(5)
    content["views"][:] = [100, 59, 60, 200, 0]
    content["long_views"][:] = [50, 20, 15, 150, 0]
    record = RoomRecord("room", "a", 5, "train")
    labels, valid = write(tmp_path / "set", {record: content}).room(record).labels()
    np.testing.assert_array_equal(valid, [False, True, True, False, False])
    np.testing.assert_array_equal(labels, np.float32([0, 0.25, 0.75, 0, 0]))


def test_rates_that_nobody_counted_are_labels_of_every_segment_but_the_last(tmp_path: Path) -> None:
    content = {name: part for name, part in arrays(4).items() if "views" not in name}
    content["rate"] = np.float32([0.1, 0.5, 0.25, 1.0])
    record = RoomRecord("room", "a", 4, "train")
    room = write(tmp_path / "set", {record: content}).room(record)
    assert room.views is None
    labels, valid = room.labels()
    np.testing.assert_array_equal(labels, np.float32([0.5, 0.25, 1.0, 0]))
    np.testing.assert_array_equal(valid, [True, True, True, False])


def test_a_window_ends_at_every_segment_and_is_padded_on_the_left_at_a_rooms_start(tmp_path: Path) -> None:
    rooms = {RoomRecord(f"room{i}", f"streamer{i}", 3 + i, "train"): arrays(3 + i, i) for i in range(3)}
    data = write(tmp_path / "set", rooms)
    index = data.windows("train", window=4)
    assert len(index) == 3 + 4 + 5
    number = 0
    for record, content in rooms.items():
        for end in range(record.segments):
            got = index.gather([number])
            first = max(0, end - 3)
            kept = end + 1 - first
            np.testing.assert_array_equal(got.segment_valid[0], [False] * (4 - kept) + [True] * kept)
            np.testing.assert_array_equal(got.visual[0, -kept:], content["visual"][first : end + 1])
            np.testing.assert_array_equal(got.text[0, -kept:], content["text"][first : end + 1])
            labels, valid = data.room(record).labels()
            np.testing.assert_array_equal(got.labels[0, -kept:], labels[first : end + 1])
            np.testing.assert_array_equal(got.label_valid[0, -kept:], valid[first : end + 1])
            for padding in (got.visual, got.text, got.labels, got.label_valid):
                assert not padding[0, :-kept].any()
            assert got.streamer == (record.streamer,)
            number += 1


def test_a_recent_sample_has_sixty_viewers_in_its_last_segment_no_padding_and_all_its_labels(tmp_path: Path) -> None:
    content = arrays(6)
    content["views"][:] = [100, 59, 60, 200, 30, 80]
    content["long_views"][:] = [50, 0, 15, 150, 6, 40]
    quiet = arrays(9) | {"views": np.full(9, 59, np.int32), "long_views": np.full(9, 20, np.int32)}
    rooms = {
        RoomRecord("short", "a", 3, "train"): arrays(3),  # three segments, and no label for the last
        RoomRecord("room", "b", 6, "train"): content,
        RoomRecord("quiet", "c", 9, "train"): quiet,
    }
    index = write(tmp_path / "set", rooms).windows("train", window=3, samples="recent")
    assert len(index) == 2  # they end at the segments of 60 and of 200 viewers
    got = index.gather([1, 0])
    assert got.streamer == ("b", "b")
    np.testing.assert_array_equal(got.visual, [content["visual"][1:4], content["visual"][0:3]])
    np.testing.assert_array_equal(got.labels, np.float32([[0.25, 0.75, 0.2], [0.0, 0.25, 0.75]]))
    assert got.label_valid.all() and got.segment_valid.all()
    with pytest.raises(IndexError):
        index.gather([2])


def test_a_label_that_nobody_watched_counts_in_no_recent_sample(tmp_path: Path) -> None:
    content = arrays(5)
    content["views"][:] = [100, 0, 60, 200, 0]
    content["long_views"][:] = [50, 0, 15, 150, 0]
    data = write(tmp_path / "set", {RoomRecord("room", "a", 5, "train"): content})
    index = data.windows("train", window=3, samples="recent")
    np.testing.assert_array_equal(index.gather([0, 1]).label_valid, [[False, True, True], [True, True, False]])


def test_every_window_is_a_recent_sample_if_nobody_counted_viewers(tmp_path: Path) -> None:
    content = {name: part for name, part in arrays(6).items() if "views" not in name}
    content["rate"] = np.linspace(0, 1, 6, dtype=np.float32)
    data = write(tmp_path / "set", {RoomRecord("room", "a", 6, "train"): content})
    index = data.windows("train", window=4, samples="recent")
    assert len(index) == 2
    np.testing.assert_array_equal(index.gather([1]).labels[0], content["rate"][2:6])


def test_windows_come_in_the_order_that_was_asked_for(tmp_path: Path) -> None:
    index = write(tmp_path / "set", {RoomRecord(f"room{i}", "a", 6, "train"): arrays(6, i) for i in range(4)}).windows(
        "train", window=3
    )
    order = np.random.default_rng(1).permutation(len(index))
    together, alone = index.gather(order), [index.gather([int(number)]) for number in order]
    for name in ("visual", "text", "labels", "label_valid", "segment_valid"):
        np.testing.assert_array_equal(getattr(together, name), np.concatenate([getattr(one, name) for one in alone]))
    with pytest.raises(IndexError):
        index.gather([len(index)])
    with pytest.raises(IndexError):
        index.gather([-1])


def test_the_text_of_speech_or_comments_alone_is_read_where_it_is_there(tmp_path: Path) -> None:
    record, content = RoomRecord("room", "a", 3, "train"), arrays(3)
    content |= {"text_speech": content["text"] + np.float16(1), "text_comments": content["text"] + np.float16(2)}
    plain = RoomRecord("plain", "a", 3, "train")
    data = write(tmp_path / "set", {record: content, plain: arrays(3)})
    np.testing.assert_array_equal(data.room(record, text="speech").text, content["text_speech"])
    np.testing.assert_array_equal(data.room(record, text="comments").text, content["text_comments"])
    np.testing.assert_array_equal(data.room(record).text, content["text"])
    with pytest.raises(DataError, match="plain has no text_speech"):
        data.room(plain, text="speech")


def test_a_streamer_may_be_in_several_splits_and_is_known_from_the_training_split_alone(tmp_path: Path) -> None:
    records = [
        RoomRecord("r1", "zoe", 3, "train"),
        RoomRecord("r2", "adam", 3, "train"),
        RoomRecord("r3", "zoe", 3, "test"),
        RoomRecord("r4", "new", 3, "validation"),
        RoomRecord("r5", "", 3, "train"),
    ]
    expected = {"adam": 1, "zoe": 2}
    assert streamer_index(records) == expected
    assert streamer_index(records[::-1]) == expected
    data = write(tmp_path / "set", {record: arrays(3) for record in records})
    assert streamer_index(data.rooms) == expected


@pytest.mark.parametrize(
    ("name", "where", "value", "said"),
    [
        ("visual", (4, 1, 2), np.nan, "row 4: visual features hold NaN or infinity"),
        ("text", (2, 0), np.inf, "row 2: text features hold NaN or infinity"),
        ("text", (2, 3), -np.inf, "row 2: text features hold NaN or infinity"),
        ("long_views", 3, 10_000, "row 3: 10000 long views of"),
        ("long_views", 1, -1, "row 1: -1 long views of"),
    ],
)
def test_bad_rows_are_told_by_room_and_row(tmp_path: Path, name: str, where: object, value: float, said: str) -> None:
    write(tmp_path / "set", {RoomRecord(f"room{i}", "a", 25, "train"): arrays(25) for i in "ab"})
    break_array(tmp_path / "set", "roomb", name, where, value)
    data = open_klive(tmp_path / "set")
    data.room(data.rooms[0])
    with pytest.raises(DataError) as told:
        data.windows("train").gather([0, 25])
    assert f"room roomb, {said}" in str(told.value)


def test_the_largest_finite_number_is_no_fault(tmp_path: Path) -> None:
    content = arrays(3)
    content["visual"][1, 1, 1] = -np.finfo(np.float16).max
    record = RoomRecord("room", "a", 3, "train")
    assert write(tmp_path / "set", {record: content}).room(record).visual[1, 1, 1] < -65_000


def test_a_rate_outside_0_to_1_is_refused(tmp_path: Path) -> None:
    writer = DataSetWriter(tmp_path / "set", FACTS)
    for wrong in (1.5, -0.1, np.nan):
        content = arrays(3) | {"rate": np.float32([0.5, wrong, 0.5])}
        with pytest.raises(DataError, match="room bad, row 1: rate"):
            writer.write_room(RoomRecord("bad", "a", 3, "train"), content)


def test_a_missing_room_is_told_when_it_is_read(tmp_path: Path) -> None:
    write(tmp_path / "set", {RoomRecord(f"room{i}", "a", 3, "train"): arrays(3) for i in range(2)})
    (tmp_path / "set" / "rooms" / "room1.safetensors").unlink()
    data = open_klive(tmp_path / "set")
    data.room(data.rooms[0])
    with pytest.raises(DataError, match=r"room1\.safetensors: missing"):
        data.room(data.rooms[1])


@pytest.mark.parametrize(
    "damage",
    [
        b"",
        b"short",
        (1 << 62).to_bytes(8, "little") + b"{}",
        (2).to_bytes(8, "little") + b"[]",
        (2).to_bytes(8, "little") + b"{}" + b"more than the header says",
    ],
)
def test_a_file_that_is_no_room_is_told(tmp_path: Path, damage: bytes) -> None:
    data = write(tmp_path / "set", {RoomRecord("room", "a", 3, "train"): arrays(3)})
    (tmp_path / "set" / "rooms" / "room.safetensors").write_bytes(damage)
    with pytest.raises(DataError, match=r"room\.safetensors"):
        data.room(data.rooms[0])


@pytest.mark.parametrize(
    "entry",
    [
        {"dtype": "F16", "shape": [3, 2, 6], "data_offsets": [0, 1 << 40]},
        {"dtype": "F16", "shape": [-3, 2, 6], "data_offsets": [0, 72]},
        {"dtype": "F64", "shape": [9], "data_offsets": [0, 72]},
        {"dtype": "F16", "shape": "wide", "data_offsets": [0, 72]},
        {"shape": [36], "data_offsets": [0, 72]},
    ],
)
def test_a_header_that_lies_is_told(tmp_path: Path, entry: dict[str, Any]) -> None:
    data = write(tmp_path / "set", {RoomRecord("room", "a", 3, "train"): arrays(3)})
    header = json.dumps({"visual": entry}).encode()
    content = len(header).to_bytes(8, "little") + header + bytes(72)
    (tmp_path / "set" / "rooms" / "room.safetensors").write_bytes(content)
    with pytest.raises(DataError, match=r"room\.safetensors"):
        data.room(data.rooms[0])


def test_a_cut_file_is_told(tmp_path: Path) -> None:
    data = write(tmp_path / "set", {RoomRecord("room", "a", 3, "train"): arrays(3)})
    file = tmp_path / "set" / "rooms" / "room.safetensors"
    file.write_bytes(file.read_bytes()[:-10])
    with pytest.raises(DataError, match="bytes and should be"):
        data.room(data.rooms[0])


def test_features_of_another_width_are_told(tmp_path: Path) -> None:
    record = RoomRecord("room", "a", 3, "train")
    write(tmp_path / "set", {record: arrays(3)})
    wider = tmp_path / "wider"
    data = write(wider, {record: arrays(3) | {"text": np.zeros((3, 9), np.float16)}}, replace(FACTS, text_width=9))
    (tmp_path / "set" / "rooms" / "room.safetensors").replace(wider / "rooms" / "room.safetensors")
    with pytest.raises(DataError, match=r"room room, text is float16 \[3, 4\] and should be float16 \[3, 9\]"):
        data.room(record)


@pytest.mark.parametrize("room", ["../escape", "a/b", ".hidden", "", "a" * 121, "a\x00b"])
def test_an_id_that_leads_out_of_the_folder_is_refused(tmp_path: Path, room: str) -> None:
    writer = DataSetWriter(tmp_path / "set", FACTS)
    with pytest.raises(DataError, match="cannot be a file's name"):
        writer.write_room(RoomRecord(room, "a", 3, "train"), arrays(3))
    assert not list((tmp_path / "set" / "rooms").iterdir())


def test_what_is_no_data_set_is_told(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="cannot be read"):
        open_klive(tmp_path)
    (tmp_path / "dataset.json").write_text('{"format": 99}')
    with pytest.raises(DataError, match="not of data set format 2"):
        open_klive(tmp_path)
    write(tmp_path / "set", {RoomRecord("room", "a", 3, "train"): arrays(3)})
    (tmp_path / "set" / "rooms.parquet").write_text("no table")
    with pytest.raises(DataError, match=r"rooms\.parquet"):
        open_klive(tmp_path / "set")


def test_a_build_that_was_interrupted_goes_on(tmp_path: Path) -> None:
    first, second = RoomRecord("first", "a", 3, "train"), RoomRecord("second", "b", 4, "test")
    DataSetWriter(tmp_path / "set", FACTS).write_room(first, arrays(3))
    writer = DataSetWriter(tmp_path / "set", FACTS)
    assert writer.find_written("first") == first
    assert writer.find_written("second") is None
    (tmp_path / "set" / "rooms" / "second.safetensors").write_bytes(b"half a room")
    assert writer.find_written("second") is None
    writer.write_room(second, arrays(4))
    writer.finish()
    assert open_klive(tmp_path / "set").rooms == (first, second)


def test_another_kind_of_data_set_is_not_gone_on_with(tmp_path: Path) -> None:
    DataSetWriter(tmp_path / "set", FACTS)
    with pytest.raises(DataError, match="other features or labels"):
        DataSetWriter(tmp_path / "set", replace(FACTS, segment_seconds=10.0))
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.tex").write_text("years of work")
    with pytest.raises(DataError, match="is not a data set"):
        DataSetWriter(tmp_path / "mine", FACTS)


def test_threads_may_share_a_data_set(tmp_path: Path) -> None:
    rooms = {RoomRecord(f"room{i:03}", "a", 5, "train"): arrays(5, i) for i in range(OPEN_ROOMS + 20)}
    index = write(tmp_path / "set", rooms).windows("train", window=3)
    orders = [np.random.default_rng(seed).permutation(len(index)) for seed in range(8)]
    expected = [index.gather(order) for order in orders]
    with ThreadPoolExecutor(4) as pool:
        for one, other in zip(pool.map(index.gather, orders), expected, strict=True):
            np.testing.assert_array_equal(one.visual, other.visual)
            np.testing.assert_array_equal(one.labels, other.labels)


def test_a_room_that_became_shorter_while_it_is_read_is_told(tmp_path: Path) -> None:
    record = RoomRecord("room", "a", 9, "train")
    data = write(tmp_path / "set", {record: arrays(9)})
    data.windows("train").gather([8])
    file = tmp_path / "set" / "rooms" / "room.safetensors"
    with file.open("r+b") as opened:
        opened.truncate(file.stat().st_size - 50)
    with pytest.raises(DataError, match="become shorter"):
        data.windows("train").gather([8])
    assert data.windows("train").gather([3]).segment_valid.sum() == 4


def test_a_room_that_was_replaced_by_a_shorter_one_is_told(tmp_path: Path) -> None:
    rooms = {RoomRecord(f"room{i:03}", "a", 9, "train"): arrays(9) for i in range(OPEN_ROOMS + 1)}
    data = write(tmp_path / "set", rooms)
    index = data.windows("train")
    index.gather(np.arange(0, len(index), 9))  # the first room is no longer open
    write(tmp_path / "other", {RoomRecord("room000", "a", 4, "train"): arrays(4)})
    (tmp_path / "other" / "rooms" / "room000.safetensors").replace(tmp_path / "set" / "rooms" / "room000.safetensors")
    with pytest.raises(DataError, match="visual has 4 rows, 9 are asked for"):
        index.gather([8])


def test_no_more_than_a_bounded_number_of_files_is_open(tmp_path: Path) -> None:
    rooms = {RoomRecord(f"room{i:03}", "a", 2, "train"): arrays(2) for i in range(OPEN_ROOMS + 40)}
    data = write(tmp_path / "set", rooms)
    before = len(list(Path("/proc/self/fd").iterdir()))
    data.windows("train").gather(np.arange(len(data.windows("train"))))
    assert len(list(Path("/proc/self/fd").iterdir())) - before <= OPEN_ROOMS


def counted(segments: int, seed: int = 0) -> dict[str, Any]:
    """A room with all eight counts, of which the last column is not counted."""
    counts = np.random.default_rng(seed).integers(0, 900, (segments, 8)).astype(np.int32)
    counts[:, 7] = -1
    return arrays(segments, seed) | {"counts": counts}


def test_counts_per_segment_come_with_a_window_if_asked_for(tmp_path: Path) -> None:
    """A sparse row: the room's number among the split's, the segment's number, then the eight counts."""
    content = [counted(5, 1), counted(9, 2)]
    rooms = {RoomRecord(f"room{i}", "a", len(each["views"]), "train"): each for i, each in enumerate(content)}
    data = write(tmp_path / "set", rooms)
    assert data.windows("train", window=3).gather([0]).sparse is None
    sparse = data.windows("train", window=3, counts=True).gather([1, 5 + 7]).sparse
    assert sparse is not None
    np.testing.assert_array_equal(sparse[0, 0], [-1] * 10)  # padding
    np.testing.assert_array_equal(sparse[0, 1:, :2], [[1, 0], [1, 1]])
    np.testing.assert_array_equal(sparse[0, 1:, 2:], content[0]["counts"][:2])
    np.testing.assert_array_equal(sparse[1, :, :2], [[2, 5], [2, 6], [2, 7]])
    np.testing.assert_array_equal(sparse[1, :, 2:], content[1]["counts"][5:8])
    room = data.room(data.rooms[1], counts=True)
    np.testing.assert_array_equal(room.counts, content[1]["counts"])


def test_a_set_without_counts_is_whole_and_says_so_to_who_asks_for_them(tmp_path: Path) -> None:
    data = write(tmp_path / "set", {RoomRecord("room", "a", 5, "train"): arrays(5)})
    assert data.room(data.rooms[0]).counts is None
    for ask in (
        lambda: data.room(data.rooms[0], counts=True),
        lambda: data.windows("train", counts=True).gather([0]),
    ):
        with pytest.raises(DataError, match="room room has no counts per segment"):
            ask()


@pytest.mark.parametrize(
    ("counts", "said"),
    [
        (np.where(np.arange(40).reshape(5, 8) == 18, -2, 3).astype(np.int32), "row 2: -2 as gift count"),
        (np.zeros((5, 7), np.int32), r"counts is int32 \[5, 7\] and should be int32 \[5, 8\]"),
        (np.zeros((5, 8), np.float32), "counts is float32"),
    ],
)
def test_counts_that_nobody_can_have_counted_are_told(tmp_path: Path, counts: Any, said: str) -> None:
    with pytest.raises(DataError, match=said):
        write(tmp_path / "set", {RoomRecord("room", "a", 5, "train"): arrays(5) | {"counts": counts}})


def with_signals(segments: int, seed: int = 0) -> dict[str, Any]:
    values = np.random.default_rng(seed).normal(size=(segments, len(SIGNAL_NAMES))).astype(np.float32)
    return arrays(segments, seed) | {"signals": with_standard_scores(values)}


def test_signals_come_with_a_window_if_asked_for_as_they_were_written(tmp_path: Path) -> None:
    content = [with_signals(5, 1), with_signals(9, 2)]
    rooms = {RoomRecord(f"room{i}", "a", len(each["views"]), "train"): each for i, each in enumerate(content)}
    data = write(tmp_path / "set", rooms)
    assert data.facts.signals == SignalsFacts()
    assert data.windows("train", window=3).gather([0]).signals is None
    found = data.windows("train", window=3, signals=True).gather([1, 5 + 7]).signals
    assert found is not None
    assert not found[0, 0].any()  # padding
    np.testing.assert_array_equal(found[0, 1:], content[0]["signals"][:2])
    np.testing.assert_array_equal(found[1], content[1]["signals"][5:8])


@pytest.mark.parametrize(
    ("text", "unread"), [("both", ()), ("speech", ("comments",)), ("comments", ("sound", "speech"))]
)
def test_signals_tell_nothing_that_the_text_leaves_out(
    tmp_path: Path, text: TextSource, unread: tuple[str, ...]
) -> None:
    content = with_signals(9) | dict.fromkeys(("text_speech", "text_comments"), np.zeros((9, 4), np.float16))
    data = write(tmp_path / "set", {RoomRecord("room", "a", 9, "train"): content})
    groups = [signal.group for signal in SIGNALS]
    kept = [group not in unread for group in (*GROUPS, *groups, *groups)]  # the columns: has_GROUP, values, scores
    whole = data.room(data.rooms[0], text, signals=True).signals
    np.testing.assert_array_equal(whole, np.where(kept, content["signals"], 0))
    window = data.windows("train", window=3, text=text, signals=True).gather([8]).signals
    assert window is not None
    np.testing.assert_array_equal(window[0], np.where(kept, content["signals"][6:], 0))


def test_a_window_s_labels_of_the_present_are_those_of_the_next_a_segment_later(tmp_path: Path) -> None:
    content = arrays(9)
    content["views"][4] = 59
    content["long_views"] = np.minimum(content["long_views"], content["views"])
    data = write(tmp_path / "set", {RoomRecord("room", "a", 9, "train"): content})
    found = data.windows("train", window=4).gather([1, 6, 8])
    rates = content["long_views"] / content["views"]
    rates[4] = 0.0
    np.testing.assert_allclose(found.interest[1], rates[3:7], rtol=1e-6)
    np.testing.assert_array_equal(found.interest_valid[1], [True, False, True, True])
    np.testing.assert_allclose(found.interest[0], [0, 0, *rates[:2]], rtol=1e-6)
    np.testing.assert_array_equal(found.interest_valid[0], [False, False, True, True])  # padding has none
    np.testing.assert_array_equal(found.interest[1:, 1:], found.labels[1:, :-1])
    np.testing.assert_array_equal(found.label_valid[2], [True, True, True, False])  # the last has no next
    assert found.interest_valid[2].all()
    labels, valid = data.room(data.rooms[0]).present_labels()
    np.testing.assert_allclose(labels, rates, rtol=1e-6)
    np.testing.assert_array_equal(valid, np.arange(9) != 4)


@pytest.mark.parametrize(
    ("signals", "said"),
    [
        (np.zeros((5, 3), np.float32), r"signals is float32 \[5, 3\]"),
        (np.zeros((5, SIGNALS_WIDTH)), "signals is float64"),
        (np.full((5, SIGNALS_WIDTH), np.nan, np.float32), "row 0: signals hold NaN"),
    ],
)
def test_signals_that_cannot_be_are_told(tmp_path: Path, signals: Any, said: str) -> None:
    with pytest.raises(DataError, match=said):
        write(tmp_path / "set", {RoomRecord("room", "a", 5, "train"): arrays(5) | {"signals": signals}})


@pytest.mark.parametrize("facts", [replace(FACTS, signals=None), replace(FACTS, signals=SignalsFacts(0, ("old",)))])
def test_a_set_of_no_signals_or_of_others_is_whole_and_says_so_to_who_asks(tmp_path: Path, facts: DataSetFacts) -> None:
    data = write(tmp_path / "set", {RoomRecord("room", "a", 5, "train"): arrays(5)}, facts)
    assert data.room(data.rooms[0]).signals is None
    with pytest.raises(DataError, match="room room has no signals as this kuaihl measures them"):
        data.windows("train", signals=True).gather([0])
