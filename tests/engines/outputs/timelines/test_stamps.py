"""Spans of the run's clock are found on the recording's own time stamps, or are said to have no place there."""

import json
from dataclasses import replace
from pathlib import Path

import jsonschema
import pytest
from support.media import Tag, make, media_tags, retimed, write_flv
from support.paths import DOCS

from kuaihl.engines.ingest.media_facts import probe_file
from kuaihl.engines.ingest.opening import open_source
from kuaihl.engines.ingest.packets import TimedPacket, packets
from kuaihl.engines.outputs.formats import FORMATS, remarks
from kuaihl.engines.outputs.highlights_json import EventEntry, HighlightsDocument, Report, build_document
from kuaihl.engines.outputs.timelines.stamps import own_span, stretches_of
from kuaihl.engines.outputs.timelines.timeline import build_timeline
from kuaihl.engines.types import Event, Highlight


def rebase(time: float, stamp: float | None) -> EventEntry:
    entry = EventEntry(kind="rebase", time=time, detail="the time stamps jumped")
    if stamp is not None:
        entry["stamp"] = stamp
    return entry


def test_without_a_jump_the_two_clocks_are_one() -> None:
    gap = EventEntry(kind="gap", time=3.0, detail="")
    assert own_span(10.0, 20.0, stretches_of([gap], 60.0)) == (10.0, 20.0)


def test_behind_a_jump_ahead_the_recording_s_own_times_count() -> None:
    stretches = stretches_of([rebase(100.0, 700.0)], 200.0)
    assert own_span(10.0, 20.0, stretches) == (10.0, 20.0)
    assert own_span(110.0, 120.0, stretches) == (710.0, 720.0)
    assert own_span(95.0, 130.0, stretches) == (700.0, 730.0), "the longest part"
    assert own_span(50.0, 110.0, stretches) == (50.0, 100.0)


def test_behind_a_restart_times_stand_for_two_places() -> None:
    stretches = stretches_of([rebase(100.0, 0.0)], 160.0)
    assert own_span(110.0, 120.0, stretches) is None
    assert own_span(10.0, 20.0, stretches) is None
    assert own_span(59.0, 61.0, stretches) is None
    assert own_span(60.0, 90.0, stretches) == (60.0, 90.0), "the restarted recording ends before"


@pytest.mark.parametrize("stamp", [None, -50.0])
def test_times_that_are_unknown_or_before_the_first_have_no_place(stamp: float | None) -> None:
    stretches = stretches_of([rebase(100.0, stamp)], 140.0)
    assert own_span(110.0, 120.0, stretches) is None
    assert (own_span(10.0, 20.0, stretches) is None) == (stamp is None)


# Real recordings: 10 s, then 10 s more with other time stamps.


@pytest.fixture(scope="module")
def steady(tmp_path_factory: pytest.TempPathFactory) -> list[Tag]:
    return media_tags(make(tmp_path_factory.mktemp("stamps") / "steady.flv", seconds=20.0, gop=10))


def jumping(path: Path, steady: list[Tag], milliseconds: int) -> Path:
    """The second half is stamped later or earlier by this much."""
    headers = [tag for tag in steady if tag.is_header]
    media = [tag for tag in steady if not tag.is_header]
    return write_flv(path, [*headers, *retimed(media, lambda ms: ms + milliseconds * (ms >= 10_000))])


def document_of(path: Path, *spans: tuple[float, float]) -> HighlightsDocument:
    events, end = [], 0.0
    with open_source(str(path)) as source:
        for item in packets(source):
            if isinstance(item, Event):
                events.append(item)
            else:
                end = max(end, item.time + item.duration)
    highlights = [Highlight(start, stop, 0.5, (0,)) for start, stop in spans]
    return build_document(Report(path.name, end, None, "edge", None, highlights, events=events))


def test_of_a_jump_ahead_the_event_leads_to_the_very_packets(tmp_path: Path, steady: list[Tag]) -> None:
    path = jumping(tmp_path / "ahead.flv", steady, 400_000)
    document = document_of(path, (2.0, 5.0), (13.0, 16.0))
    assert [one["kind"] for one in document["events"]] == ["rebase", "eof"]
    jsonschema.validate(document, json.loads((DOCS / "highlights.schema.json").read_text(encoding="utf-8")))
    stretches = stretches_of(document["events"], document["duration"])
    with open_source(str(path)) as source:
        origin = source.origin or 0.0
        checked = 0
        for item in packets(source):
            if isinstance(item, TimedPacket) and (item.time < 9.5 or item.time > 10.5):
                span = own_span(item.time, item.time + 0.01, stretches)
                assert span is not None and span[0] == pytest.approx(item.media_time - origin, abs=2e-3)
                checked += 1
    assert checked > 300
    timeline = build_timeline(document, replace(probe_file(str(path)), frames=0), "ahead")
    # Ten frames per second: an editor that counts by time stamps finds the second at 413 s.
    assert [(cut.first, cut.last) for cut in timeline.cuts] == [(20, 50), (4130, 4160)]
    assert list(remarks(document, ["edl"], timeline)) == []


def test_of_a_restart_no_wrong_time_is_written_and_a_line_says_so(tmp_path: Path, steady: list[Tag]) -> None:
    path = jumping(tmp_path / "restart.flv", steady, -10_000)
    document = document_of(path, (2.0, 5.0), (13.0, 16.0))
    timeline = build_timeline(document, probe_file(str(path)), "restart")
    assert timeline.unmapped == 2 and timeline.cuts == ()
    (line,) = remarks(document, ["csv", "edl", "llc-csv", "twitch"], timeline)
    assert line.startswith("2 of 2 highlights are not in edl, llc-csv: the recording's time stamps jump")
    assert "001" not in FORMATS["edl"].render(document, timeline)
    assert len(FORMATS["twitch"].render(document, timeline).splitlines()) == 2, "the stream's own times are right"
    mended = build_timeline(document, probe_file(str(path)), "restart", on_run_clock=True)
    assert [(cut.first, cut.last) for cut in mended.cuts] == [(20, 50), (130, 160)]
