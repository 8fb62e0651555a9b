"""What a room's labels depend on: it changes with their content and their settings, and with nothing else."""

import json
import random
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from kuaihl.engines.archive.jobs import Job
from kuaihl.engines.datasets.cut_files import MediaClock
from kuaihl.engines.datasets.cuts import CutSettings
from kuaihl.engines.datasets.label_sources import ChatLabels, CutLabels, HeatmapLabels, LabelSource, ViewLabels
from kuaihl.engines.datasets.view_log import read_view_log
from kuaihl.models.errors import DataError

ROOM = "room"


def job(folder: Path) -> Job:
    return Job(str(folder / f"{ROOM}.flv"), folder / "out", room=ROOM)


def views(folder: Path, chance: random.Random) -> LabelSource:
    rows = [(chance.uniform(0, 300), chance.uniform(0, 120)) for _ in range(50)]
    file = folder / "views.csv"
    others = "".join(f"other,{chance.uniform(0, 300)},10\n" for _ in range(chance.randrange(5)))
    file.write_text("room,time,watched\n" + others + "".join(f"{ROOM},{time},{watched}\n" for time, watched in rows))
    return ViewLabels(read_view_log(file, 30.0))


def heatmap(folder: Path, chance: random.Random) -> LabelSource:
    spans = [{"start_time": 10 * i, "end_time": 10 * (i + 1), "value": round(chance.random(), 3)} for i in range(10)]
    (folder / f"{ROOM}.info.json").write_text(json.dumps({"heatmap": spans, "view_count": random.random()}))
    return HeatmapLabels()


def cuts(folder: Path, chance: random.Random) -> LabelSource:
    start = chance.uniform(0, 100)
    (folder / f"{ROOM}.csv").write_text(f"start,end\n{start},{start + chance.uniform(1, 50)}\n")
    return CutLabels()


@pytest.mark.parametrize("make", [views, heatmap, cuts])
@pytest.mark.parametrize("seed", range(3))
def test_it_changes_with_the_content(
    make: Callable[[Path, random.Random], LabelSource], seed: int, tmp_path: Path
) -> None:
    first = make(tmp_path, random.Random(seed)).identity(job(tmp_path))
    assert json.loads(json.dumps(first)) == first
    assert make(tmp_path, random.Random(seed)).identity(job(tmp_path)) == first
    assert make(tmp_path, random.Random(seed + 100)).identity(job(tmp_path)) != first


def test_impressions_of_other_rooms_change_nothing(tmp_path: Path) -> None:
    source = views(tmp_path, random.Random(1))
    with (tmp_path / "views.csv").open("a") as file:
        file.write("another,5,70\n")
    grown = ViewLabels(read_view_log(tmp_path / "views.csv", 30.0))
    assert grown.identity(job(tmp_path)) == source.identity(job(tmp_path))


def test_it_changes_with_the_settings(tmp_path: Path) -> None:
    cuts(tmp_path, random.Random(0))
    sources = [
        ChatLabels(10.0),
        ChatLabels(5.0),
        ChatLabels(10.0, comments_offset=2.0),
        CutLabels(),
        CutLabels(CutSettings(named="best")),
        CutLabels(CutSettings(clock=MediaClock(25.0))),
        CutLabels(CutSettings(path=tmp_path / "nothing_here")),
    ]
    found = [json.dumps(source.identity(job(tmp_path))) for source in sources]
    assert len(set(found)) == len(found)


def test_labels_that_are_gone_are_an_error(tmp_path: Path) -> None:
    source = views(tmp_path, random.Random(2))
    assert isinstance(source, ViewLabels)
    del source.views.rooms[ROOM]
    for one in (source, HeatmapLabels()):
        with pytest.raises(DataError):
            one.identity(job(tmp_path))


def test_counts_are_compared_whole(tmp_path: Path) -> None:
    """One impression more, or one that was watched longer, is another label."""
    source = views(tmp_path, random.Random(3))
    assert isinstance(source, ViewLabels)
    before = source.identity(job(tmp_path))
    counts = source.views.rooms[ROOM]
    for place in np.ndindex(counts.shape):
        counts[place] += 1
        assert source.identity(job(tmp_path)) != before
        counts[place] -= 1
    assert source.identity(job(tmp_path)) == before
