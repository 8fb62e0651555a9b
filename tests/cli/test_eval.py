"""`kuaihl eval` as a person runs it, on data sets and bundles made for the test."""

import json
import math
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import torch
from safetensors.numpy import load_file, save_file
from support.paths import SHARED
from support.small_dataset import break_room, small_dataset
from typer.testing import CliRunner, Result

from kuaihl.models.architectures import build_network
from kuaihl.models.bundle import load_bundle, save_bundle
from kuaihl.models.data.klive import open_klive
from kuaihl.models.dims import NetworkDims
from kuaihl.models.evaluation.rank_correlation import kendall_tau_b
from kuaihl.models.evaluation.room_scores import score_rooms
from kuaihl.models.facts import EncoderFacts, LabelFacts
from kuaihl.models.signals import SIGNALS_WIDTH
from kuaihl_cli.commands.eval import app
from kuaihl_cli.main import main

ENCODERS = (EncoderFacts("vision", "drawn", "1", ""), EncoderFacts("text", "drawn", "1", ""))
SMALL = {"width": 16, "heads": 2, "layers": 1, "window": 5}
ROOMS = {"visual_width": 10, "text_width": 6, "patches": 3}
TVSUM = SHARED / "labels" / "ydata-tvsum50.mat"
WIDTH = 7  # of the drawn video features


def bundle(
    path: Path, seed: int = 0, encoders: tuple[EncoderFacts, ...] = ENCODERS, arch: str = "kuaihl", **dims: Any
) -> Path:
    torch.manual_seed(seed)
    network = build_network(arch, NetworkDims(**(SMALL | ROOMS | dims)))
    facts = {"profile": "edge", "label": LabelFacts(), "licence_weights": "test", "licence_data": "test"}
    save_bundle(path, network, architecture=arch, encoders=encoders, **facts)  # type: ignore[arg-type]
    return path


def run(*arguments: str | Path) -> Result:
    words = [*map(str, arguments), "--device", "cpu", "--threads", "1"]
    return CliRunner().invoke(app, words, standalone_mode=False)


def as_json(*arguments: str | Path) -> dict[str, Any]:
    result = run(*arguments, "--json")
    assert result.exception is None, result.exception
    found = json.loads(result.stdout)
    assert isinstance(found, dict)
    return found


def refused(*arguments: str | Path) -> str:
    result = run(*arguments)
    assert result.exception is not None
    assert getattr(result.exception, "exit_code", 0) in (2, 3, 4)
    return str(result.exception)


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four test rooms whose true rates are known."""
    folder = small_dataset(tmp_path_factory.mktemp("klive"), test=4)
    for file in (folder / "rooms").iterdir():
        arrays = load_file(file)
        draw = np.random.default_rng(int(file.stem[-2:]))
        noise = draw.normal(0, 0.02, len(arrays["views"]))
        rate = np.clip(arrays["long_views"] / arrays["views"] + noise, 0.01, 0.99)
        save_file(arrays | {"true_rate": rate.astype(np.float32)}, file)
    return folder


@pytest.fixture(scope="module")
def one(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return bundle(tmp_path_factory.mktemp("bundles") / "one")


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return bundle(tmp_path_factory.mktemp("bundles") / "two", arch="antpivot")


def test_it_measures_tau_at_the_papers_thresholds_over_the_test_rooms(dataset: Path, one: Path) -> None:
    found = as_json(one, "--data", dataset, "--bootstrap", "50")
    assert (found["kind"], found["split"], found["counted"]["rooms"]) == ("klive", "test", 4)
    figures = found["systems"][0]["figures"]
    assert list(figures) == ["tau over all segments", "tau per room, mean"]
    for columns in figures.values():
        assert list(columns) == ["Δ = 0", "Δ = 0.2", "Δ = 0.4", "Δ = 0.6"]
    estimate = figures["tau over all segments"]["Δ = 0"]
    assert estimate["low"] < estimate["value"] < estimate["high"]


def test_its_metric_is_the_tau_of_the_networks_scores_above_the_threshold(dataset: Path, one: Path) -> None:
    data = open_klive(dataset)
    rooms = score_rooms(load_bundle(one).network(), data, data.rooms_of("test"), {})
    scores, labels = (
        np.concatenate([part[room.valid] for part, room in zip(parts, rooms, strict=True)])
        for parts in ([room.scores for room in rooms], [room.labels for room in rooms])
    )
    figures = as_json(one, "--data", dataset, "--bootstrap", "0")["systems"][0]["figures"]["tau over all segments"]
    for threshold in (0.0, 0.2, 0.4):
        chosen = labels.astype(np.float32) > np.float32(threshold)
        expected = kendall_tau_b(scores[chosen], labels[chosen])
        assert figures[f"Δ = {threshold:g}"] == {"value": pytest.approx(expected, abs=1e-5), "low": None, "high": None}


def test_a_second_output_is_measured_with_the_labels_of_the_segments_themselves(tmp_path: Path) -> None:
    dataset = small_dataset(tmp_path / "told", signals=True)
    told = bundle(tmp_path / "told-bundle", signals=SIGNALS_WIDTH, interest=True)
    figures = as_json(told, "--data", dataset, "--bootstrap", "0")["systems"][0]["figures"]
    assert list(figures)[2:] == ["interest: tau over all segments", "interest: tau per room, mean"]
    data = open_klive(dataset)
    rooms = score_rooms(load_bundle(told).network(), data, data.rooms_of("test"), {})
    interest = np.concatenate([room.present.scores[room.present.valid] for room in rooms if room.present])
    rates = [data.room(record).present_labels() for record in data.rooms_of("test")]
    expected = kendall_tau_b(interest, np.concatenate([rate[valid] for rate, valid in rates]))
    assert figures["interest: tau over all segments"]["Δ = 0"]["value"] == pytest.approx(expected, abs=1e-5)


def test_a_bundle_that_reads_signals_is_refused_a_set_without_them(dataset: Path, tmp_path: Path) -> None:
    told = bundle(tmp_path / "told-bundle", signals=SIGNALS_WIDTH)
    assert "reads signals of version" in refused(told, "--data", dataset)


def test_the_noise_ceiling_stands_beside_the_bundles(dataset: Path, one: Path) -> None:
    systems = as_json(one, "--data", dataset, "--published", "none")["systems"]
    assert [system["role"] for system in systems] == ["bundle", "ceiling"]
    ceiling, network = (
        system["figures"]["tau over all segments"]["Δ = 0"]["value"] for system in (systems[1], systems[0])
    )
    assert 0.8 < ceiling < 1.0
    assert ceiling > network


def test_the_ceiling_alone_needs_no_bundle_and_a_set_without_true_rates_has_none(dataset: Path, tmp_path: Path) -> None:
    assert [row["role"] for row in as_json("--data", dataset)["systems"]] == ["ceiling"]
    assert "without a bundle there is nothing to measure" in refused("--data", small_dataset(tmp_path / "counts"))


def test_several_bundles_make_table_one_with_published_figures_marked_as_such(
    dataset: Path, one: Path, two: Path, tmp_path: Path
) -> None:
    published = tmp_path / "published.csv"
    published.write_text("system,0,0.2,0.4,0.6\npr-net,0.1,0.2,,0.4\nantpivot,0.5,0.6,0.7,0.8\n")
    result = run(one, two, "--data", dataset, "--published", published)
    lines = [line.split("\t") for line in result.stdout.splitlines()]
    order = list(dict.fromkeys(system for _table, system, *_rest in lines))
    assert order == [
        "one (kuaihl)",
        "two (antpivot)",
        "antpivot (published, other data)",
        "noise ceiling (the true rate)",
        "pr-net (published, other data)",
    ]
    theirs = [line[2:] for line in lines if line[1].startswith("pr-net")]
    assert theirs == [["Δ = 0", "0.1000", "", ""], ["Δ = 0.2", "0.2000", "", ""], ["Δ = 0.4", "", "", ""],
                      ["Δ = 0.6", "0.4000", "", ""]]  # fmt: skip


def test_the_papers_table_one_stands_beside_ours_by_default_marked_as_published(
    dataset: Path, one: Path, two: Path
) -> None:
    lines = [line.split("\t") for line in run(one, two, "--data", dataset).stdout.splitlines()]
    assert list(dict.fromkeys(line[1] for line in lines)) == [
        "one (kuaihl)",
        "kuaihl (published, other data)",
        "two (antpivot)",
        "antpivot (published, other data)",
        "noise ceiling (the true rate)",
        *(f"{name} (published, other data)" for name in ("adaptive-h-fcsn", "pr-net", "pac-net", "showme")),
    ]
    theirs = [line[2:4] for line in lines if line[1].startswith("antpivot")]
    assert theirs == [["Δ = 0", "0.5818"], ["Δ = 0.2", "0.5809"], ["Δ = 0.4", "0.5483"], ["Δ = 0.6", "0.5421"]]
    published = [row for row in as_json(one, "--data", dataset)["systems"] if row["role"] == "published"]
    assert {(row["source"], row["measured_on"]) for row in published} == {("ICME 2024, Table I", "KLive")}
    alone = as_json(one, two, "--data", dataset, "--published", "none")["systems"]
    assert [row["role"] for row in alone] == ["bundle", "bundle", "ceiling"]


def test_a_second_bundle_is_compared_with_the_first_on_the_same_rooms(dataset: Path, one: Path, two: Path) -> None:
    systems = as_json(one, two, "--data", dataset, "--published", "none")["systems"]
    first, second = (system["figures"] for system in systems[:2])
    more = second["tau over all segments: more than one"]["Δ = 0"]
    values = [figures["tau over all segments"]["Δ = 0"]["value"] for figures in (first, second)]
    assert more["value"] == pytest.approx(values[1] - values[0], abs=1e-5)
    assert more["low"] <= more["value"] <= more["high"]
    assert not any("more than" in table for table in [*first, *systems[2]["figures"]])


@pytest.mark.parametrize(
    ("text", "what"),
    [("name,0\n", "first column"), ("system,best\n", "'best'"), ("system,0\nkuaihl,much\n", "line 2")],
)
def test_published_figures_that_are_none_are_refused(dataset: Path, tmp_path: Path, text: str, what: str) -> None:
    published = tmp_path / "published.csv"
    published.write_text(text)
    assert what in refused("--data", dataset, "--published", published)


def test_what_train_wrote_eval_reads_with_the_text_it_was_trained_on(dataset: Path, tmp_path: Path) -> None:
    shape = "--width 16 --heads 2 --layers 1 --window 5 --batch 24 --epochs 1 --lr 3e-3 --device cpu --threads 1 -q"
    words = ["train", str(dataset), "-o", str(tmp_path / "mine"), "--without", "comments", *shape.split()]
    with pytest.raises(SystemExit, match="0"):
        main(words)
    mine = as_json(tmp_path / "mine", "--data", dataset)["systems"][0]
    assert (mine["text"], mine["architecture"], mine["causal"]) == ("speech", "kuaihl", True)


def test_on_a_terminal_it_draws_tables_that_fit_80_columns(
    dataset: Path, one: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    monkeypatch.setenv("TERM", "dumb")  # no colours
    monkeypatch.setenv("COLUMNS", "80")
    with pytest.raises(SystemExit, match="0"):
        main(["eval", str(one), "--data", str(dataset), "--device", "cpu", "--bootstrap", "20"])
    shown = capsys.readouterr().out
    assert "tau over all segments" in shown
    assert "noise ceiling" in shown
    assert re.search(r"\[-?0\.\d\d 0\.\d\d\]", shown)
    assert "4 rooms" in shown
    assert max(map(len, shown.splitlines())) <= 80


def test_a_bundle_of_other_features_is_refused_by_name(dataset: Path, tmp_path: Path) -> None:
    other = (EncoderFacts("vision", "swin", "1", ""), ENCODERS[1])
    assert "reads vision features of swin" in refused(bundle(tmp_path / "swin", encoders=other), "--data", dataset)
    whole = bundle(tmp_path / "whole", patches=12)
    assert "reads 12 visual tokens per segment, 10 wide" in refused(whole, "--data", dataset)
    large = bundle(tmp_path / "large", text_width=9)
    assert "reads text 9 wide" in refused(large, "--data", dataset)


def test_bad_data_is_named_by_room_and_row(one: Path, tmp_path: Path) -> None:
    folder = small_dataset(tmp_path / "bad")
    room = break_room(folder, "nan", split="test", row=5)
    message = refused(one, "--data", folder)
    assert room in message
    assert "5" in message


def test_a_split_that_is_not_there_is_an_error_and_no_table_of_nothing(dataset: Path, one: Path) -> None:
    assert "has no tset split; it has test, train, validation" in refused(one, "--data", dataset, "--split", "tset")


def test_options_of_another_kind_are_refused(dataset: Path, one: Path, tmp_path: Path) -> None:
    assert "--fps is for phd" in refused(one, "--data", dataset, "--fps", "1")
    assert "cannot tell" in refused("--data", __file__)
    assert "no such data set" in refused("--data", tmp_path / "missing.h5")
    assert "phd needs a bundle" in refused("--data", tmp_path / "testing.csv")


def test_help_explains_the_measure_to_a_reader_of_the_paper() -> None:
    shown = " ".join(CliRunner().invoke(app, ["--help"]).output.split())
    for word in ("LVTR", "Kendall", "Δ = 0.2", "Table I", "mean average precision", "Otani"):
        assert word in shown


@pytest.fixture
def phd(tmp_path: Path) -> tuple[Path, Path]:
    """Two users with a target video of 200 and 250 frames, at 2 frames per second, and a video of their history."""
    rows = ["youtubeId,start,duration,user_id,video_duration,is_last"]
    draw = np.random.default_rng(0)
    features = tmp_path / "features"
    features.mkdir()
    for user, frames in (("ann", 200), ("bob", 250)):
        rows += [f"old-{user},3,4,{user},100,False", f"new-{user},10,8,{user},125,True"]
        for video in ("old", "new"):
            visual = draw.normal(size=(frames, 1, WIDTH)).astype(np.float16)
            save_file({"visual": visual}, features / f"{video}-{user}.safetensors")
    (tmp_path / "testing.csv").write_text("\n".join(rows) + "\n")
    return tmp_path / "testing.csv", features


def test_phd_is_measured_by_mean_average_precision(phd: tuple[Path, Path], tmp_path: Path) -> None:
    table, features = phd
    dims = {"visual_width": WIDTH, "text_width": 1, "patches": 1, "history_width": WIDTH, "causal": False}
    network = bundle(tmp_path / "phd", **dims, use_text=False, window=192)
    found = as_json(network, "--data", table, "--features", features, "--fps", "2", "--bootstrap", "20")
    assert (found["kind"], found["counted"]["videos"]) == ("phd", 2)
    precision = found["systems"][0]["figures"]["mean average precision"]
    assert set(precision) == {"mAP", "mAP per frame"}
    assert all(0 < figure["value"] <= 1 for figure in precision.values())
    published = {row["system"]: row["figures"]["mean average precision"] for row in found["systems"][1:]}
    assert published["kuaihl"] == {"mAP": {"value": 0.2189, "low": None, "high": None}}
    assert list(published) == ["kuaihl", "adaptive-h-fcsn", "pr-net", "pac-net", "showme"]


def test_the_protocol_skips_users_without_history_and_the_plain_figure_does_not(
    phd: tuple[Path, Path], tmp_path: Path
) -> None:
    table, features = phd
    dims = {"visual_width": WIDTH, "text_width": 1, "patches": 1, "history_width": WIDTH, "causal": False}
    network = bundle(tmp_path / "phd", **dims, use_text=False, window=192)
    options = ("--features", features, "--fps", "2", "--bootstrap", "0")
    before = as_json(network, "--data", table, *options)
    visual = np.random.default_rng(1).normal(size=(300, 1, WIDTH)).astype(np.float16)
    save_file({"visual": visual}, features / "new-cid.safetensors")
    table.write_text(table.read_text() + "new-cid,40,8,cid,150,True\n")
    after = as_json(network, "--data", table, *options)
    counts = {"videos": 3, "videos missing": 0, "videos of users without history": 1}
    assert after["counted"] == counts
    one, other = (found["systems"][0]["figures"]["mean average precision"] for found in (before, after))
    assert other["mAP"] == one["mAP"]
    assert other["mAP per frame"] != one["mAP per frame"]


MakeH5 = Callable[[str], Path]


@pytest.fixture
def make_h5(tmp_path: Path) -> MakeH5:
    """Four videos in the community's layout, each annotated by three users."""

    def make(name: str) -> Path:
        draw = np.random.default_rng(0)
        with h5py.File(tmp_path / name, "w") as file:
            for number in range(1, 5):
                frames = 150 + 15 * number
                group = file.create_group(f"video_{number}")
                picks = np.arange(0, frames, 15)
                group["features"] = draw.normal(size=(len(picks), WIDTH)).astype(np.float32)
                group["picks"], group["n_frames"] = picks, frames
                group["gtscore"] = draw.random(len(picks)).astype(np.float32)
                group["user_summary"] = (draw.random((3, frames)) < 0.3).astype(np.float32)
                group["change_points"] = np.array([[0, 59], [60, frames - 1]])
        return tmp_path / name

    return make


def video_bundle(path: Path, seed: int = 0) -> Path:
    dims = {"visual_width": WIDTH, "text_width": 1, "patches": 1, "causal": False, "use_text": False}
    return bundle(path, seed, **dims)


def test_summe_is_measured_against_its_users_split_by_split(make_h5: MakeH5, tmp_path: Path) -> None:
    data, splits = make_h5("summe.h5"), tmp_path / "splits.json"
    keys = [f"video_{number}" for number in range(1, 5)]
    splits.write_text(json.dumps([{"train_keys": keys[2:], "test_keys": keys[:2]},
                                  {"train_keys": keys[:2], "test_keys": keys[2:]}]))  # fmt: skip
    first, second = video_bundle(tmp_path / "first"), video_bundle(tmp_path / "second", seed=1)
    found = as_json(first, second, "--data", data, "--splits", splits)
    assert found["kind"] == "summe"
    assert found["counted"]["videos"] == 4
    assert [row["system"] for row in found["systems"]] == ["first + second", "humans"]
    assert abs(found["systems"][0]["figures"]["rank correlation with annotators, mean"]["Kendall's tau"]["value"]) < 0.3

    alone = as_json(first, "--data", data, "--splits", splits, "--split", "1")
    assert alone["counted"]["videos"] == 2
    assert "as many bundles" in refused(first, "--data", data, "--splits", splits)
    assert "has splits 0 to 1" in refused(first, "--data", data, "--splits", splits, "--split", "2")


def test_tvsum_needs_what_its_annotators_gave(make_h5: MakeH5, tmp_path: Path) -> None:
    assert "ydata-tvsum50.mat" in refused(video_bundle(tmp_path / "videos"), "--data", make_h5("tvsum.h5"))


@pytest.mark.skipif(not TVSUM.is_file(), reason=f"{TVSUM} is not here; it is TVSum's own (yalesong/tvsum)")
def test_tvsums_own_file_shows_the_published_human_agreement(tmp_path: Path, make_h5: MakeH5) -> None:
    found = as_json("--data", TVSUM, "--kind", "tvsum")
    (humans,) = found["systems"]
    columns = humans["figures"]["rank correlation with annotators, mean"]
    shown = {name: f"{figure['value']:.3f}" for name, figure in columns.items()}
    assert shown == {"Kendall's tau": "0.177", "Spearman's rho": "0.204"}
    network = video_bundle(tmp_path / "videos")
    assert "holds no features" in refused(network, "--data", TVSUM)
    assert "has its 165 frames" in refused(network, "--data", make_h5("tvsum.h5"), "--annotations", TVSUM)


def test_no_figure_is_written_as_null_rather_than_nan(dataset: Path, one: Path) -> None:
    shown = run(one, "--data", dataset, "--json").stdout
    assert "NaN" not in shown
    json.loads(shown, parse_constant=lambda name: pytest.fail(f"{name} in JSON: {math.nan}"))
