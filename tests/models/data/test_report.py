"""What a data set is in figures: worked out by hand for four rooms."""

from pathlib import Path

import numpy as np
import pytest

from kuaihl.models.data.klive import open_klive
from kuaihl.models.data.klive_figures import PRINTED
from kuaihl.models.data.klive_writer import DataSetWriter
from kuaihl.models.data.report import Summary, summarise
from kuaihl.models.errors import DataError
from kuaihl.models.facts import DataSetFacts, EncoderFacts, LabelFacts, RoomRecord

FACTS = DataSetFacts(
    profile="edge",
    encoders=(EncoderFacts("vision", "drawn", "1", ""),),
    segment_seconds=30.0,
    label=LabelFacts(source="drawn for a test"),
    visual_width=2,
    text_width=2,
    patches=1,
)
# Segments and views of each: 60, 36, 36.5 and 24 min; the last but one is masked but for its first label.
ROOMS = {
    RoomRecord("a", "one", 120, "train"): np.full(120, 300),
    RoomRecord("b", "one", 72, "train"): np.full(72, 100),
    RoomRecord("c", "two", 73, "test"): np.where(np.arange(73) < 2, 60, 59),
    RoomRecord("d", "", 48, "validation"): None,
}


def write(path: Path, rooms: dict[RoomRecord, np.ndarray | None]) -> Path:  # type: ignore[type-arg]
    writer = DataSetWriter(path, FACTS)
    for record, views in rooms.items():
        size = record.segments
        arrays = {"visual": np.zeros((size, 1, 2), np.float16), "text": np.zeros((size, 2), np.float16)}
        if views is None:
            arrays["rate"] = np.full(size, 0.5, np.float32)
        else:
            arrays |= {"views": views.astype(np.int32), "long_views": (views // 2).astype(np.int32)}
        if record.id == "a":
            counts = np.full((size, 8), -1, np.int32)
            counts[5, [1, 4]] = 0, 7
            arrays["counts"] = counts
        writer.write_room(record, arrays)
    writer.finish()
    return path


@pytest.fixture(scope="module")
def summary(tmp_path_factory: pytest.TempPathFactory) -> Summary:
    return summarise(open_klive(write(tmp_path_factory.mktemp("set") / "set", ROOMS)))


def test_durations_are_segments_times_their_length(summary: Summary) -> None:
    """Minutes 60, 36, 36.5 and 24: of four, two are longer than 36; the median is 36.25."""
    rooms = summary.rooms
    assert rooms.rooms == 4
    assert rooms.hours == pytest.approx(156.5 / 60)
    assert rooms.longest_hours == pytest.approx(1)
    assert rooms.mean_hours == pytest.approx(156.5 / 4 / 60)
    assert rooms.median_hours == pytest.approx(36.25 / 60)
    assert rooms.share_longer_than_36_minutes == 0.5
    assert sorted(summary.room_hours * 60) == pytest.approx([24, 36, 36.5, 60])


def test_viewers_are_a_rooms_mean_views_per_segment_and_rates_have_none(summary: Summary) -> None:
    """Means 300, 100 and (2 x 60 + 71 x 59) / 73; 100 is not above 100."""
    rooms, least = summary.rooms, (2 * 60 + 71 * 59) / 73
    assert rooms.rooms_with_views == 3
    assert sorted(summary.room_viewers) == pytest.approx([least, 100, 300])
    assert (rooms.most_viewers, rooms.least_viewers) == (300, pytest.approx(least))
    assert rooms.mean_viewers == pytest.approx((400 + least) / 3)
    assert rooms.share_above_100_viewers == pytest.approx(1 / 3)


def test_labels_under_sixty_views_are_masked_and_a_last_segment_has_none(summary: Summary) -> None:
    """Labels there could be: 119 + 71 + 72 + 47. In room c only segment 1 has 60 views and is somebody's next."""
    assert summary.rooms.labels == 119 + 71 + 1 + 47
    assert summary.rooms.masked_share == pytest.approx(71 / 309)
    assert summary.splits["test"].labelled == 1


def test_who_streams_and_what_is_counted(summary: Summary) -> None:
    assert summary.rooms.streamers == 2
    assert summary.rooms.rooms_per_streamer == 1.5  # the room of nobody is no streamer's
    assert summary.splits["test"].unknown_streamers == 1
    assert summary.rooms.counts == ("comment", "like")


def test_the_printed_figures_are_those_of_the_supplement() -> None:
    expected = {
        "rooms": 17_897,
        "streamers": 9_932,
        "hours": 19_334,
        "longest_hours": 46.46,
        "mean_hours": 1,
        "share_longer_than_36_minutes": 0.49,
        "most_viewers": 32_006,
        "least_viewers": 60,
        "share_above_100_viewers": 0.38,
    }
    assert {name: PRINTED[name] for name in expected} == expected


def test_a_data_set_without_rooms_is_told(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="holds no rooms"):
        summarise(open_klive(write(tmp_path / "set", {})))
