"""Times are read as people write them and written so that they read back."""

import random

import pytest
import typer

from kuaihl.engines.outputs.timecode import format_timecode
from kuaihl.models.errors import UsageError
from kuaihl_cli.terminal.timecode import parse_padding, parse_range, parse_timecode, time_between


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("90", 90.0),
        ("90.5", 90.5),
        ("0", 0.0),
        ("1:30", 90.0),
        ("01:30.250", 90.25),
        ("90:00", 5400.0),
        ("00:01:30.5", 90.5),
        ("00:01:30,5", 90.5),
        (" 1:00:00 ", 3600.0),
        ("100:00:00", 360000.0),
        ("2s", 2.0),
        ("1.5 s", 1.5),
        ("2m", 120.0),
        ("0,5h", 1800.0),
    ],
)
def test_times_are_read_as_people_write_them(text: str, seconds: float) -> None:
    assert parse_timecode(text) == seconds


@pytest.mark.parametrize(
    "text",
    ["", "abc", "1:75", "1:60:00", "1:2:3:4", ":30", "1:", "-5", "nan", "inf", "1e3", "0x10", "1.2.3", "1:30.", "१:३०",
     "2x", "s", "1:30s", "9" * 1000],
)  # fmt: skip
def test_what_is_no_time_is_refused_in_one_line(text: str) -> None:
    with pytest.raises(UsageError, match="is not a time") as caught:
        parse_timecode(text)
    assert "\n" not in str(caught.value)


def test_times_are_written_short_for_people_and_full_for_files() -> None:
    assert format_timecode(0) == "0:00"
    assert format_timecode(90.4) == "1:30"
    assert format_timecode(3723) == "1:02:03"
    assert format_timecode(90.5, decimals=3, full=True) == "00:01:30.500"
    assert format_timecode(90.5, decimals=3, full=True, point=",") == "00:01:30,500"
    assert format_timecode(360000, full=True) == "100:00:00"
    assert format_timecode(-5.0) == "-0:05"


def test_rounding_carries_into_the_minute_and_the_hour() -> None:
    assert format_timecode(59.9996, decimals=3, full=True) == "00:01:00.000"
    assert format_timecode(3599.7) == "1:00:00"
    assert format_timecode(-0.0001, decimals=3) == "0:00.000"


def test_what_is_written_reads_back() -> None:
    chance = random.Random(0)
    for _ in range(500):
        seconds = chance.choice([1.0, 60.0, 4e5]) * chance.random()
        for full in (False, True):
            assert parse_timecode(format_timecode(seconds, decimals=3, full=full)) == pytest.approx(seconds, abs=5.1e-4)


def test_an_option_takes_times_within_its_limits_and_numbers_of_a_file() -> None:
    length = time_between(2.0, 300.0)
    assert length("1:30") == length(90) == length("90") == 90.0
    for text in ("1.5", "5:01", "1:75", "-3"):
        with pytest.raises(typer.BadParameter):
            length(text)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("10s:120s", (10, 120)), ("10:120", (10, 120)), ("0:10-2:00", (10, 120)), ("10s-2m", (10, 120)), ("5:5", (5, 5))],
)
def test_a_range_is_two_times(text: str, seconds: tuple[float, float]) -> None:
    assert parse_range(text) == seconds
    assert parse_range(parse_range(text)) == seconds


@pytest.mark.parametrize("text", ["", "10", "0:10:2:00", "2:1", "0:0", "-5", "10:", "1-2-3", "a:b"])
def test_what_is_no_range_is_refused(text: str) -> None:
    with pytest.raises(typer.BadParameter):
        parse_range(text)


def test_padding_is_one_time_for_both_sides_or_two() -> None:
    assert [parse_padding(text) for text in ("2s", "2s,4s", "0,1:30", 3)] == [(2, 2), (2, 4), (0, 90), (3, 3)]
    for text in ("", "1,2,3", "-2", "2,x"):
        with pytest.raises(typer.BadParameter):
            parse_padding(text)


def test_an_offset_may_be_negative() -> None:
    offset = time_between(-1e9)
    assert [offset(text) for text in ("-12", "-0:12.5", "+3", "1:00")] == [-12.0, -12.5, 3.0, 60.0]
