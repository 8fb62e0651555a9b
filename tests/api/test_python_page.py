"""docs/python.md as a notebook: its blocks run in order on the demo broadcast, and it names all that is public."""

import re
from pathlib import Path

import pytest
from support.paths import DOCS, EXAMPLES

import kuaihl

PAGE = (DOCS / "python.md").read_text(encoding="utf-8")
BLOCK = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def blocks() -> list[tuple[int, str]]:
    """Each block with the number of its first line."""
    return [(PAGE[: found.start(1)].count("\n"), found[1]) for found in BLOCK.finditer(PAGE)]


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_its_blocks_run_in_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "examples").symlink_to(EXAMPLES)
    monkeypatch.chdir(tmp_path)
    notebook: dict[str, object] = {"__name__": "notebook"}
    for line, code in blocks():
        exec(compile("\n" * line + code, str(DOCS / "python.md"), "exec"), notebook)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["demo-run", "examples"]


def test_it_names_every_public_name() -> None:
    code = " ".join(re.findall(r"`([^`\n]+)`", PAGE) + [code for _, code in blocks()])
    assert not {name for name in kuaihl.__all__ if not re.search(rf"\b{name}\b", code)}


def test_every_option_of_a_call_is_in_its_tables() -> None:
    from inspect import signature

    rows = {name for row in re.findall(r"^\| (`.*?) \|", PAGE, re.MULTILINE) for name in re.findall(r"`(\w+)`", row)}
    for call in (kuaihl.load, kuaihl.Model.stream):
        assert not set(signature(call).parameters) - {"self", "source"} - rows


def test_the_lines_of_the_readmes_are_calls_that_are_there() -> None:
    for name in ("README.md", "README.zh.md"):
        (code,) = BLOCK.findall((DOCS.parent / name).read_text(encoding="utf-8"))
        compile(code, name, "exec")
        for called in re.findall(r"kuaihl\.(\w+)\(", code):
            assert called in kuaihl.__all__
        for method in re.findall(r"\)\.(\w+)\(", code):
            assert callable(getattr(kuaihl.Model, method))
