"""Time codes of frames, `hh:mm:ss:ff`: without dropping any number, or with drop frame at NTSC rates (SMPTE 12M)."""

import re
from fractions import Fraction

_TIME_CODE = re.compile(r"(\d{1,2}):(\d{2}):(\d{2})([:;.,])(\d{2,3})")
_PER_TEN_MINUTES = 9  # of ten minutes, the first one drops nothing


def nominal_rate(rate: Fraction) -> int:
    """The frames that a second of time code counts: 30 for 29.97."""
    return round(rate)


def can_drop(rate: Fraction) -> bool:
    """Whether drop frame is defined: for 29.97 and its multiples."""
    return rate.denominator == 1001 and nominal_rate(rate) % 30 == 0


def time_code(frame: int, rate: Fraction, *, drop: bool) -> str:
    """The code of a frame counted from 00:00:00:00; `;` before the frames in drop frame. Hours may pass 24."""
    nominal = nominal_rate(rate)
    if drop:
        dropped = nominal // 15  # numbers per minute
        tens, rest = divmod(frame, nominal * 600 - dropped * _PER_TEN_MINUTES)
        minutes = max(rest - dropped, 0) // (nominal * 60 - dropped)
        frame += dropped * (_PER_TEN_MINUTES * tens + minutes)
    seconds, frames = divmod(frame, nominal)
    mark = ";" if drop else ":"
    digits = len(str(nominal - 1))
    return f"{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}{mark}{frames:0{max(digits, 2)}}"


def frame_of(code: str, rate: Fraction) -> int:
    """The inverse of `time_code`. Raises ValueError for a text that is no time code at this rate."""
    match = _TIME_CODE.fullmatch(code)
    if match is None:
        raise ValueError(f"{code!r} is not a time code")
    hours, minutes, seconds, frames = (int(match[part]) for part in (1, 2, 3, 5))
    nominal = nominal_rate(rate)
    if minutes >= 60 or seconds >= 60 or frames >= nominal:
        raise ValueError(f"{code!r} is not a time code at {nominal} frames per second")
    frame = ((hours * 60 + minutes) * 60 + seconds) * nominal + frames
    if is_drop(code, rate):
        passed = hours * 60 + minutes
        frame -= nominal // 15 * (passed - passed // 10)
    return frame


def is_drop(code: str, rate: Fraction) -> bool:
    """Whether a code is written in drop frame, and its rate has that."""
    match = _TIME_CODE.fullmatch(code)
    return match is not None and match[4] != ":" and can_drop(rate)
