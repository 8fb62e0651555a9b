"""Run folders with all that a report shows, as a run with `--report` leaves them, of any length."""

import io
import math
import random
from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
from support.curves import scored_stream

from kuaihl.engines.highlights.choice import Choice
from kuaihl.engines.outputs.evidence_jsonl import (
    PARTS,
    Answer,
    EvidenceWriter,
    LoudComment,
    SegmentEvidence,
)
from kuaihl.engines.outputs.run_record import RunRecord, SourceIdentity, identify_source, write_record
from kuaihl.engines.outputs.scores_jsonl import ScoresWriter
from kuaihl.engines.scoring.conclude import ScoredSource, conclude
from kuaihl.engines.scoring.settings import Products
from kuaihl.engines.types import ScoredSegment, Sentence, SmallPicture

WORDS = ("what", "a", "play", "he", "is", "so", "good", "try", "again", "no", "way", "that", "was", "close", "team")
CHAT = ("no way", "LETS GO", "666", "哈哈哈", "gg", "clip that", "is this live", "first try!!!", "so close")
# Each would do something if it were not escaped.
HOSTILE = (
    "<script>window.ran = 1</script>",
    "</script><script>window.ran = 2</script>",
    '"><img src=x onerror="window.ran = 3">',
    "<!-- <script>",
    "{{ 7 * 7 }}{% raw %}",
    "javascript:window.ran = 4",
    '=HYPERLINK("http://evil.example")',
    "@SUM(1+1)*cmd|' /C calc'!A0",
    "\u202egnp.exe \u2066 עברית مرحبا",
    "🐉👩‍🚀🏳️‍🌈 " + "👍" * 50,
    "\x00\x07\x1b[31m\x85\u2028\ud800",
    "&lt;b&gt; &amp; ' \" ` \\",
    "https://evil.example/x.js //evil.example",
    "]]> --> <style>*{display:none}</style>",
)


def long_stream(
    hours: float, seed: int = 0, words: int = 70, bursts: float = 0.035, seconds: float = 30.0
) -> list[ScoredSegment]:
    """A stream with a burst every quarter of an hour or so, a gap in the middle, and words and comments throughout."""
    chance = random.Random(seed)
    count = max(4, round(hours * 3600 / seconds))
    level, scores, left = 0.42, [], 0
    for _ in range(count):
        level += chance.gauss(0.0, 0.004) + 0.05 * (0.42 - level)
        left = chance.randrange(1, 4) if not left and chance.random() < bursts else max(0, left - 1)
        scores.append(
            min(0.95, max(0.05, level + (chance.uniform(0.12, 0.4) if left else 0.0) + chance.gauss(0, 0.006)))
        )
    stream = scored_stream(scores, seconds=seconds, interests=scores, gaps=(count // 2,) if count > 40 else ())
    return [
        replace(
            one,
            text=(text := " ".join(chance.choices(WORDS, k=words))),
            sentences=(Sentence(one.start + 0.5, one.end - 0.5, text),),
            comments=round(60 * scores[index] ** 2 * chance.uniform(0.7, 1.3)),
            keyframe_times=tuple(one.start + 2.0 * step for step in range(round(seconds / 2))),
        )
        for index, one in enumerate(stream)
    ]


def evidence_of(one: ScoredSegment, seed: int = 0, side: int = 240) -> SegmentEvidence:
    """Evidence with pictures of the usual size, about 3 kB each."""
    chance = random.Random(one.segment + 1000 * seed)
    without = {
        part: Answer(
            *(round(0.4 + (rate - 0.4) * chance.uniform(0.1, 1.0), 6) for rate in (one.score, one.interest or 0.4))
        )
        for part in PARTS
    }
    comments = tuple(
        LoudComment(one.start + 3.0 * index, chance.choice(CHAT), chance.randrange(1, 9)) for index in range(6)
    )
    pictures = tuple(SmallPicture(one.start + at, webp(one.segment % 5, at, side)) for at in (5.0, 15.0, 25.0))
    return SegmentEvidence(one.segment, without, comments, pictures)


@cache
def webp(number: int, at: float, side: int = 240) -> bytes:
    """A picture that no codec finds too easy: soft shapes in the colour of its number, with some noise."""
    from PIL import Image

    rows, columns = np.mgrid[0 : side * 9 // 16, 0:side] / side
    turn = number * 0.7 + at / 10
    waves = [np.sin(9 * rows + turn + hue) * np.cos(7 * columns - turn + 2 * hue) for hue in (0.0, 1.3, 2.6)]
    noise = np.random.default_rng(number).normal(0, 4, (*rows.shape, 1))
    image = np.clip(110 + 70 * np.stack(waves, axis=2) + 30 * math.sin(turn) + noise, 0, 255).astype(np.uint8)
    file = io.BytesIO()
    Image.fromarray(image).save(file, "WEBP", quality=50, method=2)
    return file.getvalue()


def make_run_folder(
    folder: Path,
    segments: Sequence[ScoredSegment],
    *,
    evidence: Sequence[SegmentEvidence] | None = None,
    source: str = "room.mp4",
    choice: Choice | None = None,
    why: str | None = None,
    report: bool = True,
) -> Path:
    """A finished run folder, or with `why` one that fell short; its page is made too if `report`."""
    folder.mkdir(parents=True)
    with ScoresWriter(folder / "scores.jsonl") as scores:
        for one in segments:
            scores.write(one)
    if evidence is not None:
        writer = EvidenceWriter(folder / "evidence.jsonl")
        for each in evidence:
            writer.write(each)
        writer.close()
    identity = identify_source(source) if Path(source).is_file() else SourceIdentity(source)
    options = {"segment_seconds": 30.0, "frames": "keyframe", "language": None}
    ran = {"engine": "torch", "precision": "fp32", "asr": "none"}
    record = RunRecord(identity, None, "edge", "ab" * 32, options=options, products={}, execution=ran)
    write_record(folder, record)
    products = Products(report=report, **vars(choice or Choice()))
    conclude(ScoredSource(record, segments, why), products, media=source, folder=folder, report=lambda _: None)
    return folder


def make_hostile_run(batch: Path) -> Path:
    """A run folder with a page, all of whose texts are hostile."""
    stream = long_stream(2.0, seed=4)
    segments = [replace(one, text=HOSTILE[index % len(HOSTILE)], sentences=()) for index, one in enumerate(stream)]
    comments = tuple(LoudComment(0.0, text[:160], 2, 5.0) for text in HOSTILE)
    evidence = [replace(evidence_of(one, side=16), comments=comments) for one in segments]
    return make_run_folder(
        batch / '"><img src=x onerror=alert(1)>.kuaihl',
        segments,
        evidence=evidence,
        source='/srv/"><img src=x onerror=window.ran=5>\u202e=1+1.mp4',
        why="<b onclick=x>stopped</b>",
    )
