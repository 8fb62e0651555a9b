"""JSON from outside raises one kind of error, however hostile it is."""

import json
import random

import pytest

from kuaihl.models.json_text import parse_json


def test_it_is_what_python_reads() -> None:
    assert parse_json('{"a": [1, null, "b"]}') == {"a": [1, None, "b"]} == parse_json(b'{"a": [1, null, "b"]}')


@pytest.mark.parametrize(
    "text", ["[" * 100_000, '{"a":' * 100_000, "[" * 100_000 + "]" * 100_000, "{", "9" * 5000, b"\xff"]
)
def test_what_cannot_be_read_is_a_value_error(text: str | bytes) -> None:
    with pytest.raises(ValueError, match=r"\S"):
        parse_json(text)


@pytest.mark.parametrize("seed", range(5))
def test_mutations_of_a_document_are_read_or_value_errors(seed: int) -> None:
    chance = random.Random(seed)
    whole = json.dumps({"a": [1.5, {"b": None}], "c": "x" * 20})
    for _ in range(300):
        at = chance.randrange(len(whole))
        text = whole[:at] + chance.choice(("[" * 5000, '"', "\\ud800", "-", "9" * 5000, "")) + whole[at + 1 :]
        try:
            parse_json(text)
        except ValueError:
            continue
