"""Why a score is what it is: the network on the same stream without a part of it, told and kept beside the scores."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import jsonschema
import numpy as np
import pytest
from support.paths import DOCS, EXAMPLES
from support.small_bundle import BEYOND_PAPER, DIMS, make_bundle, segments

from kuaihl.engines.encoders.evidence import encode_partial_texts, shrink_frames
from kuaihl.engines.outputs.evidence_jsonl import SegmentEvidence, read_evidence
from kuaihl.engines.outputs.run_folder import read_highlights
from kuaihl.engines.scoring import journal as journal_module
from kuaihl.engines.scoring import run as run_module
from kuaihl.engines.scoring.evidence import pick_comments
from kuaihl.engines.scoring.model import Model
from kuaihl.engines.scoring.reading import Cutting, SourceReading
from kuaihl.engines.scoring.run import Run
from kuaihl.engines.scoring.scorer import ScorerState, StreamingScorer, open_step
from kuaihl.engines.scoring.settings import ScoreSettings
from kuaihl.engines.types import Comment, EncodedSegment, Frame, PartialTexts, Segment, SmallPicture
from kuaihl.models.bundle import Bundle
from kuaihl.models.features import SegmentFeatures
from kuaihl.models.signals import SIGNALS

DEMO = str(EXAMPLES / "demo.flv")
REPORT = ScoreSettings(report=True)
GROUP_OF = [signal.group for signal in SIGNALS]


@pytest.fixture(scope="module", params=[BEYOND_PAPER, DIMS], ids=["beyond the paper", "paper"])
def bundle(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return make_bundle(tmp_path_factory.mktemp("bundle") / "bundle", seed=0, dims=request.param)


def room(count: int = 14) -> Iterator[EncodedSegment]:
    """Segments with words and comments, whose partial texts are vectors of their own."""
    draw = np.random.default_rng(7)
    for one in segments(count, gaps=(4,)):
        partial = PartialTexts(*(draw.normal(size=6).astype(np.float16) for _ in range(2)))
        pictures = (SmallPicture(one.start + 5.0, bytes([one.index])),)
        comments = (Comment(one.start + 1.0, f"comment {one.index}", "somebody"),)
        yield replace(one, partial_texts=partial, pictures=pictures, comments=comments)


def without(part: str, one: EncodedSegment) -> EncodedSegment:
    """The segment as it would come from a stream that never had the part."""
    visual, text, values = one.features.visual, one.features.text, one.features.signals.copy()
    assert one.partial_texts is not None
    if part == "pictures":
        visual = np.zeros_like(visual)
    elif part == "words":
        text = one.partial_texts.without_speech
    elif part == "comments":
        text = one.partial_texts.without_comments
    gone = {"pictures": ["pictures"], "words": ["speech"], "comments": ["comments"], "sound": ["sound"]}
    for index, group in enumerate(GROUP_OF):
        if group in gone.get(part, ["pictures", "speech", "comments", "sound"]):
            values[index] = np.nan
    return replace(one, features=SegmentFeatures(visual, text, values))


def told(bundle: Bundle, stream: Iterator[EncodedSegment], **options: Any) -> list[SegmentEvidence]:
    found: list[SegmentEvidence] = []
    list(StreamingScorer(bundle, on_evidence=found.append, **options).scores(stream))
    return found


def test_an_answer_without_a_part_is_that_to_a_stream_that_never_had_it(bundle: Bundle) -> None:
    evidence = told(bundle, room(), streamer="ann")
    parts = {"pictures", "words", "comments"} | ({"sound", "signals"} if bundle.dims.signals else set())
    assert all(one.without.keys() == parts for one in evidence)
    for part in parts:
        alone = StreamingScorer(bundle, streamer="ann").scores(without(part, one) for one in room())
        for expected, one in zip(alone, evidence, strict=True):
            answer = one.without[cast(Any, part)]
            assert answer.score == pytest.approx(expected.score, abs=1e-5)
            assert (answer.interest is None) == (expected.interest is None)
            if expected.interest is not None:
                assert answer.interest == pytest.approx(expected.interest, abs=1e-5)


def test_scores_are_the_same_to_the_bit_with_and_without_evidence(bundle: Bundle) -> None:
    found: list[SegmentEvidence] = []
    told_scores = [one.score for one in StreamingScorer(bundle, on_evidence=found.append).scores(room())]
    assert told_scores == [one.score for one in StreamingScorer(bundle).scores(room())] and len(found) == 14


def test_another_process_goes_on_to_the_same_answers(bundle: Bundle) -> None:
    whole, stream = told(bundle, room()), list(room())
    first: list[SegmentEvidence] = []
    scorer = StreamingScorer(bundle, on_evidence=first.append)
    list(scorer.scores(stream[:6]))
    state = ScorerState.from_bytes(scorer.state.to_bytes())
    assert [*first, *told(bundle, iter(stream[6:]), state=state)] == whole


def test_a_run_that_goes_on_from_a_state_without_answers_has_none(bundle: Bundle) -> None:
    stream = list(room())
    scorer = StreamingScorer(bundle)
    list(scorer.scores(stream[:6]))
    later = told(bundle, iter(stream[6:]), state=scorer.state)
    assert [one.without for one in later] == [{}] * 8 and later[0].pictures == stream[6].pictures


def test_comments_that_stand_out_are_paid_or_written_by_many() -> None:
    said = [
        *(Comment(float(second), "666", f"v{second}") for second in range(30)),
        Comment(2.0, "first"),
        Comment(3.0, "well\nplayed", value=5.0, kind="gift"),
        Comment(4.0, "joined", kind="join"),
        *(Comment(5.0, f"only {number}") for number in range(50)),
    ]
    found = pick_comments(said)
    assert [(one.text, one.count, one.value) for one in found[:2]] == [("well played", 1, 5.0), ("666", 30, None)]
    assert len(found) == 24 and not any(one.text == "joined" for one in found)
    assert pick_comments([Comment(0.0, "x" * 5000)])[0].text == "x" * 160


def test_only_a_segment_with_words_and_comments_is_encoded_again() -> None:
    calls = []

    class Encoder:
        def encode(self, speech: list[str], comments: list[list[str]]) -> np.ndarray[Any, Any]:
            calls.append((speech, comments))
            return np.array([[1.0], [2.0]], np.float16)[: len(speech)]

    whole = np.array([[7.0], [8.0], [9.0], [0.0]], np.float16)
    partial = encode_partial_texts(["a", "b", "", ""], [["x"], [], ["y"], []], whole, cast(Any, Encoder()))
    assert calls == [(["a", ""], [[], ["x"]])]
    assert [(float(one.without_speech[0]), float(one.without_comments[0])) for one in partial] == [
        (2.0, 1.0),
        (0.0, 8.0),
        (9.0, 0.0),
        (0.0, 0.0),
    ]


def test_a_small_picture_is_a_few_kilobytes_of_the_frame() -> None:
    import io

    from PIL import Image

    frame = Frame(4.0, np.full((1080, 1920, 3), (200, 30, 30), np.uint8))
    (small,) = shrink_frames(Segment(0, 0.0, 30.0, (frame,), np.zeros(0, np.float32)))
    image = Image.open(io.BytesIO(small.webp))
    assert (small.time, image.size, image.format) == (4.0, (240, 135), "WEBP") and len(small.webp) < 4000
    red, green, _ = image.convert("RGB").getpixel((100, 60))  # type: ignore[misc]
    assert red > 170 and green < 60


class Killed(Exception):
    pass


@pytest.fixture
def model(bundle: Bundle, monkeypatch: pytest.MonkeyPatch) -> Model:
    """Real scores of made-up features; the journal and its files are the real ones."""
    monkeypatch.setattr(journal_module, "_STATE_SECONDS", 0.0)
    vision = SimpleNamespace(runtime=SimpleNamespace(precision="fp32"))
    encoders = SimpleNamespace(device="cpu", vision=vision, transcriber_name="none", facts=())
    return Model(bundle, cast(Any, encoders), open_step(bundle), ScoreSettings())


def score(
    model: Model, folder: Path, monkeypatch: pytest.MonkeyPatch, *, settings: ScoreSettings = REPORT, stop: int = 99
) -> None:
    def score_source(
        reading: SourceReading, _: object, scorer: StreamingScorer, cutting: Cutting, **__: object
    ) -> Iterator[object]:
        for one in room():
            if one.index == stop:
                raise Killed
            if one.index >= cutting.first:
                yield scorer.score(one)
        reading.source.shortfall = None

    monkeypatch.setattr(run_module, "score_source", score_source)
    Run(model, DEMO, settings, output=folder, earlier="resume").finish()


def test_a_run_folder_has_the_evidence_and_the_page(
    model: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import json

    score(model, tmp_path / "run", monkeypatch)
    lines = (tmp_path / "run" / "evidence.jsonl").read_text().splitlines()
    schema = json.loads((DOCS / "evidence.schema.json").read_text())
    for line in lines:
        jsonschema.validate(json.loads(line), schema)
    assert len(lines) == 14 and "somebody" not in "".join(lines), "authors are not kept"
    assert "<!doctype html>" in (tmp_path / "run" / "report.html").read_text(encoding="utf-8")
    assert json.loads((tmp_path / "run" / "run.json").read_text())["products"]["report"] is True
    score(model, tmp_path / "plain", monkeypatch, settings=ScoreSettings())
    assert not {"evidence.jsonl", "report.html"} & {one.name for one in (tmp_path / "plain").iterdir()}
    assert (tmp_path / "plain" / "scores.jsonl").read_bytes() == (tmp_path / "run" / "scores.jsonl").read_bytes()


@pytest.mark.parametrize("stop", [1, 5, 13])
def test_a_run_that_was_stopped_goes_on_to_the_same_evidence(
    model: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stop: int
) -> None:
    score(model, tmp_path / "whole", monkeypatch)
    with pytest.raises(Killed):
        score(model, tmp_path / "run", monkeypatch, stop=stop)
    evidence = tmp_path / "run" / "evidence.jsonl"
    evidence.write_bytes(evidence.read_bytes()[:-7])  # torn
    (tmp_path / "run" / "scores.jsonl").write_bytes((tmp_path / "run" / "scores.jsonl").read_bytes()[:-5])
    score(model, tmp_path / "run", monkeypatch)
    assert read_highlights(tmp_path / "run")["complete"]
    found, whole = read_evidence(evidence), read_evidence(tmp_path / "whole" / "evidence.jsonl")
    assert {key: found[key] for key in found} == {key: whole[key] for key in found}
    assert whole.keys() - found.keys() <= {stop - 1}, "only the torn one may be missing"
