"""run.json says what scores were made from: a change that matters is named, one that does not is not."""

import json
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import jsonschema
import pytest
from support.paths import DOCS
from support.small_bundle import make_bundle

from kuaihl.engines.highlights.choice import Choice
from kuaihl.engines.outputs.run_record import (
    RunRecord,
    choice_entries,
    difference,
    identify_source,
    parse_choice,
    read_record,
    reason_to_remake,
    reason_to_score,
    write_record,
)
from kuaihl.engines.scoring.record import make_record
from kuaihl.engines.scoring.settings import ScoreSettings
from kuaihl.models.bundle import Bundle
from kuaihl.models.errors import SourceError
from kuaihl.models.facts import EncoderFacts

SETTINGS = ScoreSettings(clips=True, formats="csv,srt", top=5)
FACTS = (EncoderFacts("vision", "x", "1", "ab" * 32), EncoderFacts("text", "y", "1", "cd" * 32))


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return make_bundle(tmp_path_factory.mktemp("bundle"), seed=0)


@pytest.fixture
def recording(tmp_path: Path) -> Path:
    path = tmp_path / "room.flv"
    path.write_bytes(bytes(range(256)) * 1024)  # 256 KiB: more than both ends
    path.with_suffix(".xml").write_text("<i></i>")
    return path


def record_of(recording: Path, bundle: Bundle, settings: ScoreSettings = SETTINGS, **more: str) -> RunRecord:
    return make_record(str(recording), settings, bundle, FACTS, comments=recording.with_suffix(".xml"), **more)


def test_a_choice_is_read_as_it_was_written_and_one_of_an_earlier_version_has_its_boundaries() -> None:
    choice = Choice(top=3, padding=(2.0, 0.5), boundaries="segments")
    assert parse_choice(choice_entries(choice)) == choice
    earlier = {name: value for name, value in choice_entries(choice).items() if name != "boundaries"}
    assert parse_choice(earlier) == replace(choice, boundaries="sentences")


def test_a_record_is_read_as_it_was_written_and_keeps_to_its_schema(recording: Path, bundle: Bundle) -> None:
    record = record_of(recording, bundle)
    write_record(recording.parent, record)
    assert read_record(recording.parent) == record
    schema = json.loads((DOCS / "run.schema.json").read_text(encoding="utf-8"))
    jsonschema.validate(json.loads((recording.parent / "run.json").read_text(encoding="utf-8")), schema)


@pytest.mark.parametrize("content", ["", "{}", "[]", '{"version": 2}', '{"version": 1, "source": 3}', "\x00"])
def test_what_is_no_record_counts_as_none(tmp_path: Path, content: str) -> None:
    (tmp_path / "run.json").write_text(content)
    assert read_record(tmp_path) is None


def grow(path: Path) -> None:
    with path.open("ab") as file:
        file.write(b"more")


def rewrite_the_end(path: Path) -> None:
    times = path.stat().st_atime_ns, path.stat().st_mtime_ns
    with path.open("r+b") as file:
        file.seek(-1, os.SEEK_END)
        file.write(b"x")
    os.utime(path, ns=times)


def rewrite_the_middle(path: Path) -> None:
    with path.open("r+b") as file:
        file.seek(128 << 10)
        file.write(b"other")
    os.utime(path, ns=(0, path.stat().st_mtime_ns + 1))


@pytest.mark.parametrize("change", [grow, rewrite_the_end, rewrite_the_middle])
@pytest.mark.parametrize(("suffix", "what"), [(".flv", "the source has changed"), (".xml", "the comments' file has")])
def test_a_changed_file_is_another_source(
    recording: Path, bundle: Bundle, suffix: str, what: str, change: Callable[[Path], None]
) -> None:
    recording.with_suffix(".xml").write_bytes(recording.read_bytes())
    before = record_of(recording, bundle)
    change(recording.with_suffix(suffix))
    assert (difference(before, record_of(recording, bundle)) or "").startswith(what)


def test_a_file_that_moved_is_the_same_source(recording: Path, bundle: Bundle) -> None:
    before = record_of(recording, bundle)
    (recording.parent / "archive").mkdir()
    for suffix in (".flv", ".xml"):
        recording.with_suffix(suffix).rename(recording.parent / "archive" / f"room{suffix}")
    assert difference(before, record_of(recording.parent / "archive" / "room.flv", bundle)) is None


def test_a_stream_is_known_by_its_address_without_its_keys() -> None:
    assert identify_source("https://me:secret@example.org/live/room.flv?token=1").name == (
        "https://example.org/live/room.flv"
    )
    assert identify_source("rtmp://h/live/a") != identify_source("rtmp://h/live/b")
    assert identify_source("-").size is None


def test_a_pipe_is_not_opened_for_its_identity(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    assert identify_source(str(tmp_path / "pipe")).size is None


def test_a_missing_source_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"gone.flv: cannot be read"):
        identify_source(str(tmp_path / "gone.flv"))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"segment_seconds": 10.0}, "segment_seconds was 30.0"),
        ({"asr": "none"}, 'asr was "auto"'),
        ({"language": "en"}, "language was null"),
        ({"start": 5.0}, "start was 0.0"),
        ({"precision": "int8"}, 'precision was "auto"'),
        ({"comments_offset": 2.0}, "comments_offset was 0.0"),
        ({"device": "cuda", "engine": "onnx", "threads": 1, "timeout": 3.0}, None),
        ({"clips": False, "top": 9}, None),
    ],
)
def test_an_option_counts_if_it_changes_scores(
    recording: Path, bundle: Bundle, change: dict[str, object], words: str | None
) -> None:
    before = record_of(recording, bundle)
    assert difference(before, record_of(recording, bundle, replace(SETTINGS, **change))) == words  # type: ignore[arg-type]


def test_other_weights_comments_or_streamers_are_named(recording: Path, bundle: Bundle, tmp_path: Path) -> None:
    before = record_of(recording, bundle)
    assert difference(before, record_of(recording, bundle, streamer="ann")) == "streamer was null"
    other = record_of(recording, make_bundle(tmp_path / "other", seed=1))
    assert (difference(before, other) or "").startswith("the model was bundle")
    assert difference(before, replace(before, comments=None)) == "comments were read"
    assert difference(replace(before, comments=None), before) == "comments were left out"
    assert difference(before, replace(before, encoders={"vision": "ab" * 32})) == "the text weights were cdcdcdcdcdcd"


@pytest.mark.parametrize(
    ("wanted", "reason", "lacking"),
    [
        (SETTINGS, None, None),
        (replace(SETTINGS, clips=False, formats="srt"), None, None),  # there is more than was asked for
        (replace(SETTINGS, plot=True), None, "the plot is missing"),
        (replace(SETTINGS, formats="vtt"), None, "vtt is missing"),
        (replace(SETTINGS, top=6), None, "top was 5"),
        (replace(SETTINGS, frames="exact"), 'frames was "keyframe"', None),
    ],
)
def test_a_finished_folder_is_enough_if_all_that_is_wanted_is_in_it(
    recording: Path, bundle: Bundle, wanted: ScoreSettings, reason: str | None, lacking: str | None
) -> None:
    folder = recording.parent
    assert reason_to_score(folder, record_of(recording, bundle, wanted)) == "no earlier run read it to its end"
    (folder / "highlights.json").write_text('{"complete": true}')
    assert reason_to_score(folder, record_of(recording, bundle, wanted)) == "no run.json says what was scored"
    write_record(folder, record_of(recording, bundle))
    assert reason_to_score(folder, record_of(recording, bundle, wanted)) == reason
    assert reason_to_remake(folder, record_of(recording, bundle, wanted)) == lacking
    (folder / "highlights.json").write_text('{"complete": false}')
    assert reason_to_score(folder, record_of(recording, bundle, wanted)) == "no earlier run read it to its end"


def test_comments_of_a_stream_grow_and_are_known_by_their_name(bundle: Bundle, tmp_path: Path) -> None:
    chat = tmp_path / "live.xml"
    records = []
    for text in ("<i>", "<i><d p='1,1'>more</d>"):
        chat.write_text(text)
        records.append(make_record("rtmp://host/live/room", ScoreSettings(), bundle, FACTS, comments=chat))
    assert difference(*records) is None
    other = make_record("rtmp://host/live/room", ScoreSettings(), bundle, FACTS, comments=tmp_path / "other.xml")
    assert difference(records[0], other) == f"the comments' file was {chat}"
