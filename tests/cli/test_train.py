"""`kuaihl train` as a person runs it: processes of their own, real signals, real launchers."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import get_args

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file
from support.small_dataset import break_room, small_dataset
from support.train_options import train_settings

from kuaihl.models.bundle import FACTS_FILE, HEAD_FILE, load_bundle
from kuaihl.models.data.klive import open_klive
from kuaihl.models.errors import ModelError, UsageError
from kuaihl.models.losses.objective import Objective
from kuaihl.models.training.network_size import SIZE_NAMES
from kuaihl.models.training.plan import TrainingPlan
from kuaihl_cli.commands.train import plan_of
from kuaihl_cli.commands.train_settings import Size
from kuaihl_cli.main import main

NETWORK = ["--width", "16", "--heads", "2", "--layers", "2", "--window", "5"]
SMALL = [*NETWORK, "--batch", "24", "--lr", "3e-3", "--device", "cpu", "--threads", "1"]
TWO = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
COMMAND = [sys.executable, "-m", "kuaihl_cli", "train"]


def run(*arguments: str | Path, launcher: list[str] | None = None) -> subprocess.CompletedProcess[str]:
    command = [*(launcher or [sys.executable]), "-m", "kuaihl_cli", "train", *SMALL, *map(str, arguments)]
    return subprocess.run(
        command, capture_output=True, text=True, timeout=120, env=os.environ | {"OMP_NUM_THREADS": "1"}
    )


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return small_dataset(tmp_path_factory.mktemp("klive"))


@pytest.fixture(scope="module")
def trained(dataset: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, subprocess.CompletedProcess[str]]:
    folder = tmp_path_factory.mktemp("trained")
    return folder / "bundle", run(dataset, "-o", folder / "bundle", "--epochs", 2, "--tensorboard", folder / "board")


def test_it_writes_a_bundle_that_says_how_it_came_about(
    trained: tuple[Path, subprocess.CompletedProcess[str]], dataset: Path
) -> None:
    path, result = trained
    assert result.returncode == 0, result.stderr
    bundle = load_bundle(path)
    assert bundle.network().dims.width == 16
    assert bundle.profile == "edge"
    assert bundle.label.min_views == 60
    assert bundle.licence_data == "made for a test"
    assert bundle.streamers
    assert set(bundle.score_quantiles) >= {"0.5", "0.9"}
    assert bundle.metrics["command"].startswith("kuaihl train ")
    assert str(dataset) in bundle.metrics["command"]
    assert bundle.metrics["validation"]["tau"] == max(epoch["tau"] for epoch in bundle.metrics["history"])
    objective = bundle.metrics["plan"]["objective"]
    assert (objective["point"], objective["align"], objective["pair"]) == (0.65, 0.15, 0.20)
    assert (objective["pair_variant"], objective["pair_mean"]) == ("pair1", "counted")
    assert bundle.metrics["data"]["rooms"]["validation"] == 3


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("", Objective(point=0.65, align=0.15, pair=0.20, pair_variant="pair1", pair_mean="counted")),
        ("--loss-weights 0.5 0.3 0.1", Objective(point=0.5, align=0.3, pair=0.1)),  # as in equation 13
        ("--pair pair3 --pair-mean all", Objective(pair_variant="pair3", pair_mean="all")),
        ("--pair off --align align_noswap", Objective(pair=0.0, align_variant="align_noswap")),
        ("--align off --pair pair2", Objective(align=0.0, pair_variant="pair2")),
    ],
)
def test_options_choose_the_terms_of_equation_13(dataset: Path, words: str, expected: Objective) -> None:
    given = train_settings(dataset, words)
    assert plan_of(open_klive(dataset), given).objective == expected


@pytest.mark.parametrize("words", ["--pair pair3", "--pair-mean all", "--align off", "--loss-weights 1 0 0"])
def test_a_baseline_has_its_own_loss_and_takes_none_of_ours(dataset: Path, words: str) -> None:
    given = train_settings(dataset, f"--arch pac-net {words}")
    with pytest.raises(UsageError, match="are for --arch kuaihl; pac-net has its own loss"):
        plan_of(open_klive(dataset), given)


def test_it_tells_the_losses_on_standard_error_line_by_line(
    trained: tuple[Path, subprocess.CompletedProcess[str]],
) -> None:
    _, result = trained
    assert "\x1b" not in result.stderr
    assert "point " in result.stderr
    assert "epoch 2  loss " in result.stderr
    assert len(result.stdout.splitlines()) == 1
    assert "validation tau" in result.stdout


def test_the_log_and_tensorboard_hold_the_losses_and_the_taus(
    trained: tuple[Path, subprocess.CompletedProcess[str]],
) -> None:
    path, _ = trained
    lines = [json.loads(line) for line in (path.with_name("bundle.training") / "log.jsonl").read_text().splitlines()]
    steps, epochs = [line for line in lines if "step" in line], [line for line in lines if "tau" in line]
    assert steps[-1]["step"] == steps[-1]["steps"]
    assert [line["epoch"] for line in epochs] == [1, 2]
    events = b"".join(file.read_bytes() for file in (path.parent / "board").iterdir())
    for tag in (b"loss/total", b"loss/align", b"validation/tau"):
        assert tag in events


def test_a_second_run_does_not_overwrite_the_first_unasked(
    trained: tuple[Path, subprocess.CompletedProcess[str]], dataset: Path
) -> None:
    path, _ = trained
    before = (path / FACTS_FILE).read_bytes()
    result = run(dataset, "-o", path)
    assert result.returncode == 2
    assert "--resume" in result.stderr
    assert (path / FACTS_FILE).read_bytes() == before


@pytest.mark.parametrize("harm", ["nan", "label", "missing"])
def test_bad_data_is_one_line_naming_room_and_row_and_ends_with_3(
    tmp_path: Path, harm: str, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = small_dataset(tmp_path / "klive")
    room = break_room(folder, harm, split="train", row=7)
    with pytest.raises(SystemExit) as ended:
        main(["train", str(folder), "-o", str(tmp_path / "bundle"), *NETWORK, "--device", "cpu", "--quiet"])
    assert ended.value.code == 3
    said = capsys.readouterr()
    assert said.out == ""
    (line,) = said.err.splitlines()
    assert line.startswith("kuaihl: error: ")
    assert room in line
    assert harm == "missing" or "row 7" in line


def test_the_linear_model_is_fitted_in_one_go(dataset: Path, tmp_path: Path) -> None:
    command = [*COMMAND, str(dataset), "-o", str(tmp_path / "bundle"), "--arch", "linear"]
    result = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert result.returncode == 0, result.stderr
    bundle = load_bundle(tmp_path / "bundle")
    bundle.check_streams()
    assert (bundle.architecture, bundle.dims.width, bundle.dims.window) == ("linear", 64, 4)
    assert bundle.metrics["validation"]["tau"] > 0.4


def plan_said(dataset: Path, words: str) -> TrainingPlan:
    return plan_of(open_klive(dataset), train_settings(dataset, f"-q {words}"))


def test_edge_features_take_a_size_that_suits_the_labels_and_train_until_nothing_gets_better(dataset: Path) -> None:
    """8 rooms of 25 segments have fewer than 3,000 labels: the small network."""
    plan = plan_said(dataset, "")
    assert (plan.dims.width, plan.dims.layers, plan.dims.dropout, plan.weight_decay) == (64, 1, 0.5, 1.0)
    assert (plan.patience, plan.validate_every, plan.judged_by) == (12, "auto", "tau_per_room")
    own = plan_said(dataset, "--width 32 --dropout 0.25 --weight-decay 0 --patience 3 --validate-every 7 --lr 0.01")
    assert (own.dims.width, own.dims.heads, own.dims.dropout, own.weight_decay) == (32, 2, 0.25, 0.0)
    assert (own.patience, own.validate_every, own.learning_rate) == (3, 7, 0.01)
    assert plan_said(dataset, "--size large").dims.width == 256


def test_the_profile_s_own_size_has_the_paper_s_schedule(dataset: Path) -> None:
    plan = plan_said(dataset, "--size profile")
    assert (plan.dims.width, plan.dims.layers, plan.dims.dropout) == (256, 3, 0.1)
    assert (plan.epochs, plan.batch, plan.learning_rate, plan.weight_decay) == (12, 48, 5e-5, 0.0)
    assert (plan.patience, plan.validate_every, plan.judged_by) == (None, "epoch", "tau")


def test_so_many_epochs_are_so_many(dataset: Path) -> None:
    plan = plan_said(dataset, "--epochs 3")
    assert (plan.epochs, plan.patience, plan.validate_every) == (3, None, "epoch")


def test_a_bundle_is_begun_from_and_named(
    trained: tuple[Path, subprocess.CompletedProcess[str]], dataset: Path, tmp_path: Path
) -> None:
    path, _ = trained
    words = ["--from", str(path), "--epochs", "1", "--device", "cpu", "--threads", "1"]
    result = subprocess.run(
        [*COMMAND, str(dataset), "-o", str(tmp_path / "tuned"), *words], capture_output=True, text=True, timeout=120
    )
    assert result.returncode == 0, result.stderr
    tuned, source = load_bundle(tmp_path / "tuned"), load_bundle(path)
    assert tuned.metrics["from"] == {"bundle": str(path), "head_sha256": source.head_sha256}
    assert (tuned.dims.width, tuned.metrics["plan"]["learning_rate"]) == (16, 1e-4)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("--from edge --width 32", "--width: what begins --from a bundle keeps the bundle's"),
        ("--from edge --arch pac-net", "--from is for --arch kuaihl, not pac-net"),
        ("--size small --arch pac-net", "--size small is for --arch kuaihl"),
    ],
)
def test_what_does_not_go_together_is_told(dataset: Path, words: str, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        plan_said(dataset, words)


def test_a_bundle_of_other_encoders_is_no_start(dataset: Path) -> None:
    with pytest.raises(ModelError, match="reads vision of EfficientNet-Lite2, the data set has it of drawn"):
        plan_said(dataset, "--from edge")


@pytest.mark.parametrize(("words", "named"), [("--epochs 3", "--epochs"), ("--validate-every 5", "--validate-every")])
def test_the_linear_model_takes_no_schedule(dataset: Path, words: str, named: str) -> None:
    given = train_settings(dataset, f"--arch linear {words}")
    with pytest.raises(UsageError, match=f"{named}: --arch linear is solved in closed form"):
        plan_of(open_klive(dataset), given)


def test_what_holds_no_counts_cannot_feed_id_counts(dataset: Path, tmp_path: Path) -> None:
    result = run(dataset, "-o", tmp_path / "bundle", "--arch", "id-counts")
    assert result.returncode == 3
    (said,) = [line for line in result.stderr.splitlines() if "error" in line]
    assert "has no counts per segment; see docs/datasets.md" in said


def test_rooms_without_a_word_are_learned_from(tmp_path: Path) -> None:
    """As of recordings without comments that were encoded with `--asr none`: their text is zeros, or one vector."""
    for number, value in enumerate((0.0, 0.5)):
        mute = small_dataset(tmp_path / f"mute{number}")
        for file in (mute / "rooms").iterdir():
            arrays = load_file(file)
            silent = {name: np.full_like(array, value) for name, array in arrays.items() if name.startswith("text")}
            save_file(arrays | silent, file)
        result = run(mute, "-o", tmp_path / f"bundle{number}", "--epochs", 1)
        assert result.returncode == 0, result.stderr
        assert "nan" not in result.stderr.lower()
        bundle = load_bundle(tmp_path / f"bundle{number}")
        assert all(bool(weights.isfinite().all()) for weights in bundle.network().state_dict().values())
        assert 0.0 <= bundle.metrics["validation"]["loss"] < 10.0


@pytest.mark.slow
def test_ctrl_c_saves_and_resume_ends_with_the_bundle_of_a_run_never_interrupted(
    trained: tuple[Path, subprocess.CompletedProcess[str]], dataset: Path, tmp_path: Path
) -> None:
    arguments = [str(dataset), "-o", str(tmp_path / "bundle"), "--epochs", "2", *SMALL]
    process = subprocess.Popen(
        [*COMMAND, *arguments], stderr=subprocess.PIPE, text=True, env=os.environ | {"OMP_NUM_THREADS": "1"}
    )
    log = tmp_path / "bundle.training" / "log.jsonl"
    give_up = time.monotonic() + 120
    while not log.exists() and process.poll() is None and time.monotonic() < give_up:
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=120)
    assert process.returncode == 130, said
    last = said.splitlines()[-1]
    assert last.startswith("stopped")
    assert "--resume" in last
    result = run(*arguments[:5], "--resume")
    assert result.returncode == 0, result.stderr
    path, _ = trained
    assert (tmp_path / "bundle" / HEAD_FILE).read_bytes() == (path / HEAD_FILE).read_bytes()
    whole = (path.with_name("bundle.training") / "log.jsonl").read_text()
    assert log.read_text() == whole


@pytest.mark.slow
def test_two_processes_of_24_learn_what_one_of_48_learns(dataset: Path, tmp_path: Path) -> None:
    """Each has its own draws, so dropout's and the alignment's noise differ: the losses only nearly agree."""
    losses = {}
    for name, how in (("one", None), ("two", TWO)):
        result = run(dataset, "-o", tmp_path / name, "--epochs", 2, "--batch", 48, launcher=how)
        assert result.returncode == 0, result.stderr
        assert result.stdout.count("validation tau") == 1
        assert result.stderr.count("--size chooses another") == 1
        history = load_bundle(tmp_path / name).metrics["history"]
        losses[name] = [epoch["loss"] for epoch in history]
    assert losses["one"] != losses["two"]  # there really were two
    assert losses["two"] == pytest.approx(losses["one"], rel=0.03)


def test_a_rule_of_samples_is_for_live_rooms(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["train", str(tmp_path / "phd.csv"), "-o", str(tmp_path / "bundle"), "--samples", "recent"])
    assert ended.value.code == 2
    assert "--samples is for data sets of live rooms" in capsys.readouterr().err


def test_a_batch_that_processes_cannot_share_is_refused(dataset: Path, tmp_path: Path) -> None:
    result = run(dataset, "-o", tmp_path / "bundle", "--batch", 25, launcher=TWO)
    assert result.returncode != 0
    assert "--batch 25: cannot be shared out evenly among 2 processes" in result.stderr


@pytest.mark.slow
def test_of_two_processes_one_writes_the_linear_model(dataset: Path, tmp_path: Path) -> None:
    command = [*TWO, *COMMAND[1:], str(dataset), "-o", str(tmp_path / "bundle"), "--arch", "linear", "--device", "cpu"]
    result = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert result.returncode == 0, result.stderr
    assert result.stdout.count("validation tau") == 1
    assert len((tmp_path / "bundle.training" / "log.jsonl").read_text().splitlines()) == 1


def test_help_imports_nothing_heavy() -> None:
    check = (
        "import sys; sys.argv = ['kuaihl', 'train', '--help']\n"
        "from kuaihl_cli.main import main\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        "print([name for name in ('torch', 'numpy', 'accelerate', 'pyarrow') if name in sys.modules])"
    )
    listed = subprocess.run([sys.executable, "-c", check], capture_output=True, text=True, timeout=60)
    assert "--resume" in listed.stdout
    assert listed.stdout.splitlines()[-1] == "[]"


def test_its_sizes_are_those_of_the_models() -> None:
    assert get_args(Size) == SIZE_NAMES


def test_help_shows_its_options_by_topic(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["train", "--help"])
    shown = capsys.readouterr().out
    assert shown.index("Losses") < shown.index("--loss-weights") < shown.index("Schedule") < shown.index("--epochs")
