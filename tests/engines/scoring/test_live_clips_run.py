"""A run of a stream with clips: each is there when its highlight closes, and highlights.json tells of all of them.

The encoders and the network are stand-ins, and what they would score is given. Servers, media and files are real.
"""

import json
import shutil
import threading
import time
from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import av
import jsonschema
import pytest
from support.flv_parts import part
from support.http_media import media_server
from support.paths import DOCS
from support.rtmp_server import make_broadcast, rtmp_server
from support.small_bundle import make_bundle

from kuaihl.engines.highlights.clips import Clip
from kuaihl.engines.scoring import run as run_module
from kuaihl.engines.scoring.model import Model
from kuaihl.engines.scoring.remake import remake_highlights
from kuaihl.engines.scoring.run import Run
from kuaihl.engines.scoring.scorer import open_step
from kuaihl.engines.scoring.settings import ScoreSettings
from kuaihl.engines.types import ScoredSegment, Segment
from kuaihl.models.errors import BatchError, UsageError
from kuaihl.models.facts import EncoderFacts

SETTINGS = ScoreSettings(clips=True, segment_seconds=1.0, timeout=2.0)
HIGH = range(6, 9)  # segments after which the score is high: the highlight is the next 10 s, the least that there is


class Scorer:
    """Stands in for the network: given scores."""

    state = None

    def __init__(self, *_: object, **__: object) -> None: ...

    def score(self, segment: Segment) -> ScoredSegment:
        rate = 0.8 if segment.index in HIGH else 0.3 - segment.index / 1000  # it falls, or nothing would close
        start, end = segment.start, segment.end
        return ScoredSegment(
            segment.index, start, end, end, end + 1.0, rate, "", 0, segment.gap, time.time(), events=segment.events
        )


@pytest.fixture
def model(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Model:
    bundle = make_bundle(tmp_path_factory.mktemp("bundle"), seed=0)
    encoders = SimpleNamespace(
        device="cpu",
        vision=SimpleNamespace(runtime=SimpleNamespace(precision="fp32")),
        transcriber_name="none",
        transcriber=None,
        facts=(EncoderFacts("vision", "x", "1", "ab" * 32),),
        times=SimpleNamespace(stage=lambda _: nullcontext()),
    )
    monkeypatch.setattr(run_module, "encode_alone", lambda segments, *_, **__: segments)
    monkeypatch.setattr(run_module, "StreamingScorer", Scorer)
    monkeypatch.setattr("kuaihl.engines.scoring.journal.write_state", lambda *_: None)
    return Model(bundle, cast(Any, encoders), open_step(bundle), SETTINGS)


@pytest.fixture(scope="module")
def flv(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    return make_broadcast(tmp_path_factory.mktemp("broadcast") / "room.flv", seconds=24.0).read_bytes()


@pytest.fixture
def url(flv: bytes) -> Iterator[str]:
    """A stream of 24 s that comes as fast as it is read."""
    with media_server() as server:
        yield server.live("/room.flv", flv)


def document_of(folder: Path) -> dict[str, Any]:
    document = json.loads((folder / "highlights.json").read_text(encoding="utf-8"))
    jsonschema.validate(document, json.loads((DOCS / "highlights.schema.json").read_text(encoding="utf-8")))
    assert isinstance(document, dict)
    return document


def events_of(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "events.jsonl").read_text(encoding="utf-8").splitlines()]


def duration_of(path: Path) -> float:
    with av.open(str(path)) as container:
        return max(float(packet.pts * packet.time_base) for packet in container.demux(video=0) if packet.size)


def test_a_stream_leaves_the_clips_of_its_highlights(model: Model, url: str, tmp_path: Path) -> None:
    lines: list[str] = []
    result = Run(model, url, SETTINGS, output=tmp_path / "out", report=lines.append).finish()
    document = document_of(tmp_path / "out")
    (entry,) = document["live_clips"]
    assert (entry["start"], entry["end"]) == (7.0, 17.0)
    assert entry["clip"]["file"] == "clips/room_01_00-00-07.mp4"
    assert duration_of(tmp_path / "out" / entry["clip"]["file"]) == pytest.approx(
        10.3, abs=0.4
    )  # from the keyframe before
    assert lines == ["clip of 0:07–0:17: room_01_00-00-07.mp4"]
    result.check_clips()
    for highlight, clip in zip(result.highlights, result.clips, strict=True):
        contains = highlight.start <= 7.001 and highlight.end >= 16.999
        lies_within = highlight.start >= 6.999 and highlight.end <= 17.001
        assert isinstance(clip, Clip) is (contains or lies_within)
    made = remake_highlights(tmp_path / "out", replace(SETTINGS, clips=False, top=1, length=(10.0, 60.0)))
    assert document_of(tmp_path / "out")["live_clips"] == document["live_clips"]
    assert made.failed_clips == ()


def score_until(segment: int, run: Run) -> None:
    """Score as far as that segment, and leave the stream then."""
    for scored in run:
        if scored.segment == segment:
            break


def test_a_run_that_goes_on_begins_with_an_empty_ring_and_keeps_earlier_clips(
    model: Model, flv: bytes, tmp_path: Path
) -> None:
    folder, lines = tmp_path / "out", list[str]()
    with media_server() as server:
        url = server.live("/room.flv", flv)
        score_until(17, Run(model, url, SETTINGS, output=folder))
        before = document_of(folder)["live_clips"]
        torn = folder / "clips" / ".room_02.mp4.part"
        torn.write_bytes(b"half a clip of a killed run")
        run = Run(model, url, SETTINGS, output=folder, earlier="resume", report=lines.append)
        assert not torn.exists()
        for _ in run:
            if len(run.segments) == 20:
                break
    assert len(before) == 1 and document_of(folder)["live_clips"] == before
    assert [path.name for path in (folder / "clips").iterdir()] == ["room_01_00-00-07.mp4"]
    assert not lines


@pytest.mark.parametrize("is_cut", [False, True])
def test_a_highlight_whose_clip_a_kill_prevented_or_left_unnoted_is_not_forgotten(
    is_cut: bool, model: Model, flv: bytes, tmp_path: Path
) -> None:
    folder, lines = tmp_path / "out", list[str]()
    with media_server() as server:
        url = server.live("/room.flv", flv)
        score_until(16, Run(model, url, SETTINGS, output=folder))
        (noted,) = document_of(folder)["live_clips"]
        clip = folder / noted["clip"]["file"]
        cut = clip.read_bytes()
        (folder / "highlights.json").unlink()
        if not is_cut:  # as after a kill in the second that a clip waits for its last packets
            shutil.rmtree(folder / "clips")
        score_until(20, Run(model, url, SETTINGS, output=folder, earlier="resume", report=lines.append))
    (entry,) = document_of(folder)["live_clips"]
    assert (entry["start"], entry["end"], entry["clip"]["file"]) == (7.0, 17.0, noted["clip"]["file"])
    if is_cut:
        assert clip.read_bytes() == cut and not lines
        assert entry["clip"]["start"] == pytest.approx(noted["clip"]["start"], abs=0.2)
    else:
        assert clip.is_file(), "this server begins anew, so its media came again"
        assert lines == ["clip of 0:07–0:17: room_01_00-00-07.mp4"]


def test_a_clip_that_a_kill_prevented_while_it_waited_for_its_padding_is_not_forgotten(
    model: Model, flv: bytes, tmp_path: Path
) -> None:
    settings = replace(SETTINGS, padding=(0.0, 5.0))
    folder, lines = tmp_path / "out", list[str]()
    with media_server() as server:
        url = server.live("/room.flv", flv)
        score_until(20, Run(model, url, settings, output=folder))
        (folder / "highlights.json").unlink()  # as after a kill: the clip waits for 22 s
        shutil.rmtree(folder / "clips")
        score_until(23, Run(model, url, settings, output=folder, earlier="resume", report=lines.append))
    (entry,) = document_of(folder)["live_clips"]
    assert (entry["start"], entry["end"]) == (7.0, 17.0) and "clip" in entry
    assert lines == ["clip of 0:07–0:17: room_01_00-00-07.mp4"]


def test_a_highlight_that_a_run_was_stopped_in_has_one_clip(
    model: Model, flv: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(f"{__name__}.HIGH", range(6, 21))
    folder, lines = tmp_path / "out", list[str]()
    with media_server() as server:
        url = server.live("/room.flv", flv, part(flv, 20, 24), stall=True)
        score_until(18, Run(model, url, SETTINGS, output=folder))
        (before,) = document_of(folder)["live_clips"]
        assert (before["start"], before["end"]) == (7.0, 19.0)
        run = Run(model, url, SETTINGS, output=folder, earlier="resume", report=lines.append)
        for _ in zip(range(3), run, strict=False):
            pass
    assert [event["kind"] for event in events_of(folder) if "highlight" in event["kind"]] == [
        "highlight_opened",
        "highlight_closed",
    ]
    assert document_of(folder)["live_clips"] == [before]
    assert not lines


def test_a_clip_that_cannot_be_written_is_told_and_fails_the_run_at_its_end(
    model: Model, url: str, tmp_path: Path
) -> None:
    lines: list[str] = []
    run = Run(model, url, SETTINGS, output=tmp_path / "out", report=lines.append)
    (tmp_path / "out" / "clips" / ".room_01_00-00-07.mp4.part").mkdir(parents=True)
    result = run.finish()
    assert len(result.segments) == 24
    (entry,) = document_of(tmp_path / "out")["live_clips"]
    assert "cannot be written" in entry["clip_failure"]
    assert len(lines) == 1 and "cannot be written" in lines[0]
    with pytest.raises(BatchError, match="1 of 1 clips could not be cut"):
        result.check_clips()


def test_a_run_that_is_left_early_has_the_clips_of_what_it_saw(model: Model, flv: bytes, tmp_path: Path) -> None:
    folder = tmp_path / "out" / "clips"
    with media_server() as server:
        url = server.live("/room.flv", flv, stall=True)
        for scored in Run(model, url, SETTINGS, output=tmp_path / "out"):
            if scored.segment == 16:
                break  # the highlight has just closed, and more is waiting
        (entry,) = document_of(tmp_path / "out")["live_clips"]
        assert (entry["start"], entry["end"]) == (7.0, 17.0)
    assert entry["clip"]["file"] == "clips/room_01_00-00-07.mp4"
    assert [path.name for path in folder.iterdir()] == ["room_01_00-00-07.mp4"]


@pytest.mark.parametrize(
    ("wanted", "words"),
    [
        ({"exact": True}, "exact: needs a file"),
        ({"aspect": "9:16"}, "aspect '9:16': needs a file"),
        ({"captions": "ass"}, "captions 'ass': needs a file"),
    ],
)
def test_what_needs_more_than_a_copy_is_refused_for_a_stream(
    model: Model, tmp_path: Path, wanted: dict[str, Any], words: str
) -> None:
    with pytest.raises(UsageError, match=words):
        Run(model, "rtmp://host/x", replace(SETTINGS, **wanted), output=tmp_path)


@pytest.mark.slow
def test_a_clip_of_an_rtmp_stream_is_there_before_the_stream_ends(model: Model, flv: bytes, tmp_path: Path) -> None:
    media = tmp_path / "room.flv"
    media.write_bytes(flv)
    stop = threading.Event()
    with rtmp_server(tmp_path) as server:
        server.publish(media, "room")
        time.sleep(1.0)
        run = Run(model, server.url("room"), SETTINGS, output=tmp_path / "out", stop=stop)
        for scored in run:
            clips = list((tmp_path / "out" / "clips").glob("*.mp4"))
            if scored.segment == 18:
                stop.set()
                break
        assert [clip.name for clip in clips] == ["room_01_00-00-07.mp4"], "while the publisher goes on"
        assert duration_of(clips[0]) == pytest.approx(10.3, abs=0.4)
