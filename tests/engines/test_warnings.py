"""The losses of a recording in a few lines."""

from pathlib import Path

import pytest
from support.media import make

from kuaihl.engines.ingest.opening import open_source
from kuaihl.engines.ingest.packets import packets
from kuaihl.engines.types import Event
from kuaihl.engines.warnings import warnings_of


def warnings_for(path: Path) -> tuple[str, ...]:
    with open_source(str(path)) as source:
        return warnings_of(item for item in packets(source) if isinstance(item, Event))


@pytest.fixture(scope="module")
def whole(made: Path) -> Path:
    return make(made / "whole.flv", seconds=12.0)


def test_a_whole_recording_has_no_warnings(whole: Path) -> None:
    assert warnings_for(whole) == ()


def test_a_recording_that_is_cut_off_says_so(whole: Path, tmp_path: Path) -> None:
    content = whole.read_bytes()
    (tmp_path / "cut.flv").write_bytes(content[: len(content) // 2])
    (warning,) = [line for line in warnings_for(tmp_path / "cut.flv") if line.startswith("cut off at ")]
    assert "its header says 12.0 s" in warning


def test_losses_of_one_kind_are_one_line() -> None:
    events = [
        Event("gap", 4.0, "2.0 s of media are missing"),
        Event("rebase", 5.0, "the time stamps restarted"),
        Event("corrupt", 6.0, "damaged video"),
        Event("corrupt", 8.0, "damaged audio"),
        Event("comments", 8.5, "scored without comments: a.xml: not comments"),
        Event("eof", 9.0, "reading failed: Input/output error"),
    ]
    assert warnings_of(events) == (
        "gap at 4.0 s: 2.0 s of media are missing",
        "corrupt at 6.0 s: damaged video, and 1 more",
        "comments at 8.5 s: scored without comments: a.xml: not comments",
        "cut off at 9.0 s: reading failed: Input/output error",
    )
    assert warnings_of([Event("eof", 9.0, "end of the stream")]) == ()
