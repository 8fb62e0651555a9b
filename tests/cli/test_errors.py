"""The command's outermost edge: one line for people, the documented exit code, a traceback only with --debug."""

import subprocess
import sys
from pathlib import Path

import pytest
from support.command import kuaihl

HEAVY = ("torch", "av", "transformers", "ctranslate2", "matplotlib", "onnxruntime", "faster_whisper", "numpy", "rich")


def assert_one_line(result: subprocess.CompletedProcess[str], code: int, *words: str) -> None:
    assert result.returncode == code, result.stderr
    assert result.stdout == ""
    lines = result.stderr.strip().splitlines()
    assert lines[-1].startswith("kuaihl: error: "), result.stderr
    assert len(lines) == 1, result.stderr
    for word in words:
        assert word in lines[0]


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
    ],
)
def test_options_that_cannot_be_end_with_2_before_a_model_is_loaded(
    tmp_path: Path, tiny_flv: Path, arguments: list[str], words: str
) -> None:
    assert_one_line(kuaihl("score", str(tiny_flv), "-o", str(tmp_path / "out"), *arguments), 2, words)


@pytest.mark.parametrize("option", [["--clips"], ["--frames", "exact"]])
def test_what_needs_a_file_is_refused_for_a_stream(option: list[str], tmp_path: Path) -> None:
    result = kuaihl("score", "rtmp://127.0.0.1:1/live/x", "-o", str(tmp_path / "out"), *option)
    assert_one_line(result, 2, option[0], "rtmp://127.0.0.1:1/live/x")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["score", "x.flv", "--nonsense"], ["--nonsense", "kuaihl score --help"]),
        (["score"], ["SOURCE", "kuaihl score --help"]),
        (["score", "x.flv", "--asr", "ears"], ["--asr", "ctranslate2"]),
        (["scroe"], ["scroe", "kuaihl --help"]),
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


def test_a_broken_configuration_file_is_named(tmp_path: Path) -> None:
    config = tmp_path / "config.toml"
    config.write_text("[score\n")
    assert_one_line(kuaihl("doctor", KUAIHL_CONFIG=str(config)), 2, "config.toml")


def test_the_configuration_file_sets_defaults(tmp_path: Path) -> None:
    config = tmp_path / "config.toml"
    config.write_text('[score]\nformats = "docx"\n')
    fake = tmp_path / "x.flv"
    fake.write_bytes(b"")
    assert_one_line(kuaihl("score", str(fake), KUAIHL_CONFIG=str(config)), 2, "docx")
