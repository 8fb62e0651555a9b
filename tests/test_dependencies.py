"""Every package that the code imports is declared in pyproject with a range: directly, not by favour of another."""

import ast
import re
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.paths import REPOSITORY

OURS = {"kuaihl", "kuaihl_cli"}
FOLDERS = [folder for folder in ("api", "engines", "models", "kuaihl_cli") if (REPOSITORY / folder).is_dir()]
# Import names that are not their distribution's in lower case with "-" for "_".
DISTRIBUTIONS = {"PIL": "pillow", "nats": "nats-py", "whisper": "openai-whisper", "yaml": "pyyaml"}


def declared() -> dict[str, list[str]]:
    """The requirements of pyproject by the name of their distribution: "pillow" -> ["pillow>=10,<14", …]."""
    project: dict[str, Any] = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    found: dict[str, list[str]] = {}
    for requirement in sum(project["optional-dependencies"].values(), project["dependencies"]):
        name = re.split(r"[^\w.-]", requirement)[0]
        found.setdefault(distribution(name), []).append(requirement)
    return found


def distribution(module: str) -> str:
    return DISTRIBUTIONS.get(module, module.lower().replace("_", "-"))


def imports() -> Iterator[tuple[str, Path]]:
    """Every top-level package that a file of ours imports from somebody else, wherever in the file."""
    for file in (file for folder in FOLDERS for file in sorted((REPOSITORY / folder).rglob("*.py"))):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            modules = [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            modules += [name.name for name in node.names] if isinstance(node, ast.Import) else []
            for module in (module.split(".")[0] for module in modules):
                if module not in OURS and module not in sys.stdlib_module_names:
                    yield module, file


def test_every_import_is_declared() -> None:
    known = declared()
    assert "torch" in known, "the requirements were read"
    missing = {
        f"{file.relative_to(REPOSITORY)}: {module}" for module, file in imports() if distribution(module) not in known
    }
    assert not missing, "\n".join(sorted(missing))


def test_every_import_of_the_tables_is_found() -> None:
    found = {module for module, _ in imports()}
    assert {"torch", "huggingface_hub", "ctranslate2", *DISTRIBUTIONS} <= found


@pytest.mark.parametrize("name", sorted(declared()))
def test_every_requirement_has_a_range(name: str) -> None:
    for requirement in declared()[name]:
        if name not in OURS:
            assert re.search(r"[=~>]=?\s*\d", requirement), f"{requirement}: says no version"
