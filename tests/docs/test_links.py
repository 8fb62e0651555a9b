"""Every link of the pages leads somewhere: files exist, and headings have the anchors that links name."""

import re
import subprocess
from pathlib import Path
from urllib.parse import unquote

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "skills").rglob("*.md")])
LINK = re.compile(r"\[[^\]]*\]\(\s*<?([^)\s>]+)>?[^)]*\)")
HEADING = re.compile(r"^#{1,6}\s+(.*?)\s*#*$", re.MULTILINE)


def prose(page: Path) -> str:
    """A page without its code: brackets in code are no links, and `#` there is a comment."""
    text = re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    text = re.sub(r"^    (?! *[-*] ).*$", "", text, flags=re.MULTILINE)
    return re.sub(r"`[^`\n]*`", lambda code: code.group().replace("[", "").replace("]", ""), text)


def links(page: Path) -> list[str]:
    """Targets of a page's links that stay in this repository."""
    return [target for target in LINK.findall(prose(page)) if not re.match(r"[a-z]+:", target)]


def anchors(page: Path) -> set[str]:
    """The anchors of a page's headings on GitHub: lower case, hyphens for spaces, no punctuation, repeats numbered."""
    found: set[str] = set()
    for heading in HEADING.findall(prose(page)):
        slug = re.sub(r"[^\w\- ]", "", re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).lower()).replace(" ", "-")
        name, repeat = slug, 0
        while name in found:
            repeat += 1
            name = f"{slug}-{repeat}"
        found.add(name)
    return found


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_of_a_page_leads_somewhere(page: Path) -> None:
    broken = []
    for link in links(page):
        path, _, anchor = unquote(link).partition("#")
        target = (page.parent / path).resolve() if path else page
        if not target.exists() or (anchor and anchor not in anchors(target)):
            broken.append(link)
    assert not broken


def test_every_page_is_reached_from_the_index() -> None:
    reached, waiting = set[Path](), [ROOT / "docs" / "index.md"]
    while waiting:
        page = waiting.pop()
        reached.add(page)
        targets = {(page.parent / unquote(link).partition("#")[0]).resolve() for link in links(page)}
        waiting += [target for target in targets - reached if target.suffix == ".md" and target.is_file()]
    assert not [page for page in (ROOT / "docs").rglob("*.md") if page not in reached]


def test_the_demo_of_the_readme_and_its_test_command_are_targets_of_make() -> None:
    for readme in (ROOT / "README.md", ROOT / "README.zh.md"):
        named = set(re.findall(r"^\$ make ([a-z-]+)", readme.read_text(encoding="utf-8"), re.MULTILINE))
        assert named >= {"demo", "test"}
        for target in named:
            subprocess.run(["make", "--dry-run", target], cwd=ROOT, check=True, capture_output=True)


def test_every_test_that_the_pages_name_is_there() -> None:
    named = {name for page in PAGES for name in re.findall(r"`(test_\w+)`", page.read_text(encoding="utf-8"))}
    tests = "\n".join(file.read_text(encoding="utf-8") for file in (ROOT / "tests").rglob("test_*.py"))
    assert named
    assert not {name for name in named if f"def {name}(" not in tests}
