"""Output files hold what was found, whole, and survive hostile text."""

import csv
import io
import json
import os
import random
import re
import subprocess
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from support.paths import DOCS, REPOSITORY

from kuaihl.engines.highlights.clips import Clip
from kuaihl.engines.outputs.atomic import write_output
from kuaihl.engines.outputs.formats import FORMATS, parse_formats, write_formats
from kuaihl.engines.outputs.highlights_json import HighlightsDocument, Report, build_document, to_json, write_highlights
from kuaihl.engines.outputs.scores_jsonl import ScoresWriter, read_scores, score_line
from kuaihl.engines.outputs.timelines.timeline import Timeline
from kuaihl.engines.types import Event, Highlight, ScoredSegment, SeekPoint, Sentence
from kuaihl.models.errors import ModelError, SourceError, UsageError

# What viewers and streamers really type, and what breaks naive writers.
HOSTILE = [
    "plain words",
    '她说:"太棒了!" 🎉',
    "two\nlines\r\nand a blank\n\none",
    "1\n00:00:01,000 --> 00:00:02,000\nanother cue",
    "a --> b",
    "<script>alert('&')</script> <b>bold",
    "=HYPERLINK(\"http://x\",\"click\")",
    "+1", "-1", "@SUM(A1)", "  =1+1", "\t=1",
    'quotes " and, commas; and \\ backslashes',
    "nul \x00 bell \x07 escape \x1b[31m line separator \u2028",
    "lone surrogate \udcff",
    "WEBVTT", "NOTE hidden", "",
    "x" * 5000,
]  # fmt: skip


# These formats are of the document alone.
TIMELINE = Timeline("stream", (), 0.0, None)


def scored(index: int = 0, **other: Any) -> ScoredSegment:
    values: dict[str, Any] = {
        "segment": index, "start": index * 30.0, "end": index * 30.0 + 30.0, "predicts_start": index * 30.0 + 30.0,
        "predicts_end": index * 30.0 + 60.0, "score": 0.5, "text": "", "comments": 3, "gap": False, "wall_time": 1.7e9,
    }  # fmt: skip
    return ScoredSegment(**{**values, **other})


def document(texts: Sequence[str] = HOSTILE, **other: Any) -> HighlightsDocument:
    highlights = [
        Highlight(100.0 * index + 1 / 3, 100.0 * index + 45.67891, 0.9 - index / 100, (index, index + 1), text)
        for index, text in enumerate(texts)
    ]
    values: dict[str, Any] = {
        "source": "stream.flv", "duration": 5000.00049, "why": None, "model": "edge", "model_sha256": "0" * 64,
        "highlights": highlights, "settings": {"top": 5, "min_score": None, "frames": "keyframe"},
        "events": [Event("gap", 61.23456, "4.2 s are missing")],
    }  # fmt: skip
    return build_document(Report(**{**values, **other}))


def schema(name: str) -> Any:
    return json.loads((DOCS / name).read_text(encoding="utf-8"))


def test_a_score_line_has_exactly_the_documented_fields_and_rounding() -> None:
    line = json.loads(
        score_line(
            scored(
                2,
                score=0.12345678,
                end=90.00049,
                text="words",
                gap=True,
                sentences=(Sentence(60.0, 61.0, "words"),),
                keyframe_times=(60.0,),
                events=(Event("gap", 60.12345, "why"),),
            )
        )
    )
    assert list(line.items()) == [
        ("segment", 2), ("start", 60.0), ("end", 90.0), ("predicts_start", 90.0), ("predicts_end", 120.0),
        ("score", 0.123457), ("text", "words"), ("comments", 3), ("gap", True), ("wall_time", 1.7e9),
        ("sentences", [{"start": 60.0, "end": 61.0, "text": "words"}]), ("keyframes", [60.0]),
        ("events", [{"kind": "gap", "time": 60.123, "detail": "why"}]),
    ]  # fmt: skip


def test_a_score_line_has_interest_after_the_score_if_the_network_gave_one() -> None:
    line = json.loads(score_line(scored(2, interest=0.23456789)))
    assert list(line.items())[4:8] == [("predicts_end", 120.0), ("score", 0.5), ("interest", 0.234568), ("text", "")]
    jsonschema.Draft202012Validator(schema("scores.schema.json")).validate(line)


@pytest.mark.parametrize("text", HOSTILE)
def test_any_text_stays_on_one_line_and_fits_the_schema(tmp_path: Path, text: str) -> None:
    with ScoresWriter(tmp_path / "scores.jsonl") as writer:
        writer.write(scored(0, text=text))
        writer.write(scored(1, text="next"))
    raw = (tmp_path / "scores.jsonl").read_bytes()
    assert raw.count(b"\n") == 2
    lines = [json.loads(line) for line in raw.decode("utf-8").split("\n")[:-1]]
    for line in lines:
        jsonschema.Draft202012Validator(schema("scores.schema.json")).validate(line)
    assert lines[0]["text"] == text.replace("\udcff", "?")
    assert lines[1]["text"] == "next"


def test_each_line_is_on_disk_when_write_returns_even_if_the_process_then_dies(tmp_path: Path) -> None:
    script = f"""
import os, sys
sys.path[:0] = [{str(Path(__file__).parent)!r}, {str(REPOSITORY / "tests")!r}]
from pathlib import Path
from test_writers import scored
from kuaihl.engines.outputs.scores_jsonl import ScoresWriter
writer = ScoresWriter(Path({str(tmp_path / "scores.jsonl")!r}))
for index in range(7):
    writer.write(scored(index))
os._exit(9)
"""
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 9
    lines = (tmp_path / "scores.jsonl").read_text(encoding="utf-8").splitlines()
    assert [json.loads(line)["segment"] for line in lines] == list(range(7))


@pytest.mark.parametrize("score", [float("nan"), float("inf"), -float("inf")])
def test_a_score_that_is_no_number_is_never_written(tmp_path: Path, score: float) -> None:
    with ScoresWriter(tmp_path / "scores.jsonl") as writer, pytest.raises(ModelError, match="segment 4"):
        writer.write(scored(4, score=score))
    with ScoresWriter(tmp_path / "scores.jsonl") as writer, pytest.raises(ModelError, match="segment 5"):
        writer.write(scored(5, interest=score))
    assert (tmp_path / "scores.jsonl").read_bytes() == b""


def test_the_document_says_which_outputs_chose_the_highlights() -> None:
    assert document()["chosen_from"] == ["score"]
    both = document(chosen_from=("score", "interest"))
    assert both["chosen_from"] == ["score", "interest"]
    jsonschema.Draft202012Validator(schema("highlights.schema.json")).validate(both)


def test_the_document_fits_its_schema_and_refuses_other_numbers() -> None:
    text = to_json(document())
    jsonschema.Draft202012Validator(schema("highlights.schema.json")).validate(json.loads(text))
    jsonschema.Draft202012Validator(schema("highlights.schema.json")).validate(json.loads(to_json(document([]))))
    with pytest.raises(ValueError, match="JSON"):
        to_json(document(settings={"x": float("nan")}))


@pytest.mark.parametrize("name", ["highlights.schema.json", "scores.schema.json"])
def test_the_schemas_are_valid_and_strict(name: str) -> None:
    jsonschema.Draft202012Validator.check_schema(schema(name))
    assert schema(name)["additionalProperties"] is False


def test_the_document_is_in_order_of_time_with_ranks_by_score_and_rounded_times() -> None:
    found = [
        Highlight(10.00049, 40.0, 0.5, (0, 1)),
        Highlight(60.0, 90.0, 0.9, (2,)),
        Highlight(120.0, 150.0, 0.7, (4,)),
    ]
    made = document(highlights=found)
    assert [(one["rank"], one["start"]) for one in made["highlights"]] == [(3, 10.0), (1, 60.0), (2, 120.0)]
    assert made["duration"] == 5000.0
    assert made["version"] == 1
    assert made["events"] == [{"kind": "gap", "time": 61.235, "detail": "4.2 s are missing"}]


def test_clips_are_named_relative_to_the_document_with_the_span_they_really_hold(tmp_path: Path) -> None:
    found = [Highlight(10.0, 40.0, 0.5, (0,)), Highlight(60.0, 90.0, 0.9, (2,))]
    clips = [None, Clip(tmp_path / "clips" / "room_01_00-01-00.mp4", 58.0004, 90.04)]
    made = document(highlights=found, clips=clips, folder=tmp_path)
    assert "clip" not in made["highlights"][0]
    assert made["highlights"][1]["clip"] == {
        "file": "clips/room_01_00-01-00.mp4",
        "start": 58.0,
        "end": 90.04,
        "cut": "copy",
    }
    jsonschema.Draft202012Validator(schema("highlights.schema.json")).validate(made)


def test_keys_and_passwords_of_a_url_are_not_written() -> None:
    made = document(source="rtmps://user:secret@host:1935/live/room?key=secret#secret")
    assert made["source"] == "rtmps://host:1935/live/room"
    assert document(source="a b?c.flv")["source"] == "a b?c.flv"


def test_csv_reads_back_what_was_written_and_runs_no_formula() -> None:
    rows = list(csv.DictReader(io.StringIO(rendered("csv"), newline="")))
    assert len(rows) == len(HOSTILE)
    for row, text in zip(rows, HOSTILE, strict=True):
        assert row["text"] in (text, "'" + text)
        assert not row["text"].lstrip().startswith(("=", "+", "-", "@"))
    assert rows[1]["start"] == "100.333"
    assert rows[1]["start_timecode"] == "00:01:40.333"
    assert rows[1]["score"] == "0.890000"
    assert rows[0]["rank"] == "1"


CUE = re.compile(r"\d\d:\d\d:\d\d[,.]\d{3} --> \d\d:\d\d:\d\d[,.]\d{3}")


def test_srt_has_a_cue_a_highlight_whatever_the_words_are() -> None:
    blocks = rendered("srt").split("\n\n")
    assert len(blocks) == len(HOSTILE)
    for number, block in enumerate(blocks, start=1):
        lines = block.strip("\n").split("\n")
        assert lines[0] == str(number)
        assert CUE.fullmatch(lines[1])
        assert lines[2].startswith(f"#{number} · 0.")
        assert len(lines) <= 4
        assert block.count("-->") == 1
        assert not any(not char.isprintable() for line in lines for char in line)


def test_vtt_has_a_cue_a_highlight_and_escapes_its_own_signs() -> None:
    header, *blocks = rendered("vtt").split("\n\n")
    assert header == "WEBVTT"
    assert len(blocks) == len(HOSTILE)
    for block in blocks:
        lines = block.strip("\n").split("\n")
        assert CUE.fullmatch(lines[1])
        assert block.count("-->") == 1
        assert "<" not in block
    assert "&lt;script&gt;alert('&amp;')" in blocks[5]


def rendered(name: str) -> str:
    return FORMATS[name].render(document(), TIMELINE)


def test_ffmpeg_reads_the_subtitles_as_they_were_meant(tmp_path: Path) -> None:
    import av

    for path in write_formats(document(), ["srt", "vtt"], tmp_path, TIMELINE):
        with av.open(str(path)) as container:
            times = [float(packet.pts * packet.time_base) for packet in container.demux() if packet.size]
        assert times == pytest.approx([100.0 * index + 0.333 for index in range(len(HOSTILE))])


def test_no_highlights_give_empty_but_valid_files(tmp_path: Path) -> None:
    paths = write_formats(document([]), ["csv", "srt", "vtt"], tmp_path, TIMELINE)
    assert [path.name for path in paths] == ["highlights.csv", "highlights.srt", "highlights.vtt"]
    assert [len(path.read_text().splitlines()) for path in paths] == [1, 0, 1]


def test_formats_are_named_once_and_unknown_ones_refused() -> None:
    assert parse_formats("") == ()
    assert parse_formats("CSV, srt,csv,") == ("csv", "srt")
    with pytest.raises(UsageError, match=r"^format 'xml': unknown; choose from csv, srt, vtt"):
        parse_formats("csv,xml")


def test_a_reader_never_sees_half_a_document(tmp_path: Path) -> None:
    path = tmp_path / "highlights.json"
    small, large = document(["a"]), document(["b" * 200_000] * 20)
    write_highlights(path, small)
    stop, seen, faults = threading.Event(), 0, []

    def read() -> None:
        nonlocal seen
        while not stop.is_set():
            try:
                json.loads(path.read_text(encoding="utf-8"))
                seen += 1
            except (ValueError, OSError) as error:
                faults.append(error)

    reader = threading.Thread(target=read)
    reader.start()
    chance = random.Random(0)
    for _ in range(25):
        write_highlights(path, chance.choice([small, large]))
    stop.set()
    reader.join()
    assert not faults
    assert seen
    assert list(tmp_path.iterdir()) == [path], "nothing is left beside it"


def test_a_write_that_fails_leaves_the_old_file_and_no_litter(tmp_path: Path) -> None:
    (tmp_path / "taken").mkdir()
    with pytest.raises(UsageError, match="taken: cannot be written"):
        write_output(tmp_path / "taken", "text")
    with pytest.raises(UsageError, match="cannot be written"):
        write_output(tmp_path / "nowhere" / "file", "text")
    with pytest.raises(UsageError, match="cannot be written"):
        ScoresWriter(tmp_path / "nowhere" / "scores.jsonl")
    assert [path.name for path in tmp_path.iterdir()] == ["taken"]


def test_output_files_have_the_permissions_that_the_user_chose(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        write_output(tmp_path / "file", "text")
    finally:
        os.umask(before)
    assert (tmp_path / "file").stat().st_mode & 0o777 == 0o640


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
def test_a_full_disk_is_told_in_one_line() -> None:
    with pytest.raises(UsageError, match="No space left on device"), ScoresWriter(Path("/dev/full")) as writer:
        writer.write(scored())


def test_a_segment_is_read_back_as_its_line_has_it(tmp_path: Path) -> None:
    whole = scored(
        2,
        interest=0.25,
        text="words",
        sentences=(Sentence(60.5, 61.0, "words"),),
        keyframe_times=(60.0, 62.125),
        seek=SeekPoint(1 << 33, 60.0, -0.044),
        loudness=(-23.5, -100.0),
        events=(Event("gap", 60.125, "why"),),
    )
    with ScoresWriter(tmp_path / "scores.jsonl") as writer:
        writer.write(whole)
        writer.write(scored(3))
    with (tmp_path / "scores.jsonl").open("a", encoding="utf-8") as file:
        file.write('{"segment": 4, "sta')  # torn
    read = read_scores(tmp_path / "scores.jsonl")
    jsonschema.Draft202012Validator(schema("scores.schema.json")).validate(json.loads(score_line(whole)))
    assert [one.scored for one in read] == [whole, scored(3)]
    assert (tmp_path / "scores.jsonl").read_bytes()[read[-1].ends_at :] == b'{"segment": 4, "sta'
    (tmp_path / "scores.jsonl").write_text('{"segment": 4}\n')
    with pytest.raises(SourceError, match=r"scores.jsonl, line 1: not a line of scores"):
        read_scores(tmp_path / "scores.jsonl")
