"""Where an option's value comes from: the command line, a variable, the configuration file, the default."""

import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import pytest
import typer
from support.command import assert_one_line, kuaihl
from typer.testing import CliRunner

from kuaihl.models.errors import UsageError
from kuaihl_cli.command import application, read_settings
from kuaihl_cli.config import _read_config
from kuaihl_cli.main import COMMANDS, load_command


def scored(tmp_path: Path, *words: str, config: str = "", **variables: str) -> "subprocess.CompletedProcess[str]":
    """`kuaihl score` of a file that is empty, so that options are read and nothing is loaded."""
    (tmp_path / "config.toml").write_text(config, encoding="utf-8")
    (tmp_path / "x.flv").touch()
    return kuaihl("score", str(tmp_path / "x.flv"), *words, KUAIHL_CONFIG=str(tmp_path / "config.toml"), **variables)


def test_a_broken_configuration_file_is_named(tmp_path: Path) -> None:
    assert_one_line(scored(tmp_path, config="[score\n"), 2, "config.toml", "not valid TOML")


@pytest.mark.parametrize("text", ["a = " + "[" * 5000, "a = " + "9" * 5000, "a = \xff", "[" * 5000, "a = 1979-99-99"])
def test_a_hostile_configuration_file_is_one_line(text: str, tmp_path: Path) -> None:
    (tmp_path / "config.toml").write_bytes(text.encode("latin-1"))
    with pytest.raises(UsageError, match=r"config\.toml is not valid TOML") as caught:
        _read_config(tmp_path / "config.toml")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("key", ["format", "formats"])
def test_the_configuration_file_sets_defaults(tmp_path: Path, key: str) -> None:
    assert_one_line(scored(tmp_path, config=f'[score]\n{key} = "docx"\n'), 2, "docx")


def test_an_option_wins_over_a_variable_and_a_variable_over_the_file(tmp_path: Path) -> None:
    config = '[score]\nformat = "of-file"\n'
    assert_one_line(scored(tmp_path, config=config), 2, "of-file")
    assert_one_line(scored(tmp_path, config=config, KUAIHL_FORMAT="of-variable"), 2, "of-variable")
    assert_one_line(scored(tmp_path, "-f", "typed", config=config, KUAIHL_FORMAT="of-variable"), 2, "typed")


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ('[score]\ndevcie = "cpu"\n', ["[score] has no option devcie", "did you mean device?"]),
        ("[score]\nzzz = 1\n", ["[score] has no option zzz", "its options are", "segment_seconds"]),
        ('[scroe]\ndevice = "cpu"\n', ["the table [scroe]", "did you mean score?"]),
        ('device = "cpu"\n', ["the key device"]),
        ('score = "cpu"\n', ["give its options in a table [score]"]),
        ("[dataset]\njobs = 2\n[score]\nx = 1\n", ["[score] has no option x"]),
    ],
)
def test_what_nothing_reads_is_an_error_with_the_nearest_name(tmp_path: Path, config: str, words: list[str]) -> None:
    assert_one_line(scored(tmp_path, config=config), 2, "config.toml", *words)


def test_a_group_s_commands_have_tables_of_their_own(tmp_path: Path) -> None:
    config = tmp_path / "config.toml"
    config.write_text('[dataset.build]\nlabels = "cuts"\n[dataset.validte]\n', encoding="utf-8")
    command = ["dataset", "build", str(tmp_path), "-o", str(tmp_path / "out"), "--config", str(config)]
    assert_one_line(kuaihl(*command), 2, "the table [dataset.validte]", "did you mean validate?")


def test_a_named_file_must_be_there(tmp_path: Path) -> None:
    assert_one_line(kuaihl("doctor", "--config", str(tmp_path / "none.toml")), 2, "none.toml", "cannot be read")
    assert_one_line(kuaihl("doctor", KUAIHL_CONFIG=str(tmp_path / "none.toml")), 2, "none.toml", "cannot be read")


def test_the_named_file_wins_over_the_usual_one(tmp_path: Path) -> None:
    (tmp_path / "kuaihl").mkdir()
    (tmp_path / "kuaihl" / "config.toml").write_text('[score]\nformat = "usual"\n')
    (tmp_path / "own.toml").write_text('[score]\nformat = "named"\n')
    (tmp_path / "x.flv").touch()
    home = {"XDG_CONFIG_HOME": str(tmp_path)}
    assert_one_line(kuaihl("score", str(tmp_path / "x.flv"), **home), 2, "usual")
    result = kuaihl("score", str(tmp_path / "x.flv"), "--config", str(tmp_path / "own.toml"), **home)
    assert_one_line(result, 2, "named")


def test_a_bad_value_is_told_with_its_origin(tmp_path: Path) -> None:
    result = scored(tmp_path, config='[score]\nsegment-seconds = "long"\n')
    assert_one_line(result, 2, "--segment-seconds", "'long' is not a time", "in the configuration file")
    result = scored(tmp_path, KUAIHL_THREADS="many")
    assert_one_line(result, 2, "--threads", "in the variable KUAIHL_THREADS")


@pytest.mark.parametrize("name", COMMANDS)
def test_every_option_has_its_variable(name: str) -> None:
    command = load_command(name)
    commands = command.commands.values() if name == "dataset" else [command]
    for one in commands:
        for option in (found for found in one.params if found.param_type_name == "option"):
            long = next(word for word in option.opts if word.startswith("--"))
            assert option.envvar == "KUAIHL_" + long[2:].replace("-", "_").upper()


def test_times_lists_and_flags_come_from_variables() -> None:
    found = []

    @dataclass(frozen=True, kw_only=True)
    class Settings:
        name: Annotated[tuple[str, ...], typer.Option("--name", help="Names.")] = ()
        force: Annotated[bool, typer.Option("--force", help="Force.")] = False

    app = application()

    @app.command()
    @read_settings(Settings)
    def command(settings: Settings) -> None:
        found.append(settings)

    variables = {"KUAIHL_NAME": "a b", "KUAIHL_FORCE": "1"}
    assert CliRunner().invoke(app, [], env=variables).exit_code == 0
    assert found == [Settings(name=("a", "b"), force=True)]
