"""A data set is built from a real recording, its comments and a log of views, and gone on with where it stopped."""

import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from support.paths import EXAMPLES

from kuaihl.engines.archive.jobs import Job, JobResult
from kuaihl.engines.archive.manifest import read_archive
from kuaihl.engines.datasets.build import BuildSettings, build_dataset, dataset_facts
from kuaihl.engines.datasets.label_sources import ChatLabels, CutLabels, HeatmapLabels, ViewLabels
from kuaihl.engines.datasets.room_table import RoomFacts
from kuaihl.engines.datasets.view_log import ViewLog
from kuaihl.engines.encoders.profiles import EDGE, Encoders, load_encoders
from kuaihl.models.data.klive import KLive, open_klive
from kuaihl.models.data.report import dataset_problems
from kuaihl.models.errors import DataError, KuaihlError
from kuaihl.models.facts import LabelFacts

VIEWS = LabelFacts(source="view log")
SEGMENTS = 9  # of the demo broadcast


@pytest.fixture(scope="module", autouse=True)
def _weights() -> None:
    try:
        dataset_facts(EDGE, VIEWS, segment_seconds=30.0, asr="none", whisper_model=None, licence="")
    except KuaihlError as error:
        pytest.skip(f"the edge weights are not here: {error}")


@pytest.fixture(scope="module")
def encoders() -> Encoders:
    return load_encoders(EDGE, device="cpu", threads=1, asr="none")


def archive(folder: Path) -> Path:
    """The demo with and without its comments, and a file that is no recording."""
    folder.mkdir()
    for name in ("demo", "silent"):
        shutil.copy(EXAMPLES / "demo.flv", folder / f"{name}.flv")
    shutil.copy(EXAMPLES / "demo.comments.xml", folder / "demo.comments.xml")
    (folder / "notes.flv").write_text("not a recording")
    shutil.copy(EXAMPLES / "demo.flv", folder / "unwatched.flv")
    return folder


def rooms_of(source: Path, output: Path) -> tuple[Job, ...]:
    return read_archive(source, output, min_age=0.0).rooms


def view_log() -> ViewLog:
    counts = np.array([[100, 200, 300, 59, 60, 400, 500, 600, 700, 5], [10, 40, 90, 30, 30, 40, 50, 60, 70, 1]])
    return ViewLog(dict.fromkeys(("demo", "silent", "notes"), counts), 1, 0)


def settings(output: Path, **changes: object) -> BuildSettings:
    facts = dataset_facts(EDGE, VIEWS, segment_seconds=30.0, asr="none", whisper_model=None, licence="our own")
    return replace(BuildSettings(output, facts, device="cpu", asr="none", threads=1), **changes)  # type: ignore[arg-type]


def build(source: Path, output: Path, **options: object) -> Iterator[JobResult]:
    known = {"demo": RoomFacts("ada", "test"), "silent": RoomFacts("ada", "train")}
    return build_dataset(
        rooms_of(source, output),
        settings(output),
        **{"source": ViewLabels(view_log()), "known": known, **options},  # type: ignore[arg-type]
    )


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> tuple[KLive, dict[str, JobResult], Path]:
    folder = tmp_path_factory.mktemp("build")
    source = archive(folder / "recordings")
    results = {Path(result.job.source).stem: result for result in build(source, folder / "set")}
    return open_klive(folder / "set"), results, source


def test_good_rooms_are_built_and_bad_ones_listed_with_their_reason(
    built: tuple[KLive, dict[str, JobResult], Path],
) -> None:
    data, results, _ = built
    assert {name: result.status for name, result in results.items()} == {
        "demo": "done",
        "silent": "done",
        "notes": "failed",
        "unwatched": "failed",
    }
    assert "notes.flv" in str(results["notes"].reason)
    assert "no impressions" in str(results["unwatched"].reason)
    assert results["unwatched"].seconds < results["demo"].seconds  # told before it is encoded, not after
    assert [(room.id, room.streamer, room.segments, room.split) for room in data.rooms] == [
        ("demo", "ada", SEGMENTS, "test"),
        ("silent", "ada", SEGMENTS, "train"),
    ]
    assert not list(dataset_problems(data.path))


def test_labels_are_those_of_the_log_and_the_facts_say_so(built: tuple[KLive, dict[str, JobResult], Path]) -> None:
    data, _, _ = built
    labels, valid = data.labels(data.rooms[0])
    np.testing.assert_array_equal(valid, [True, True, False, True, True, True, True, True, False])
    np.testing.assert_allclose(labels[valid], [0.2, 0.3, 0.5, 0.1, 0.1, 0.1, 0.1], rtol=1e-6)
    assert data.facts.label.source == "view log"
    assert data.facts.licence == "our own"
    assert [encoder.role for encoder in data.facts.encoders] == ["vision", "text", "speech"]
    assert data.facts.encoders[2].name == "none"


def test_features_are_those_that_scoring_reads(
    built: tuple[KLive, dict[str, JobResult], Path], encoders: Encoders
) -> None:
    from kuaihl.engines.comments.feed import CommentTrack
    from kuaihl.engines.comments.reader import read_comments
    from kuaihl.engines.encoders.encode import encode
    from kuaihl.engines.ingest.opening import open_source
    from kuaihl.engines.ingest.packets import packets
    from kuaihl.engines.segmenter.segmenter import segments

    data, _, source = built
    room = data.room(data.rooms[0])
    comments = CommentTrack(read_comments(source / "demo.comments.xml"))
    with open_source(str(source / "demo.flv")) as opened:
        expected = list(encode(segments(packets(opened), comments=comments), encoders))
    np.testing.assert_allclose(room.visual, [one.features.visual for one in expected], atol=2e-3)
    np.testing.assert_allclose(room.text, [one.features.text for one in expected], atol=2e-3)


def test_signals_are_measured_in_order_however_segments_are_batched(
    built: tuple[KLive, dict[str, JobResult], Path], encoders: Encoders
) -> None:
    from kuaihl.engines.datasets.build import encoded_segments
    from kuaihl.engines.encoders.encode import encode
    from kuaihl.engines.ingest.opening import open_source
    from kuaihl.engines.ingest.packets import packets
    from kuaihl.engines.segmenter.segmenter import segments
    from kuaihl.models.signals import SIGNALS

    _, _, source = built
    silent, demo = (
        np.stack([one.features.signals for one in encoded_segments(room, encoders, settings(source))])
        for room in sorted(rooms_of(source, source / "none"), key=lambda room: room.room, reverse=True)
        if room.room in ("demo", "silent")
    )
    with open_source(str(source / "silent.flv")) as opened:
        one_by_one = np.stack([one.features.signals for one in encode(segments(packets(opened)), encoders)])
    np.testing.assert_array_equal(silent, one_by_one)
    groups = np.array([signal.group for signal in SIGNALS])
    assert np.isnan(silent[:, groups == "comments"]).all()  # without a file of comments, nobody knows
    assert np.isfinite(demo[:, groups == "comments"]).all()
    np.testing.assert_array_equal(silent[:, groups != "comments"], demo[:, groups != "comments"])
    assert np.isfinite(demo[:, (groups == "sound") | (groups == "pictures")]).all()
    assert np.isnan(demo[:, groups == "speech"]).all()  # no transcriber


def test_the_text_of_speech_alone_holds_no_comments_and_the_other_way_round(
    built: tuple[KLive, dict[str, JobResult], Path],
) -> None:
    data, _, _ = built
    with_comments, without = data.rooms
    # Nothing is transcribed here: speech alone is zeros, comments alone are all there is.
    assert not data.room(with_comments, text="speech").text.any()
    comments = data.room(with_comments, text="comments").text
    assert comments.any()
    np.testing.assert_allclose(comments, data.room(with_comments).text, atol=2e-3)
    assert not data.room(without, text="comments").text.any()


def test_a_second_run_builds_what_is_missing_and_nothing_else(
    built: tuple[KLive, dict[str, JobResult], Path], tmp_path: Path
) -> None:
    data, _, source = built
    folder = tmp_path / "set"
    shutil.copytree(data.path, folder)
    (folder / "rooms.parquet").unlink()
    (folder / "rooms" / "silent.safetensors").write_bytes(b"half a room")
    kept = (folder / "rooms" / "demo.safetensors").stat().st_mtime_ns
    (tmp_path / "two").mkdir()
    for name in ("demo.flv", "demo.comments.xml", "silent.flv"):
        (tmp_path / "two" / name).symlink_to(source / name)
    known = {"demo": RoomFacts("ada", "train"), "silent": RoomFacts("ada", "train")}
    results = {Path(one.job.source).stem: one.status for one in build(tmp_path / "two", folder, known=known)}
    assert results == {"demo": "skipped", "silent": "done"}
    assert (folder / "rooms" / "demo.safetensors").stat().st_mtime_ns == kept
    again = open_klive(folder)
    assert again.rooms[0].split == "test"  # where it was, whatever is said now: it may have been learned from
    np.testing.assert_allclose(again.room(again.rooms[1]).visual, data.room(data.rooms[1]).visual, atol=2e-3)


def test_a_recording_that_has_grown_is_built_again_in_its_split(
    built: tuple[KLive, dict[str, JobResult], Path], tmp_path: Path
) -> None:
    data, _, source = built
    shutil.copytree(data.path, tmp_path / "set")
    (tmp_path / "in").mkdir()
    content = (source / "silent.flv").read_bytes()
    (tmp_path / "in" / "silent.flv").write_bytes(content[: len(content) * 7 // 8])  # the recorder has written only this
    (tmp_path / "in" / "silent.json").write_text('{"title": "what the recorder knows of it"}')
    known = {"silent": RoomFacts("ada", "test")}
    (half,) = build(tmp_path / "in", tmp_path / "set", known=known)
    assert half.status == "done", half.reason
    assert any(warning.startswith("built without comments") for warning in half.warnings)
    assert any(warning.startswith("cut off") for warning in half.warnings)
    (skipped,) = build(tmp_path / "in", tmp_path / "set", known=known)
    assert skipped.status == "skipped"
    record = open_klive(tmp_path / "set").rooms[1]
    assert (record.id, record.split) == ("silent", "train")  # where it was, whatever is said now


def test_a_data_set_grows_by_rooms_of_another_folder(
    built: tuple[KLive, dict[str, JobResult], Path], tmp_path: Path
) -> None:
    data, _, source = built
    shutil.copytree(data.path, tmp_path / "set")
    (tmp_path / "more").mkdir()
    shutil.copy(source / "notes.flv", tmp_path / "more" / "notes.flv")
    (failed,) = build(tmp_path / "more", tmp_path / "set")
    assert failed.status == "failed"
    assert open_klive(tmp_path / "set").rooms == data.rooms
    (tmp_path / "set" / "rooms" / "demo.safetensors").unlink()  # how a room is taken out
    list(build(tmp_path / "more", tmp_path / "set"))
    assert [room.id for room in open_klive(tmp_path / "set").rooms] == ["silent"]


def test_features_of_another_kind_are_not_mixed_in(
    built: tuple[KLive, dict[str, JobResult], Path], tmp_path: Path
) -> None:
    data, _, source = built
    shutil.copytree(data.path, tmp_path / "set")
    with pytest.raises(DataError, match="other features or labels"):
        list(
            build_dataset(
                rooms_of(source, tmp_path / "set"),
                settings(tmp_path / "set", facts=replace(data.facts, segment_seconds=10.0)),
                source=ViewLabels(view_log()),
                known={},
            )
        )


def test_recordings_of_one_id_fail_and_the_others_are_built(
    built: tuple[KLive, dict[str, JobResult], Path], tmp_path: Path
) -> None:
    data, _, source = built
    manifest = tmp_path / "rooms.txt"
    names = [source / "demo.flv", tmp_path / "x" / "silent.flv", source / "silent.flv"]
    manifest.write_text("".join(f"{name}\n" for name in names))
    shutil.copytree(data.path, tmp_path / "set")
    results = {one.job.source: one for one in build(manifest, tmp_path / "set")}
    assert [results[str(name)].status for name in names] == ["skipped", "failed", "failed"]
    assert "would be room silent too" in str(results[str(names[1])].reason)
    assert open_klive(tmp_path / "set").rooms == data.rooms  # what was built before stays


def test_heat_maps_beside_the_recordings_serve_as_labels(tmp_path: Path) -> None:
    source, output = tmp_path / "recordings", tmp_path / "set"
    source.mkdir()
    (source / "demo.flv").symlink_to(EXAMPLES / "demo.flv")
    spans = ",".join(f'{{"start_time": {27 * i}, "end_time": {27 * (i + 1)}, "value": {i / 10}}}' for i in range(10))
    (source / "demo.info.json").write_text(f'{{"heatmap": [{spans}], "channel_id": "UC1"}}')
    facts = replace(settings(output).facts, label=HeatmapLabels().facts)
    (result,) = build_dataset(rooms_of(source, output), settings(output, facts=facts), source=HeatmapLabels(), known={})
    assert result.status == "done", result.reason
    data = open_klive(output)
    assert data.facts.label.source == "yt-dlp heatmap (.info.json)"
    (record,) = data.rooms
    assert record.streamer == "UC1"
    labels, valid = data.labels(record)
    assert valid.tolist() == [True] * (SEGMENTS - 1) + [False]
    assert labels[0] == pytest.approx((24 * 0.1 + 6 * 0.2) / 30)  # 30 to 60 s
    assert data.room(record).views is None

    def build_again() -> str:
        again = build_dataset(rooms_of(source, output), settings(output, facts=facts), source=HeatmapLabels(), known={})
        return next(again).status

    assert build_again() == "skipped"
    (source / "demo.info.json").write_text(
        (source / "demo.info.json").read_text().replace('"value": 0.1', '"value": 1')
    )
    assert build_again() == "done"
    data = open_klive(output)
    assert data.labels(data.rooms[0])[0][0] == pytest.approx((24 * 1.0 + 6 * 0.2) / 30)


def test_the_rooms_own_comments_serve_as_labels(
    tmp_path: Path, built: tuple[KLive, dict[str, JobResult], Path]
) -> None:
    _, _, source = built
    output, chat = tmp_path / "set", ChatLabels(delay=5.0)
    facts = replace(settings(output).facts, label=chat.facts)
    rooms = [room for room in rooms_of(source, output) if room.room in ("demo", "silent")]
    results = {one.job.room: one for one in build_dataset(rooms, settings(output, facts=facts), source=chat, known={})}
    assert results["demo"].status == "done", results["demo"].reason
    assert results["silent"].status == "failed"
    assert "silent.flv: no file of comments beside it" in str(results["silent"].reason)
    data = open_klive(output)
    assert (data.facts.label.name, data.facts.label.min_views) == ("chat reaction", 0)
    assert "5 s later" in data.facts.label.definition
    labels, valid = data.labels(data.rooms[0])
    assert valid.sum() == SEGMENTS - 1
    assert 0 < labels[valid].min() < 0.5 < labels[valid].max() < 1
    assert not list(dataset_problems(output))


def test_what_an_editor_cut_serves_as_labels(tmp_path: Path) -> None:
    source, output = tmp_path / "recordings", tmp_path / "set"
    source.mkdir()
    for name in ("demo", "torn"):
        (source / f"{name}.flv").symlink_to(EXAMPLES / "demo.flv")
    (tmp_path / "best.csv").write_text("start,end\n45,1:30\n")
    (source / "torn.edl").write_text("001  AX  V  C  00:00:40:00 00:00:20:00 00:00:00:00 00:00:10:00\n")
    manifest = tmp_path / "rooms.txt"
    manifest.write_text('{"source": "recordings/demo.flv", "cuts": "best.csv"}\nrecordings/torn.flv\n')
    cuts = CutLabels()
    facts = replace(settings(output).facts, label=cuts.facts)
    results = build_dataset(rooms_of(manifest, output), settings(output, facts=facts), source=cuts, known={})
    reasons = {one.job.room: one.reason for one in results}
    assert reasons["demo"] is None
    assert "torn.edl, line 1: a cut from 40 to 20 s" in str(reasons["torn"])
    data = open_klive(output)
    assert data.facts.label.source == "cuts of an editor"
    labels, valid = data.labels(data.rooms[0])
    assert labels[valid].tolist() == [0.5, 1.0, *[0.0] * (SEGMENTS - 3)]  # of the next segment each
