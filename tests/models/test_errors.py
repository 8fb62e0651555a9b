"""How an error of a library is worded inside a message of ours."""

import pytest

from kuaihl.models.errors import reason_of


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (ValueError("  bad\n\tvalue  "), "bad value"),
        ("two\r\nlines", "two lines"),
        (TimeoutError(), "TimeoutError"),
        (ValueError(" \n"), "ValueError"),
        (ValueError("y" * 200), "y" * 200),
        (ValueError("x" * 500), "x" * 199 + "…"),
    ],
)
def test_a_reason_is_one_line_of_bearable_length(error: Exception | str, words: str) -> None:
    assert reason_of(error) == words


def test_the_length_may_be_chosen() -> None:
    assert reason_of("abcdef", 4) == "abc…"
