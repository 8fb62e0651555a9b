"""SKILL.md, which agents read in place of the pages: its head keeps to the format, its tables to the code."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from kuaihl.models import errors
from kuaihl.models.errors import KuaihlError

ROOT = Path(__file__).resolve().parents[2]
SKILL = ROOT / "skills" / "kuaihl" / "SKILL.md"
TEXT = SKILL.read_text(encoding="utf-8")


def section(heading: str, text: str = TEXT) -> str:
    """The text under one heading."""
    return re.split(r"^## ", text.split(f"\n## {heading}\n")[1], flags=re.MULTILINE)[0]


def keys_named(text: str) -> set[str]:
    """What stands as code in the first column of the text's tables."""
    rows = re.findall(r"^\| (`.*?) \|", text, flags=re.MULTILINE)
    return {key for row in rows for key in re.findall(r"`([^`]+)`", row)}


def exit_codes(text: str) -> set[int]:
    return {int(code) for code in re.findall(r"^\| (\d+) \|", text, flags=re.MULTILINE)}


def test_its_head_keeps_to_the_format_of_agent_skills() -> None:
    """https://agentskills.io/specification: name as the folder, description of 1,024 characters."""
    head = dict(re.findall(r"^([a-z-]+): (.+)$", TEXT.split("---\n")[1], flags=re.MULTILINE))
    assert head["name"] == SKILL.parent.name
    assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", head["name"])
    assert len(head["description"]) <= 1024
    assert len(head["compatibility"]) <= 500


@pytest.mark.parametrize("page", [SKILL, ROOT / "docs" / "exit-codes.md"], ids=lambda page: str(page.name))
def test_the_exit_codes_are_those_of_the_errors(page: Path) -> None:
    classes = [found for found in vars(errors).values() if isinstance(found, type) and issubclass(found, KuaihlError)]
    known = {found.exit_code for found in classes}
    assert exit_codes(page.read_text(encoding="utf-8")) == {0, 130, *known}


def test_the_keys_of_both_outputs_are_those_of_their_schemas() -> None:
    document, line = section("Output").split("`out/scores.jsonl`")
    for text, name in ((document, "highlights"), (line, "scores")):
        schema = json.loads((ROOT / "docs" / f"{name}.schema.json").read_text(encoding="utf-8"))
        assert keys_named(text) == set(schema["properties"])


def test_every_option_that_it_names_is_one_of_score() -> None:
    options = set(re.findall(r"(?<![\w-])--[a-z][a-z-]*", section("Commands"))) - {"--jobs"}  # of batch
    command = [sys.executable, "-m", "kuaihl_cli", "score", "--help"]
    environment = {**os.environ, "COLUMNS": "200"}
    help_text = subprocess.run(command, capture_output=True, text=True, check=True, env=environment).stdout
    assert options
    assert not {option for option in options if not re.search(rf"{option}\b", help_text)}
