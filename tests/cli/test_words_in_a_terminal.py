"""Words that were spoken or written never control the terminal that shows them."""

import io
import sys

import pytest

from kuaihl.engines.types import Highlight
from kuaihl_cli.terminal import highlight_table
from kuaihl_cli.terminal.messages import say
from kuaihl_cli.terminal.progress import shorten

HOSTILE = "[/b] [red]x[/red] \x1b[31mred\x1b]0;title\x07 \x9b2J \u2028 \u202eabc"


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize("stream", [io.StringIO, Terminal])
def test_markup_and_control_characters_are_shown_as_text_or_left_out(
    stream: type[io.StringIO], monkeypatch: pytest.MonkeyPatch
) -> None:
    out = stream()
    monkeypatch.setattr(sys, "stdout", out)
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setenv("NO_COLOR", "1")
    highlight_table.print_highlights([Highlight(0, 30, 0.5, (0,), HOSTILE)])
    shown = out.getvalue()
    assert "[/b] [red]x[/red]" in shown
    for sign in ("\x1b[31m", "\x1b]0", "\x07", "\x9b", "\u2028", "\u202e"):
        assert sign not in shown


def test_words_are_cut_to_one_line() -> None:
    assert shorten("a\x1b\x00b\nc", 10) == "a b c"


def test_a_line_for_the_user_has_no_control_characters(capsys: pytest.CaptureFixture[str]) -> None:
    say(f"name {HOSTILE}")
    shown = capsys.readouterr().err
    assert shown.endswith("\n") and shown.count("\n") == 1
    for sign in ("\x1b", "\x07", "\x9b", "\u2028", "\u202e"):
        assert sign not in shown
