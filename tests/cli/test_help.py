"""What `--help` shows, how soon, and that shells can complete what it names."""

import resource
import subprocess
import sys

import pytest
from support.command import kuaihl

from kuaihl_cli.main import COMMANDS, load_command

SECONDS = 0.3  # of processor time, the interpreter's included; on an idle machine that is the wall clock's
BARE = 0.01  # of which the interpreter alone takes so many there; a busy machine is slower in proportion


def processor_seconds(*command: str) -> float:
    """The least of several runs, for a machine is never quite idle."""
    least = float("inf")
    for _ in range(5):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run(command, capture_output=True, check=True, timeout=60)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        least = min(least, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    return least


def test_help_comes_at_once() -> None:
    slower = max(1.0, processor_seconds(sys.executable, "-c", "pass") / BARE)
    assert processor_seconds(sys.executable, "-m", "kuaihl_cli", "--help") < SECONDS * slower


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_is_listed_with_a_line_and_documents_each_option(name: str) -> None:
    command = load_command(name)
    assert COMMANDS[name].help.endswith(".")
    assert command.name == name
    for one in command.commands.values() if name == "dataset" else [command]:
        assert one.help
        assert all(option.help.endswith((".", ")")) for option in one.params if option.name != "help"), one.name


def test_help_imports_no_command() -> None:
    check = (
        "import sys; sys.argv = ['kuaihl', '--help']\n"
        "from kuaihl_cli.main import main\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        "print([name for name in sys.modules if name.startswith('kuaihl_cli.commands')])"
    )
    listed = subprocess.run([sys.executable, "-c", check], capture_output=True, text=True, timeout=60)
    assert listed.stdout.splitlines()[-1] == "[]"


def test_help_fits_a_terminal_of_80_columns_and_has_its_panels() -> None:
    shown = kuaihl("score", "--help", COLUMNS="80").stdout
    assert max(map(len, shown.splitlines())) <= 80
    for panel in ("Options", "Comments", "Highlights and outputs", "Model and engine", "Configuration and log"):
        assert f"╭─ {panel} ─" in shown


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_a_shell_is_given_its_completion_script(shell: str) -> None:
    script = kuaihl(_KUAIHL_COMPLETE=f"source_{shell}")
    assert script.returncode == 0
    assert f"_KUAIHL_COMPLETE=complete_{shell}" in script.stdout
    assert "Error" not in script.stderr


@pytest.mark.parametrize(
    ("typed", "word", "expected"),
    [
        ("kuaihl sc", "1", ["score"]),
        ("kuaihl dataset bu", "2", ["build"]),
        ("kuaihl score --min", "2", ["--min-score"]),
        ("kuaihl score --asr ct", "3", ["ctranslate2"]),
    ],
)
def test_bash_completes_commands_options_and_values(typed: str, word: str, expected: list[str]) -> None:
    asked = {"_KUAIHL_COMPLETE": "complete_bash", "COMP_WORDS": typed, "COMP_CWORD": word}
    assert kuaihl(**asked).stdout.split() == expected


@pytest.mark.parametrize("words", [[], ["dataset"]])
def test_a_group_without_a_command_shows_its_help_and_ends_with_2(words: list[str]) -> None:
    result = kuaihl(*words)
    assert (result.returncode, result.stderr) == (2, "")
    assert "Usage: kuaihl" in result.stdout
