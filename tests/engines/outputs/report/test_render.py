"""The pages as HTML, taken apart without a browser: only our own elements are in them, whatever the texts hold."""

import base64
import hashlib
import json
from collections import Counter
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from support.report_runs import HOSTILE, make_hostile_run

from kuaihl.engines.outputs.report.index import write_index


class Elements(HTMLParser):
    """The elements of a page with their attributes, and the contents of its style and scripts."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.raw: dict[str, list[str]] = {"style": [], "script": []}
        self._inside: str | None = None
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))
        if tag in self.raw:
            self._inside = tag
            self.raw[tag].append("")

    def handle_endtag(self, tag: str) -> None:
        self._inside = None

    def handle_data(self, data: str) -> None:
        if self._inside:
            self.raw[self._inside][-1] += data


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_hostile_run(tmp_path_factory.mktemp("hostile") / "batch")


@pytest.fixture(params=["report", "index"])
def page(request: pytest.FixtureRequest, hostile: Path) -> str:
    path = hostile / "report.html" if request.param == "report" else write_index(hostile.parent)
    return path.read_bytes().decode("utf-8")


def policy_of(elements: Elements) -> dict[str, str]:
    content = next(had["content"] for tag, had in elements.found if had.get("http-equiv") == "Content-Security-Policy")
    assert content is not None
    return dict(part.split(" ", 1) for part in content.split("; "))


def test_no_text_becomes_an_element_or_a_handler(page: str) -> None:
    elements = Elements(page)
    tags = Counter(tag for tag, _ in elements.found)
    is_report = '">Why <span' in page
    assert tags["style"] == 1 and tags["script"] == (2 if is_report else 0)
    assert not {"b onclick", "iframe", "object", "embed", "form", "base", "link"} & tags.keys()
    for tag, had in elements.found:
        assert not any(name.startswith("on") or name == "style" for name in had), (tag, had)
        for name in ("src", "href", "xlink:href"):
            address = had.get(name) or "#"
            assert address.startswith(("#", "data:image/webp;base64,")) or ":" not in address.split("/")[0], address


def test_only_the_style_and_the_script_that_are_there_may_run(page: str) -> None:
    elements = Elements(page)
    policy = policy_of(elements)

    def hash_of(text: str) -> str:
        return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"

    assert policy["default-src"] == policy["base-uri"] == policy["form-action"] == "'none'"
    assert policy["style-src"] == hash_of(elements.raw["style"][0])
    if elements.raw["script"]:
        data, code = elements.raw["script"]
        assert policy["script-src"] == hash_of(code) and json.loads(data)["highlights"]
    else:
        assert "script-src" not in policy
    assert set(policy) <= {"default-src", "style-src", "script-src", "img-src", "media-src", "base-uri", "form-action"}


def test_texts_come_back_as_they_were_without_what_hides_or_turns(page: str) -> None:
    shown: list[str] = []

    class Texts(HTMLParser):
        def handle_data(self, data: str) -> None:
            shown.append(data)

    Texts().feed(page)
    text = "".join(shown)
    assert sum(one in text for one in HOSTILE) >= 3
    assert not any(ord(character) < 32 and character not in "\n\t" for character in text)
    assert not set("\u202e\u2066\u0085\u2028") & set(text)


def test_the_data_of_the_script_cannot_end_it(hostile: Path) -> None:
    text = (hostile / "report.html").read_text(encoding="utf-8")
    data = text.split('<script type="application/json" id="data">')[1].split("</script>")[0]
    assert "<" not in data and ">" not in data and "\u2028" not in data
    said: dict[str, Any] = json.loads(data)
    assert any("<" in one["words"] for one in said["highlights"]), "and yet holds what was said"
