"""A KLive data set small enough for a test, written by hand from the layout of DESIGN section 6, and ways to break it.

The rate of the next segment follows one number of the pictures, one of the speech, and the streamer.
"""

import json
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from safetensors.numpy import load_file, save_file

from kuaihl.models.facts import EncoderFacts, LabelFacts
from kuaihl.models.signals import SIGNALS, SignalsFacts, with_standard_scores

SEGMENTS = 25


def small_dataset(
    folder: Path, *, train: int = 8, validation: int = 3, test: int = 2, signals: bool = False
) -> Path:  # fmt: skip
    """Rooms of 25 segments, 3 patches of 10 and words of 6 numbers; one label in ten has too few views.

    The first of its `signals`, if there are any, shows the rate of the segment itself.
    """
    draw = np.random.default_rng(0)
    (folder / "rooms").mkdir(parents=True)
    splits = ["train"] * train + ["validation"] * validation + ["test"] * test
    rows = []
    for number, split in enumerate(splits):
        taste = number % 4
        visual = draw.normal(size=(SEGMENTS, 3, 10)).astype(np.float16)
        speech, comments = draw.normal(size=(2, SEGMENTS, 6)).astype(np.float16)
        logit = np.roll(visual[:, 1, 2] + 2.0 * speech[:, 0], 1) + 0.3 * taste - 0.5
        views = np.where(draw.random(SEGMENTS) < 0.1, 30, 5000).astype(np.int32)
        long_views = draw.binomial(views, 1 / (1 + np.exp(-logit))).astype(np.int32)
        arrays = {
            "visual": visual,
            "text": speech + np.float16(0.1) * comments,
            "text_speech": speech,
            "text_comments": comments,
            "views": views,
            "long_views": long_views,
        }
        if signals:
            values = draw.normal(size=(SEGMENTS, len(SIGNALS))).astype(np.float32)
            values[:, 0] = logit
            arrays["signals"] = with_standard_scores(values)
        save_file(arrays, folder / "rooms" / f"room-{number:02d}.safetensors")
        start = datetime(2026, 1, 1 + number, tzinfo=UTC)
        rows.append((f"room-{number:02d}", f"streamer-{taste}", start, SEGMENTS, split))
    columns = [list(column) for column in zip(*rows, strict=True)]
    table = pa.table(dict(zip(("id", "streamer", "start_time", "segments", "split"), columns, strict=True)))
    pq.write_table(table, folder / "rooms.parquet")
    facts = {
        "format": 2,
        "profile": "edge",
        "encoders": [asdict(EncoderFacts("vision", "drawn", "1", "")), asdict(EncoderFacts("text", "drawn", "1", ""))],
        "segment_seconds": 30.0,
        "label": asdict(LabelFacts(source="simulated")),
        "visual_width": 10,
        "text_width": 6,
        "patches": 3,
        "licence": "made for a test",
    }
    if signals:
        facts["signals"] = asdict(SignalsFacts())
    (folder / "dataset.json").write_text(json.dumps(facts))
    return folder


def break_room(folder: Path, harm: str, *, split: str, row: int) -> str:
    """Harm one room of a split by "nan" or "label", at a row, or "missing"; returns the room's id."""
    rooms = pq.read_table(folder / "rooms.parquet").to_pylist()
    room = str([room["id"] for room in rooms if room["split"] == split][1])
    file = folder / "rooms" / f"{room}.safetensors"
    arrays = load_file(file)
    if harm == "missing":
        file.unlink()
        return room
    if harm == "nan":
        arrays["visual"][row, 1, 2] = np.nan
    else:
        arrays["long_views"][row] = arrays["views"][row] + 1  # more than all views: a rate above 1
    save_file(arrays, file)
    return room
