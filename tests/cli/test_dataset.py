"""`kuaihl dataset` as a person runs it: build from a real recording, look inside, hear what is wrong."""

import csv
import json
import shutil
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from safetensors.numpy import load_file, save_file
from support.paths import EXAMPLES
from support.small_bank import drawn_bank
from support.small_dataset import small_dataset

from kuaihl.engines.cold_start import features
from kuaihl.engines.encoders.profiles import EDGE, profile_record
from kuaihl.models.bundle import load_bundle
from kuaihl.models.data.klive import open_klive
from kuaihl.models.errors import KuaihlError
from kuaihl_cli.main import main


@pytest.fixture
def edge_weights() -> None:
    try:
        profile_record(EDGE)
    except KuaihlError as error:
        pytest.skip(f"the edge weights are not here: {error}")


def run(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str, str]:
    """Exit code, standard output, standard error."""
    with pytest.raises(SystemExit) as ended:
        main(["dataset", *map(str, arguments)])
    said = capsys.readouterr()
    return int(ended.value.code or 0), said.out, said.err


def write_views(file: Path, room: str) -> Path:
    """A hundred impressions per segment of the demo; the later the segment, the more of them are long."""
    with file.open("w", newline="") as opened:
        writer = csv.writer(opened)
        writer.writerow(["time", "room", "watched"])
        for segment in range(9):
            writer.writerows([30 * segment + i % 30, room, 90 if i < 10 * segment else 20] for i in range(100))
    return file


@pytest.mark.usefixtures("edge_weights")
def test_build_makes_a_data_set_of_good_recordings_lists_bad_ones_and_goes_on(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source, output = tmp_path / "recordings", tmp_path / "set"
    source.mkdir()
    shutil.copy(EXAMPLES / "demo.flv", source)
    shutil.copy(EXAMPLES / "demo.comments.xml", source)
    (source / "torn.flv").write_bytes(b"FLV and nothing more")
    command = ["build", source, "-o", output, "--views", write_views(tmp_path / "views.csv", "demo"), "--min-age", 0]
    command += ["--asr", "none", "--device", "cpu", "--threads", 1, "--licence", "ours"]
    code, out, err = run(capsys, *command)
    assert (code, out) == (5, "")
    assert "1 done, 0 skipped, 1 failed" in err
    assert "torn: no impressions" in err
    assert err.splitlines()[-1].startswith("kuaihl: error: 1 of 2 rooms failed")
    data = open_klive(output)
    labels, valid = data.labels(data.rooms[0])
    np.testing.assert_allclose(labels[valid], np.arange(1, 9) / 10, rtol=1e-6)
    assert data.facts.licence == "ours"
    (source / "torn.flv").unlink()
    code, _, err = run(capsys, *command)
    assert code == 0
    assert "0 done, 1 skipped, 0 failed" in err


def test_build_takes_another_profiles_encoders_than_the_bundles(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    views = write_views(tmp_path / "views.csv", "demo")
    options = ["--views", views, "--asr", "none", "--profile", "paper", "--text-weights", tmp_path / "bert"]
    code, _, err = run(capsys, "build", EXAMPLES, "-o", tmp_path / "set", *options)
    assert code == 4
    assert str(tmp_path / "bert") in err  # the paper profile's text weights are looked for where they were said to be
    assert len(err.splitlines()) == 1


def test_build_asks_for_one_source_of_labels(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for options in (
        [],
        ["--views", "views.csv", "--heatmap"],
        ["--views", "views.csv", "--labels", "chat"],
        ["--labels", "chat", "--cuts", "demo.edl"],
        ["--labels", "heatmap", "--cuts-named", "goal"],
    ):
        code, _, err = run(capsys, "build", tmp_path, "-o", tmp_path / "set", "--min-age", 0, *options)
        assert code == 2
        assert "one of --views FILE, --heatmap, --labels chat and --labels cuts" in err
        assert not (tmp_path / "set").exists()


def test_info_tells_what_is_inside(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = small_dataset(tmp_path / "klive")
    code, out, err = run(capsys, "info", folder)
    assert (code, err) == (0, "")
    splits = out[: out.index("all rooms")]
    rows = {line[:20].strip(): line[20:].split() for line in splits.splitlines()}
    assert rows["rooms"] == ["8", "3", "2"]
    assert rows["segments"] == ["200", "75", "50"]
    code, out, _ = run(capsys, "info", folder, "--json")
    told = json.loads(out)
    data = open_klive(folder)
    labelled = [data.labels(room)[1].sum() for room in data.rooms_of("train")]
    assert told["splits"]["train"]["labelled"] == sum(labelled)
    assert told["splits"]["test"]["hours"] == pytest.approx(50 * 30 / 3600)
    assert told["label"]["source"] == "simulated"
    assert told["klive_as_printed"]["rooms"] == 17_897
    assert told["rooms"]["hours"] == pytest.approx(13 * 25 * 30 / 3600)


def test_info_shows_all_rooms_beside_klives_figures_and_draws_them(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = small_dataset(tmp_path / "klive")
    code, out, _ = run(capsys, "info", folder, "--plot", tmp_path / "rooms.png")
    assert code == 0
    assert (tmp_path / "rooms.png").is_file()
    table = out[out.index("all rooms") :]
    rows = {line[:20].strip(): line[20:].split() for line in table.splitlines()}
    assert rows["rooms"] == ["13", "17,897"]
    assert rows["longest room, h"] == ["0.21", "46.46"]  # 25 segments of 30 s
    assert rows["median room, h"] == ["0.21", "-"]
    assert rows["more than 36 min"] == ["0%", "49%"]
    assert rows["more than 100"] == ["100%", "38%"]


def test_validate_says_all_that_is_wrong_row_by_row(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = small_dataset(tmp_path / "klive")
    assert run(capsys, "validate", folder) == (0, "", f"{folder}: nothing wrong\n")

    def change(room: str, **arrays: object) -> None:
        file = folder / "rooms" / f"{room}.safetensors"
        content = {name: array for name, array in (load_file(file) | arrays).items() if array is not None}
        save_file(content, file)

    visual = load_file(folder / "rooms" / "room-00.safetensors")["visual"]
    visual[[3, 20], 1, 2] = np.nan, np.inf
    change("room-00", visual=visual)
    views = np.full(25, 100, np.int32)
    change("room-01", views=views, long_views=np.where(np.arange(25) == 9, 101, 5).astype(np.int32))
    change("room-02", text=np.zeros((25, 7), np.float16))
    change("room-03", text_speech=None)
    (folder / "rooms" / "room-04.safetensors").unlink()
    (folder / "rooms" / "room-05.safetensors").write_bytes(b"not a room")
    rooms = pq.read_table(folder / "rooms.parquet").to_pylist()
    rooms[6]["split"] = "holdout"
    rooms[7]["id"] = "room-08"
    rooms[9]["segments"] = 24
    rooms[10]["id"] = "../escape"
    pq.write_table(pa.Table.from_pylist(rooms), folder / "rooms.parquet")

    code, out, err = run(capsys, "validate", folder)
    assert code == 3
    assert err == f"kuaihl: error: {folder}: {len(out.splitlines())} faults, listed on standard output\n"
    for expected in (
        "rooms.parquet, row 6: room room-06 is of split 'holdout'",
        "rooms.parquet, row 8: id room-08 is that of row 7 too",
        "rooms.parquet, row 10: id '../escape' cannot be a file's name",
        "room room-00, row 3: visual features hold NaN or infinity",
        "room room-00, row 20: visual features hold NaN or infinity",
        "room room-01, row 9: 101 long views of 100 views",
        "room room-02, text is float16 [25, 7] and should be float16 [25, 6]",
        "room room-03: has no text_speech, which other rooms have",
        "room room-04: ",
        "room room-05: ",
        "room room-09, visual is float16 [25, 3, 10] and should be float16 [24, 3, 10]",
    ):
        assert len([line for line in out.splitlines() if line.startswith(expected)]) == 1, expected
    assert len(out.splitlines()) == 11 + 5  # room-09's other arrays: text, its two parts, views, long views


def test_info_shows_a_ceiling_of_the_papers_metric_and_none_of_the_earlier_one(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = small_dataset(tmp_path / "set")
    file = folder / "dataset.json"
    for name, shown in (("tau above", "tau 0.75 over the test, 0.5 per room"), ("tau", f"kuaihl eval --data {folder}")):
        found = {"split": "test", "next segment's true rate": {name: {"0.0": 0.75}, "tau_per_room": 0.5}}
        file.write_text(json.dumps(json.loads(file.read_text()) | {"ceiling": found}))
        (line,) = [line for line in run(capsys, "info", folder)[1].splitlines() if line.startswith("ceiling")]
        assert shown in line
        assert ("0.75" in line) == (name == "tau above")


@pytest.mark.parametrize("command", ["info", "validate"])
def test_what_is_no_data_set_is_one_line_and_3(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], command: str
) -> None:
    code, _, err = run(capsys, command, tmp_path / "nowhere")
    assert code == 3
    assert len(err.splitlines()) == 1


@pytest.mark.usefixtures("edge_weights")
def test_simulate_writes_a_sound_data_set_and_tells_the_ceiling(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    # The real banks take ten minutes to encode.
    monkeypatch.setattr(features, "feature_bank", lambda split, encoders, on_message: drawn_bank(len(split)))
    output = tmp_path / "simulated"
    code, out, _ = run(capsys, "simulate", "-o", output, "--rooms", 12, "--streamers", 5, "--threads", 1)
    assert code == 0
    assert "ceiling of tau" in out
    data = open_klive(output)
    assert (data.facts.patches, data.facts.visual_width, data.facts.text_width) == (3, 1280, 384)
    assert len(data.rooms) == 12
    assert run(capsys, "validate", output)[0] == 0


@pytest.mark.usefixtures("edge_weights")
def test_build_labels_one_recording_by_a_named_file_of_cuts(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source, output, cuts = tmp_path / "recordings", tmp_path / "set", tmp_path / "best.edl"
    source.mkdir()
    shutil.copy(EXAMPLES / "demo.flv", source)
    cuts.write_text("001  AX  V  C  01:00:45:00 01:01:30:00 00:00:00:00 00:00:45:00\n")
    command = [
        "build",
        source,
        "-o",
        output,
        "--cuts",
        cuts,
        "--min-age",
        0,
        "--asr",
        "none",
        "--device",
        "cpu",
        "--threads",
        1,
    ]
    code, _, err = run(capsys, *command)
    assert code == 5  # an hour of time code ahead
    assert "most of its cuts are after the recording's end" in err
    code, _, err = run(capsys, *command, "--cuts-start", "01:00:00:00")
    assert code == 0, err
    data = open_klive(output)
    labels, valid = data.labels(data.rooms[0])
    np.testing.assert_allclose(labels[valid], [0.5, 1, 0, 0, 0, 0, 0, 0])
    assert "label      cut: share of the next segment that an editor kept" in run(capsys, "info", output)[1]


def test_one_file_of_cuts_is_of_one_recording(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("a.flv", "b.flv"):
        (tmp_path / name).touch()
    (tmp_path / "a.csv").write_text("1,2\n")
    for options, said in (
        (["--cuts", tmp_path / "a.csv"], "is of one recording and there are 2"),
        (["--cuts", tmp_path / "nowhere"], "no such file or folder"),
        (["--labels", "views"], "--views FILE"),
    ):
        code, _, err = run(capsys, "build", tmp_path, "-o", tmp_path / "set", "--min-age", 0, *options)
        assert code == 2
        assert said in err
        assert len(err.splitlines()) == 1


@pytest.mark.slow
@pytest.mark.usefixtures("edge_weights")
def test_a_bundle_says_what_its_labels_were(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source, output = tmp_path / "recordings", tmp_path / "set"
    source.mkdir()
    for room in "abcd":  # enough for every split
        shutil.copy(EXAMPLES / "demo.flv", source / f"{room}.flv")
        shutil.copy(EXAMPLES / "demo.comments.xml", source / f"{room}.comments.xml")
    build = ["build", source, "-o", output, "--labels", "chat", "--min-age", 0, "--asr", "none", "--device", "cpu"]
    build += ["--threads", 1]
    code, _, err = run(capsys, *build)
    assert code == 0, err
    with pytest.raises(SystemExit) as ended:
        options = ["--epochs", "1", "--device", "cpu", "--without", "signals", "--quiet"]
        main(["train", str(output), "-o", str(tmp_path / "bundle"), *options])
    assert not ended.value.code, capsys.readouterr().err
    label = load_bundle(tmp_path / "bundle").label
    assert label == open_klive(output).facts.label
    assert (label.name, label.source) == ("chat reaction", "chat: the comment files beside the recordings")
