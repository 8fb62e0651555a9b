"""Lines for logs and pipes: what a segment was worth, what comes next."""

from typing import Any

import pytest

from kuaihl.engines.types import ScoredSegment
from kuaihl_cli.terminal.progress import LiveProgress, PlainProgress


def scored(**other: Any) -> ScoredSegment:
    return ScoredSegment(2, 60.0, 90.0, 90.0, 120.0, 0.5, "and\nhere we go", 3, False, 0.0, **other)


def test_a_line_has_the_span_the_score_of_what_comes_next_and_the_words(capsys: pytest.CaptureFixture[str]) -> None:
    PlainProgress().segment(scored())
    assert capsys.readouterr().err == "1:00–1:30  next 0.500  and here we go\n"


def test_a_line_has_the_segments_interest_before_it_if_the_network_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    PlainProgress().segment(scored(interest=0.25))
    assert capsys.readouterr().err == "1:00–1:30  now 0.250  next 0.500  and here we go\n"


def test_a_terminals_line_ends_with_the_last_rates_and_fits_its_width() -> None:
    progress = LiveProgress()
    for _ in range(300):
        progress.segment(scored(interest=0.25))
    curve = str(progress.render()).splitlines()[1]
    assert curve.endswith("▁  now 0.250  next 0.500")
    assert len(curve) <= 80
