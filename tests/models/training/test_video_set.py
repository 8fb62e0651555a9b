"""PHD, TVSum and SumMe are trained on through the same loop as live rooms, and the bundle is what eval measures."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch
from safetensors.numpy import save_file
from support.train_options import train_settings

from kuaihl.models.data.phd import STRETCH
from kuaihl.models.dims import EDGE_DIMS, HISTORY_ITEMS
from kuaihl.models.errors import DataError, UsageError
from kuaihl.models.losses.objective import Objective
from kuaihl.models.training.loop import train
from kuaihl.models.training.plan import TrainingPlan
from kuaihl.models.training.video_set import VideoSet, open_phd, open_summaries
from kuaihl_cli.commands.train import plan_of
from kuaihl_cli.commands.training_set import dims_of
from kuaihl_cli.main import main

Run = Callable[..., tuple[int, str, str]]

WIDTH, WORDS = 7, 5
SHAPE = {"width": 16, "heads": 2, "layers": 1}
FPS = 2.0


@pytest.fixture(scope="module")
def phd(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Twelve users with a target of 230 frames each; what the first feature and the first word show is chosen."""
    folder = tmp_path_factory.mktemp("phd")
    draw = np.random.default_rng(0)
    rows = ["youtubeId,start,duration,user_id,video_duration,is_last"]
    (folder / "features").mkdir()
    for user in range(12):
        start = float(draw.integers(5, 90))
        rows += [f"old-{user},3,4,{user},20,False", f"new-{user},{start},15,{user},115,True"]
        for video, frames in (("old", 40), ("new", 230)):
            visual = draw.normal(size=(frames, 1, WIDTH))
            text = draw.normal(size=(frames, WORDS))
            inside = slice(int(start * FPS), int((start + 15) * FPS))
            if video == "new":
                visual[inside, 0, 0] += 4
                text[inside, 0] += 4
            arrays = {"visual": visual.astype(np.float16), "text": text.astype(np.float16)}
            save_file(arrays, folder / "features" / f"{video}-{user}.safetensors")
    (folder / "training.csv").write_text("\n".join(rows) + "\n")
    return folder / "training.csv", folder / "features"


@pytest.fixture(scope="module")
def summe(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Twelve videos in the community's layout, of up to 280 sampled frames, and two splits."""
    folder = tmp_path_factory.mktemp("summe")
    draw = np.random.default_rng(0)
    keys = [f"video_{number}" for number in range(1, 13)]
    with h5py.File(folder / "eccv16_dataset_summe_google_pool5.h5", "w") as file:
        for number, key in enumerate(keys):
            sampled = 60 + 20 * number
            importance = draw.random(sampled)
            features = draw.normal(size=(sampled, WIDTH))
            features[:, 0] += 6 * importance
            group = file.create_group(key)
            group["features"], group["gtscore"] = features.astype(np.float32), importance.astype(np.float32)
            group["picks"], group["n_frames"] = np.arange(0, 15 * sampled, 15), 15 * sampled
            group["user_summary"] = (draw.random((3, 15 * sampled)) < np.repeat(importance, 15)).astype(np.float32)
            group["change_points"] = np.array([[0, 15 * sampled - 1]])
    splits = [{"train_keys": keys[2:], "test_keys": keys[:2]}, {"train_keys": keys[:-2], "test_keys": keys[-2:]}]
    (folder / "splits.json").write_text(json.dumps(splits))
    return folder / "eccv16_dataset_summe_google_pool5.h5", folder / "splits.json"


def plan_for(data: VideoSet, **changes: object) -> TrainingPlan:
    facts = data.facts
    small = replace(EDGE_DIMS, **SHAPE, visual_width=facts.visual_width, text_width=facts.text_width, patches=1)
    plan = TrainingPlan(data.dims(small, None), Objective(pair=0.0), batch=4, epochs=6, learning_rate=5e-3)
    return replace(plan, **changes)  # type: ignore[arg-type]


def test_phds_network_sees_everything_and_knows_a_user_by_history(phd: tuple[Path, Path]) -> None:
    data = open_phd(*phd, FPS)
    dims = plan_for(data).dims
    assert (dims.causal, dims.history_width, dims.window, dims.use_text) == (False, WIDTH, STRETCH, True)
    assert data.counts == {"train": 11, "validation": 1, "missing": 0}
    assert data.stretches.gather(np.array([0, 1])).streamer.shape == (2, HISTORY_ITEMS, WIDTH)


def test_phd_is_trained_on_stretches_with_a_highlight_and_validated_on_whole_videos(phd: tuple[Path, Path]) -> None:
    data = open_phd(*phd, FPS)
    assert 11 <= len(data.stretches) < 22  # a target of 230 frames makes two stretches, and few highlights span both
    batch = data.stretches.gather(np.arange(len(data.stretches)))
    assert batch.labels.any(dim=1).all()
    assert batch.labels[batch.label_valid].sum() == 11 * 30  # no highlight is lost
    assert set(batch.segment_valid.sum(dim=1).tolist()) <= {192, 38}


def test_summaries_keep_all_stretches(summe: tuple[Path, Path]) -> None:
    data = open_summaries(summe[0])
    assert data.stretches.gather(np.arange(len(data.stretches))).segment_valid.sum() == sum(
        60 + 20 * number for number in range(12) if number != 9
    )  # every tenth video is kept back


def test_highlights_beyond_the_features_are_told(phd: tuple[Path, Path]) -> None:
    with pytest.raises(DataError, match="give the features' own frames per second"):
        open_phd(*phd, 50.0)  # 230 frames are 4.6 s then, and no highlight begins before 5 s


@pytest.mark.parametrize("architecture", ["kuaihl", "pac-net", "adaptive-h-fcsn", "pr-net", "showme", "antpivot"])
def test_a_network_learns_what_phds_users_choose(phd: tuple[Path, Path], architecture: str) -> None:
    data = open_phd(*phd, FPS)
    heard: list[object] = []
    plan = plan_for(data, architecture=architecture, epochs=3, learning_rate=1e-2)
    trained = train(data, plan, device="cpu", on_report=heard.append)
    assert trained is not None
    assert trained.best.tau > 0.3  # of labels of two levels no more than about 0.5 can be had
    if architecture == "kuaihl":
        assert all(report.align > 0 and report.pair == 0 for report in heard if hasattr(report, "align"))


def test_without_the_id_no_history_is_read(phd: tuple[Path, Path]) -> None:
    data = open_phd(*phd, FPS)
    small = replace(EDGE_DIMS, **SHAPE, visual_width=WIDTH, text_width=WORDS, patches=1, use_id=False)
    plan = plan_for(data, dims=data.dims(small, None), epochs=1)
    assert plan.dims.history_width == 0
    assert train(data, plan, device="cpu") is not None


def test_antpivot_is_refused_where_there_are_no_words(summe: tuple[Path, Path], tmp_path: Path, run: Run) -> None:
    code, _, err = run("train", summe[0], "--arch", "antpivot", "-o", tmp_path / "b", *SMALL)
    assert code != 0
    assert err.splitlines()[-1].endswith("antpivot reads text alone, and here is none")


def test_without_words_in_the_feature_files_the_network_has_none(phd: tuple[Path, Path], tmp_path: Path) -> None:
    for user in range(12):
        for video in ("old", "new"):
            visual = np.zeros((230, 1, WIDTH), np.float16)
            save_file({"visual": visual}, tmp_path / f"{video}-{user}.safetensors")
    dims = plan_for(open_phd(phd[0], tmp_path, FPS)).dims
    assert (dims.use_text, dims.text_width) == (False, 1)


def test_a_split_trains_on_its_own_videos_and_keeps_one_back(summe: tuple[Path, Path]) -> None:
    path, splits = summe
    data = open_summaries(path, splits, 1)
    assert data.counts == {"train": 9, "validation": 1}
    trained = train(data, plan_for(data, objective=Objective()), device="cpu")
    assert trained is not None
    assert trained.best.tau > 0.4
    assert len(open_summaries(path).stretches) == 11 + 4  # all but one; those beyond 192 frames make two
    with pytest.raises(DataError, match="has splits 0 to 1, not 2"):
        open_summaries(path, splits, 2)


def test_it_resumes_to_the_very_same_weights(phd: tuple[Path, Path], tmp_path: Path) -> None:
    data = open_phd(*phd, FPS)
    plan = plan_for(data, epochs=2, architecture="pac-net")
    whole = train(data, plan, device="cpu")
    calls = iter([False, False, True])
    assert train(data, plan, folder=tmp_path, device="cpu", should_stop=lambda: next(calls)) is None
    resumed = train(data, plan, folder=tmp_path, resume=True, device="cpu")
    assert whole is not None
    assert resumed is not None
    for one, other in zip(whole.network.parameters(), resumed.network.parameters(), strict=True):
        assert torch.equal(one, other)


def plan_of_command(data: VideoSet, *words: str) -> TrainingPlan:
    """What `kuaihl train` makes of its options."""
    return plan_of(data, train_settings(Path("data"), " ".join(words)))


def test_the_defaults_are_the_papers_for_that_kind_of_data(phd: tuple[Path, Path], summe: tuple[Path, Path]) -> None:
    plan = plan_of_command(open_phd(*phd, FPS))
    assert (plan.batch, plan.epochs, plan.learning_rate) == (8, 20, 5e-5)  # supplement, section II
    assert (plan.objective.point, plan.objective.pair) == (Objective().point, 0.0)
    assert plan.objective.align == Objective().align
    plan = plan_of_command(open_summaries(summe[0]))
    assert (plan.batch, plan.epochs, plan.learning_rate) == (48, 12, 5e-5)
    assert plan.objective.pair > 0


@pytest.mark.parametrize("text", ["audio", "comments"])
def test_a_video_has_one_text_to_leave_out(phd: tuple[Path, Path], run: Run, tmp_path: Path, text: str) -> None:
    words = ("train", phd[0], "--features", phd[1], "--fps", FPS, "-o", tmp_path / "b", "--without", text)
    code, _, err = run(*words)
    assert code == 2
    assert f"--without {text} is for live rooms" in err


def test_an_option_that_is_given_wins_over_the_default(phd: tuple[Path, Path]) -> None:
    plan = plan_of_command(open_phd(*phd, FPS), "--batch", "48", "--epochs", "12")
    assert (plan.batch, plan.epochs) == (48, 12)


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    def command(*words: object) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as ended:
            main([*map(str, words), "--device", "cpu", "--threads", "1"])
        said = capsys.readouterr()
        return int(ended.value.code or 0), said.out, said.err

    return command


SMALL = ["--width", "16", "--heads", "2", "--layers", "1", "--epochs", "4", "--batch", "4", "--lr", "5e-3"]
LONGER = ["--epochs", "12"]  # an epoch has half of the stretches alone


def test_what_train_makes_of_phd_eval_measures(phd: tuple[Path, Path], tmp_path: Path, run: Run) -> None:
    table, features = phd
    code, out, err = run("train", table, "--features", features, "--fps", FPS, "-o", tmp_path / "b", *SMALL, *LONGER)
    assert (code, out.count("validation tau")) == (0, 1), err
    assert "training.csv: 12 users and 24 videos; features of 12" in err
    assert "the paper has 12,541 and 81,056" in err
    ours = ("eval", tmp_path / "b", "--data", table, "--features", features, "--fps", FPS, "--published", "none")
    code, out, err = run(*ours)
    assert code == 0, err
    precision = {line.split("\t")[2]: float(line.split("\t")[3]) for line in out.splitlines()}
    assert precision["mAP"] > 0.5  # 13% of the frames are chosen
    assert run("score", "nothing.flv", "--model", tmp_path / "b")[0] in (3, 4)


def test_what_train_makes_of_a_split_eval_measures(summe: tuple[Path, Path], tmp_path: Path, run: Run) -> None:
    path, splits = summe
    for number in (0, 1):
        to = tmp_path / f"split-{number}"
        assert run("train", path, "--splits", splits, "--split", number, "-o", to, *SMALL)[0] == 0
    code, out, err = run("eval", tmp_path / "split-0", tmp_path / "split-1", "--data", path, "--splits", splits)
    assert code == 0, err
    ours = [line.split("\t") for line in out.splitlines() if line.split("\t")[1].startswith("split-0 + split-1")]
    assert float(ours[0][3]) > 0.2


def test_options_of_another_kind_of_data_are_refused(
    phd: tuple[Path, Path], summe: tuple[Path, Path], run: Run
) -> None:
    for words, said in (
        ([phd[0]], "PHD needs --features DIR and --fps X"),
        ([phd[0], "--splits", summe[1]], "--splits is for TVSum and SumMe"),
        ([summe[0], "--fps", 2], "--fps is for PHD"),
        ([summe[0], "--splits", summe[1]], "--splits FILE and --split N go together"),
    ):
        code, _, err = run("train", *words, "-o", "nowhere")
        assert (code, len(err.splitlines())) == (2, 1)
        assert said in err


def test_one_video_is_too_few(phd: tuple[Path, Path], tmp_path: Path) -> None:
    (tmp_path / "training.csv").write_text("\n".join(phd[0].read_text().splitlines()[:3]) + "\n")
    with pytest.raises(DataError, match="target videos of 1 users"):
        open_phd(tmp_path / "training.csv", phd[1], FPS)


def test_videos_hold_no_counts_to_feed_id_counts(summe: tuple[Path, Path]) -> None:
    asked = train_settings(Path("data"), "--arch id-counts")
    with pytest.raises(UsageError, match="holds no counts per segment, and --arch id-counts reads nothing else"):
        dims_of(open_summaries(*summe), asked)
