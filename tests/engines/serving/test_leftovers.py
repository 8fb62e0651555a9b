"""Events that are left: later tries go on, whatever happens to one of them."""

from pathlib import Path

import pytest
from support.waiting import wait_until

from kuaihl.engines.serving import leftovers
from kuaihl.engines.sinks.settings import SinkSettings

SETTINGS = SinkSettings(webhooks=("http://127.0.0.1:9/hook",))


def test_a_moment_without_a_thread_to_be_had_ends_no_later_try(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tried: list[Path] = []

    def fail(settings: SinkSettings, folder: Path, report: object) -> bool:
        tried.append(folder)
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(leftovers, "_EVERY", 0.01)
    monkeypatch.setattr(leftovers, "deliver_left", fail)
    left = leftovers.Leftovers(SETTINGS, print)
    left.add(tmp_path)
    left.start(tmp_path, set())
    try:
        wait_until(lambda: len(tried) >= 3, "later tries")
    finally:
        left.stop()
