"""docs/architecture.md sends newcomers to files and names: both are there."""

import re

from support.paths import DOCS, REPOSITORY


def rows() -> list[list[str]]:
    """The cells of the table "Where is …"."""
    page = (DOCS / "architecture.md").read_text(encoding="utf-8").partition("## Where is …")[2]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in page.splitlines() if "| Where" in line]


def test_it_answers_a_newcomers_fifteen_questions() -> None:
    assert len(rows()) >= 15


def test_every_answer_is_a_file_that_has_the_name_to_look_for() -> None:
    missing = []
    for question, where, names in rows():
        files = [REPOSITORY / name for name in re.findall(r"`([\w/]+\.py)`", where) if "/" in name]
        assert files, question
        texts = [file.read_text(encoding="utf-8") for file in files if file.is_file()]
        if len(texts) < len(files):
            missing.append(f"{question}: {where}")
        missing += [
            f"{question}: {name}"
            for name in re.findall(r"`(\w+)`", names)
            if not any(re.search(rf"\b(def|class) {name}\b", text) for text in texts)
        ]
    assert not missing, "\n".join(missing)
