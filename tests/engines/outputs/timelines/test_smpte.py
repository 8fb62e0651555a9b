"""Time codes count frames as SMPTE does, and as OpenTimelineIO does."""

import random
from fractions import Fraction

import opentimelineio as otio
import pytest
from support.rated_media import NTSC, NTSC_FILM, NTSC_TWICE, PAL

from kuaihl.engines.outputs.timelines.smpte import can_drop, frame_of, is_drop, nominal_rate, time_code

DAY = 24 * 3600


@pytest.mark.parametrize("rate", [NTSC_FILM, Fraction(24), PAL, NTSC, Fraction(30), NTSC_TWICE, Fraction(60)])
@pytest.mark.parametrize("drop", [False, True])
def test_codes_are_those_of_opentimelineio_and_read_back(rate: Fraction, drop: bool) -> None:
    if drop and not can_drop(rate):
        assert not is_drop("01:00:00;00", rate)
        return
    chance = random.Random(0)
    frames = [0, 1, 1799, 1800, 17981, 17982, *(chance.randrange(int(rate * DAY)) for _ in range(500))]
    for frame in frames:
        code = time_code(frame, rate, drop=drop)
        assert code == otio.opentime.to_timecode(otio.opentime.RationalTime(frame, float(rate)), float(rate), drop)
        assert frame_of(code, rate) == frame
        assert is_drop(code, rate) == drop


def test_drop_frame_leaves_out_two_numbers_per_minute_but_not_in_every_tenth() -> None:
    assert time_code(1799, NTSC, drop=True) == "00:00:59;29"
    assert time_code(1800, NTSC, drop=True) == "00:01:00;02"
    assert time_code(17982, NTSC, drop=True) == "00:10:00;00"
    assert time_code(107892, NTSC, drop=True) == "01:00:00;00"
    assert time_code(2 * 1800, NTSC_TWICE, drop=True) == "00:01:00;04"
    assert time_code(108000, NTSC, drop=False) == "01:00:00:00"


def test_a_recording_longer_than_a_day_counts_on() -> None:
    assert time_code(25 * 3600 * 25, PAL, drop=False) == "25:00:00:00"
    assert frame_of("25:00:00:00", PAL) == 25 * 3600 * 25


def test_a_fast_rate_has_three_digits() -> None:
    assert time_code(119, Fraction(120), drop=False) == "00:00:00:119"
    assert nominal_rate(NTSC) == 30


@pytest.mark.parametrize("code", ["", "1:00", "01:00:00:25", "01:60:00:00", "words", "01:00:00", "01:00:00:00 "])
def test_what_is_no_time_code_is_refused(code: str) -> None:
    with pytest.raises(ValueError, match="is not a time code"):
        frame_of(code, PAL)
