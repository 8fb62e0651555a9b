"""Clips of OpenTimelineIO's files are those that its own library finds."""

import json
import random
from pathlib import Path
from typing import Any

import pytest

from kuaihl.engines.datasets.otio_file import OtioClip, read_clips


def random_timeline(otio: Any, chance: random.Random) -> Any:
    """Tracks with clips, gaps, transitions and nested stacks; media with and without a range and an address."""

    def time_range() -> Any:
        rate = chance.choice((24, 25, 30000 / 1001))
        times = [otio.opentime.RationalTime(chance.randrange(10_000), rate) for _ in range(2)]
        return otio.opentime.TimeRange(*times)

    def clip() -> Any:
        media = otio.schema.ExternalReference(f"file:///a/{chance.randrange(3)}.flv")
        if chance.random() < 0.5:
            media.available_range = time_range()
        if chance.random() < 0.2:
            media = otio.schema.MissingReference()
        made = otio.schema.Clip(f"clip {chance.random()}", media)
        if chance.random() < 0.8:
            made.source_range = time_range()
        if chance.random() < 0.3:  # another take, chosen or not
            other = otio.schema.ExternalReference("file:///b.flv", available_range=time_range())
            key = chance.choice(("DEFAULT_MEDIA", "other"))
            made.set_media_references({"DEFAULT_MEDIA": made.media_reference, "other": other}, key)
        return made

    def track(depth: int) -> Any:
        made = otio.schema.Track(kind=chance.choice(("Video", "Audio")))
        for _ in range(chance.randrange(6)):
            kind = chance.randrange(5)
            if kind == 0:
                made.append(otio.schema.Gap(source_range=time_range()))
            elif kind == 1:
                made.append(otio.schema.Transition())
            elif kind == 2 and depth < 3:
                stack = otio.schema.Stack()
                stack.extend([track(depth + 1) for _ in range(2)])
                made.append(stack)
            else:
                made.append(clip())
        return made

    timeline = otio.schema.Timeline("t")
    timeline.tracks.extend([track(0) for _ in range(chance.randrange(1, 4))])
    return timeline


def by_the_library(timeline: Any) -> list[OtioClip]:
    found = []
    for clip in timeline.find_clips():
        media = clip.media_reference
        used = clip.source_range or media.available_range
        begins = media.available_range
        found.append(
            OtioClip(
                clip.name,
                used and used.start_time.to_seconds(),
                used.duration.to_seconds() if used else 0.0,
                begins and begins.start_time.to_seconds(),
                getattr(media, "target_url", ""),
            )
        )
    return found


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("version", ["now", "0.14"])
def test_the_clips_are_those_of_the_library(seed: int, version: str, tmp_path: Path) -> None:
    otio = pytest.importorskip("opentimelineio")
    timeline = random_timeline(otio, random.Random(seed))
    versions = {} if version == "now" else {"target_schema_versions": {"Clip": 1}}
    text = otio.adapters.write_to_string(timeline, "otio_json", **versions)
    assert list(read_clips(text)) == by_the_library(otio.adapters.read_from_string(text, "otio_json"))


@pytest.mark.parametrize(
    "text",
    [
        "[]",
        "3",
        '{"OTIO_SCHEMA": 3}',
        '{"OTIO_SCHEMA": "Clip.1"}',
        '{"OTIO_SCHEMA": "Track.1", "children": 3}',
        '{"OTIO_SCHEMA": "Track.1", "children": [{"OTIO_SCHEMA": "SerializableObjectRef.1", "id": "a"}]}',
        '{"OTIO_SCHEMA": "Track.1", "children": [{"OTIO_SCHEMA": "Clip.1", "source_range": 3}]}',
        '{"a":' * 100_000,
    ],
)
def test_what_is_no_timeline_is_a_value_error(text: str) -> None:
    with pytest.raises(ValueError, match=r"\S"):
        list(read_clips(text))


def test_nesting_costs_no_stack() -> None:
    deep: dict[str, Any] = {"OTIO_SCHEMA": "Clip.1", "name": "deep"}
    for _ in range(200):
        deep = {"OTIO_SCHEMA": "Stack.1", "children": [deep]}
    assert [clip.name for clip in read_clips(json.dumps(deep))] == ["deep"]
