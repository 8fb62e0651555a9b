"""Imports run one way: down the floors of docs/architecture.md, and from the command to engines to models."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.paths import REPOSITORY

from kuaihl_cli.main import COMMANDS

# Each folder, and the folders that its files may import; imports inside functions and for typing count too.
ENGINES = {
    "": set(),  # types, one_line, read_ahead, overload
    "weights": set(),
    "stores": set(),
    "archive": {"", "outputs", "stores"},
    "ingest": {"", "stores"},
    "comments": {"", "stores"},
    "highlights": {"", "ingest"},
    "runtimes": {"weights"},
    "speech": {"", "weights"},
    "segmenter": {"", "ingest"},
    "encoders": {"", "comments", "runtimes", "speech", "weights"},
    "cold_start": {"", "encoders", "weights"},
    "outputs": {"", "highlights", "stores"},
    "sinks": {"", "highlights", "outputs"},
    "scoring": {
        "", "archive", "comments", "encoders", "highlights", "ingest", "outputs", "runtimes", "segmenter", "sinks",
        "stores",
    },
    "serving": {
        "", "archive", "encoders", "highlights", "ingest", "outputs", "runtimes", "scoring", "segmenter", "sinks",
        "speech",
    },
    "datasets": {"", "archive", "comments", "encoders", "ingest", "outputs", "segmenter", "weights"},
    "export": {
        "", "cold_start", "comments", "encoders", "ingest", "runtimes", "scoring", "segmenter", "speech", "weights",
    },
}  # fmt: skip
MODELS = {
    "": set(),  # errors, credentials, atomic, dims, features, facts, signals, batch
    "bundles": {"", "network"},  # bundle.py and architectures.py: they name networks and import them when asked
    "losses": {""},
    "backbones": {""},
    "data": {""},
    "network": {"", "losses"},
    "baselines": {"", "data", "losses", "network"},
    "evaluation": {"", "bundles", "data", "network"},
    "training": {"", "bundles", "data", "evaluation", "losses", "network"},
    "simulation": {"", "bundles", "data", "evaluation", "losses", "network", "training"},
}
NAMES_NETWORKS = {"bundle", "architectures"}
MEDIA_AND_TERMINAL = {"av", "decord", "faster_whisper", "ctranslate2", "rich", "typer", "click", "kuaihl_cli"}
TERMINAL = {"typer", "click", "rich", "kuaihl_cli"}
# An option, one whose name is put in by an f-string, or one of our commands.
SPOKEN_TO_A_SHELL = re.compile(rf"(?<![\w-])--(?=[a-z]|$)|\bkuaihl (?:{'|'.join(COMMANDS)})\b")
OF_ANOTHER_TOOL = re.compile(r"\b(?:pip install|yt-dlp) [^;`]*")  # whose options are not ours


def imports_of(file: Path) -> Iterator[str]:
    """Every module that a file imports, wherever in it."""
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            assert not node.level, f"{file}: relative import"
            yield node.module


def folder_of(package: str, parts: tuple[str, ...]) -> str:
    """The folder of a module of `package` by the path inside it; of bundle.py and architectures.py, "bundles"."""
    if not parts:
        return ""
    if (REPOSITORY / package / parts[0]).is_dir():
        return parts[0]
    return "bundles" if package == "models" and parts[0] in NAMES_NETWORKS else ""


def files_of(package: str) -> list[Path]:
    return sorted((REPOSITORY / package).rglob("*.py"))


@pytest.mark.parametrize(("package", "allowed"), [("engines", ENGINES), ("models", MODELS)])
def test_a_folder_imports_only_what_lies_below_it(package: str, allowed: dict[str, set[str]]) -> None:
    wrong = []
    for file in files_of(package):
        inside = file.relative_to(REPOSITORY / package).with_suffix("").parts
        own = folder_of(package, inside)
        for module in imports_of(file):
            if module.startswith(f"kuaihl.{package}."):
                target = folder_of(package, tuple(module.split(".")[2:]))
                if target != own and target not in allowed[own]:
                    wrong.append(f"{file.relative_to(REPOSITORY)} imports {module}")
    assert not wrong, "\n".join(wrong)


def test_the_tables_have_no_circle_and_name_every_folder() -> None:
    for package, allowed in (("engines", ENGINES), ("models", MODELS)):
        folders = {folder_of(package, file.relative_to(REPOSITORY / package).parts[:1]) for file in files_of(package)}
        assert folders <= set(allowed)
        left = dict(allowed)
        while left:
            floor = {folder for folder, below in left.items() if not below & set(left)}
            assert floor, f"a circle among {sorted(left)}"
            for folder in floor:
                del left[folder]


def test_models_know_neither_media_nor_engines_nor_the_terminal() -> None:
    for file in files_of("models"):
        for module in imports_of(file):
            assert not module.startswith("kuaihl.engines"), file
            assert module.split(".")[0] not in MEDIA_AND_TERMINAL, f"{file} imports {module}"


@pytest.mark.parametrize("package", ["engines", "api"])
def test_engines_and_the_face_know_nothing_of_the_terminal(package: str) -> None:
    for file in files_of(package):
        for module in imports_of(file):
            assert module.split(".")[0] not in TERMINAL, f"{file} imports {module}"


def test_the_face_is_one_page_of_names_that_imports_the_errors_alone() -> None:
    (page,) = files_of("api")
    body = ast.parse(page.read_text(encoding="utf-8")).body
    imported = {node.module for node in body if isinstance(node, ast.ImportFrom)}
    assert imported == {"typing", "kuaihl.models.errors"}
    assert not any(isinstance(node, ast.Import) for node in body)


@pytest.mark.parametrize("package", ["models", "engines", "kuaihl_cli"])
def test_what_the_face_shows_never_imports_the_face(package: str) -> None:
    for file in files_of(package):
        assert "kuaihl" not in imports_of(file), file


def texts_of(file: Path) -> Iterator[tuple[int, str]]:
    """Every string literal of a file with its line, docstrings and the parts of f-strings among them."""
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.lineno, node.value


@pytest.mark.parametrize("package", ["engines", "models"])
def test_no_text_names_an_option_or_a_command(package: str) -> None:
    """An error names a setting and carries a remedy (models/errors.py); only the command knows what to type."""
    wrong = [
        f"{file.relative_to(REPOSITORY)}:{line}: {text.strip()[:100]}"
        for file in files_of(package)
        for line, text in texts_of(file)
        if SPOKEN_TO_A_SHELL.search(OF_ANOTHER_TOOL.sub("", text))
    ]
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize(
    ("text", "names_one"),
    [
        ("--device cuda: give auto", True),
        ("start over without --", True),
        ("see `kuaihl dataset validate`", True),
        ("SHA-256 is wrong: pip install --force-reinstall --no-deps x", False),
        ("download with yt-dlp --write-info-json; then score --device cpu", True),
        ("a bundle of architecture kuaihl or linear -- or none", False),
    ],
)
def test_what_counts_as_an_option_or_a_command(text: str, names_one: bool) -> None:
    assert bool(SPOKEN_TO_A_SHELL.search(OF_ANOTHER_TOOL.sub("", text))) == names_one
