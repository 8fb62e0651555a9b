"""The command's outermost edge: one line for people, the documented exit code, a traceback only with --debug."""

import subprocess
import sys
from pathlib import Path

import pytest
from support.command import assert_one_line, kuaihl

HEAVY = (
    "torch",
    "av",
    "transformers",
    "ctranslate2",
    "matplotlib",
    "onnxruntime",
    "faster_whisper",
    "numpy",
    "pydantic",
)


def test_help_names_every_command_and_imports_nothing_heavy() -> None:
    result = kuaihl("--help")
    assert result.returncode == 0
    for name in ("score", "batch", "doctor", "cold-start"):
        assert name in result.stdout
    check = (
        "import sys; sys.argv = ['kuaihl', '--help']\n"
        "from kuaihl_cli.main import main\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        f"print([name for name in {HEAVY} if name in sys.modules])"
    )
    listed = subprocess.run([sys.executable, "-c", check], capture_output=True, text=True, timeout=60)
    assert listed.stdout.splitlines()[-1] == "[]"


def test_a_missing_file_is_named_and_ends_with_3(tmp_path: Path) -> None:
    assert_one_line(kuaihl("score", "nowhere.flv", "-o", str(tmp_path)), 3, "nowhere.flv")


def test_a_text_file_named_flv_ends_with_3(tmp_path: Path) -> None:
    fake = tmp_path / "notes.flv"
    fake.write_text("this is not a stream\n" * 50)
    assert_one_line(kuaihl("score", str(fake), "-o", str(tmp_path / "out")), 3, "notes.flv")


def test_a_folder_is_left_to_batch(tmp_path: Path) -> None:
    said = "name a file in it, or score all of it: kuaihl batch . --output OUT"
    assert_one_line(kuaihl("score", ".", "-o", str(tmp_path / "out")), 3, ".: a directory; ", said)


def test_a_missing_bundle_ends_with_4(tmp_path: Path, tiny_flv: Path) -> None:
    result = kuaihl("score", str(tiny_flv), "-o", str(tmp_path / "out"), "--model", "nowhere")
    assert_one_line(result, 4, "nowhere", "bundle")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--format", "docx"], "--format docx: unknown; choose from csv, srt, vtt"),
        (["--comments", "missing.xml"], "missing.xml"),
        (["--comments", "-"], "comments are read from a file"),
    ],
)
def test_options_that_cannot_be_end_with_2_before_a_model_is_loaded(
    tmp_path: Path, tiny_flv: Path, arguments: list[str], words: str
) -> None:
    assert_one_line(kuaihl("score", str(tiny_flv), "-o", str(tmp_path / "out"), *arguments), 2, words)


@pytest.mark.parametrize(
    "option", [["--exact", "--clips"], ["--frames", "exact"], ["--start", "1:00"], ["--end", "90"]]
)
def test_what_needs_a_file_is_refused_for_a_stream(option: list[str], tmp_path: Path) -> None:
    result = kuaihl("score", "rtmp://127.0.0.1:1/live/x", "-o", str(tmp_path / "out"), *option)
    assert_one_line(result, 2, option[0], "rtmp://127.0.0.1:1/live/x")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["score", "x.flv", "--nonsense"], ["--nonsense", "kuaihl score --help"]),
        (["score"], ["SOURCE", "kuaihl score --help"]),
        (["score", "x.flv", "--asr", "ears"], ["--asr", "ctranslate2"]),
        (["scroe"], ["scroe", "Did you mean 'score'?", "kuaihl --help"]),
        (["score", "x.flv", "--langauge", "en"], ["--langauge", "did you mean --language?", "kuaihl score --help"]),
        (["dataset", "biuld"], ["biuld", "Did you mean 'build'?", "kuaihl dataset --help"]),
        (["score", "x.flv", "--segment-seconds", "1:75"], ["--segment-seconds", "'1:75' is not a time"]),
        (["score", "x.flv", "--segment-seconds", "1"], ["--segment-seconds", "from 2 s to 300 s"]),
        (["score", "x.flv", "--start", "2:00", "--end", "1:00"], ["--end", "not after --start"]),
        (["score", "x.flv", "--comments", "c.xml", "--no-comments"], ["--comments", "--no-comments"]),
        (["score", "x.flv", "--asr", "none", "--language", "zh"], ["--asr none", "--language"]),
        (["score", "x.flv", "y.flv", "--comments", "c.xml"], ["--comments is of one recording"]),
        (["train", "x", "-o", "y", "--fps", "0"], ["--fps", "above 0"]),
    ],
)
def test_a_mistyped_command_line_is_one_line_that_names_the_help(arguments: list[str], words: list[str]) -> None:
    assert_one_line(kuaihl(*arguments), 2, *words)


def test_outputs_of_an_earlier_run_are_not_overwritten_unasked(tmp_path: Path, tiny_flv: Path) -> None:
    (tmp_path / "scores.jsonl").write_text("precious\n")
    assert_one_line(kuaihl("score", str(tiny_flv), "-o", str(tmp_path)), 2, "--force", "scores.jsonl")
    assert (tmp_path / "scores.jsonl").read_text() == "precious\n"


def test_debug_shows_the_traceback(tmp_path: Path) -> None:
    result = kuaihl("score", "nowhere.flv", "-o", str(tmp_path), "--debug")
    assert "Traceback" in result.stderr


def test_a_device_that_torch_does_not_have_is_one_line(tmp_path: Path, tiny_flv: Path) -> None:
    import torch

    if torch.backends.mps.is_available():
        pytest.skip("this machine has an Apple GPU")
    result = kuaihl("score", str(tiny_flv), "-o", str(tmp_path / "out"), "--device", "mps")
    assert_one_line(result, 2, "--device mps", "no Apple GPU")


def test_a_closed_pipe_is_no_error() -> None:
    command = f"{sys.executable} -m kuaihl_cli doctor | head -n 1"
    result = subprocess.run(["bash", "-c", f"set -o pipefail; {command}"], capture_output=True, text=True, timeout=120)
    assert result.stderr == ""


def test_a_log_has_what_happened_and_the_error(tmp_path: Path) -> None:
    log = tmp_path / "run.log"
    result = kuaihl("score", "nowhere.flv", "-o", str(tmp_path / "out"), "--log-file", str(log))
    assert_one_line(result, 3, "nowhere.flv")
    (line,) = log.read_text(encoding="utf-8").splitlines()
    assert "ERROR kuaihl: nowhere.flv: no such file" in line


def test_a_log_that_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    result = kuaihl("doctor", "--log-file", str(tmp_path / "no" / "run.log"))
    assert_one_line(result, 2, "run.log", "cannot be written")
