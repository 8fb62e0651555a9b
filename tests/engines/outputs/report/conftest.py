"""Pages that several tests look at, made once."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.chromium import browser as open_browser
from support.report_runs import evidence_of, long_stream, make_run_folder


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    with open_browser() as opened:
        yield opened


@pytest.fixture(scope="session")
def six_hours(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run folder of six hours, with all that a page can show."""
    segments = long_stream(6.0)
    folder = tmp_path_factory.mktemp("six") / "night run.kuaihl"
    return make_run_folder(folder, segments, evidence=[evidence_of(one) for one in segments])
