"""What engines are compared on has signals too, else a head that reads them would be compared on zeros."""

from pathlib import Path

import numpy as np
import pytest
from support.media import make

from kuaihl.engines.export.calibration import recorded_sample, written_signals
from kuaihl.models.signals import SIGNAL_NAMES, SIGNALS, Floats


def known_groups(signals: Floats) -> set[str]:
    return {signal.group for signal, value in zip(SIGNALS, signals, strict=True) if np.isfinite(value)}


def test_a_recording_tells_its_sound_and_pictures(tmp_path: Path) -> None:
    sample = recorded_sample(str(make(tmp_path / "a.flv", seconds=8)), None, segment_seconds=2.0)
    assert [known_groups(segment.signals) for segment in sample] == [{"sound", "pictures"}] * 4


def test_written_words_tell_how_many_write_and_how_many_words_are_said() -> None:
    signals = written_signals("and here we go", ("wow", "haha"))
    assert known_groups(signals) == {"comments", "speech"}
    found = dict(zip(SIGNAL_NAMES, signals.tolist(), strict=True))
    assert [found[name] for name in ("comments", "chatters", "laughter", "words")] == pytest.approx(
        [np.log(3), np.log(3), 0.5, np.log(5)]
    )
