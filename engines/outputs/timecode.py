"""Seconds in readable form: `1:30`, `00:01:30.500`."""


def format_timecode(seconds: float, *, decimals: int = 0, full: bool = False, point: str = ".") -> str:
    """`1:30` or `1:02:03` for tables; `00:01:30` if `full`, as in file formats. Rounding carries over."""
    scale = 10**decimals
    ticks = round(abs(seconds) * scale)
    whole, fraction = divmod(ticks, scale)
    hours, minutes, rest = whole // 3600, whole // 60 % 60, whole % 60
    if full:
        text = f"{hours:02}:{minutes:02}:{rest:02}"
    else:
        text = f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
    if decimals:
        text += f"{point}{fraction:0{decimals}}"
    return f"-{text}" if seconds < 0 and ticks else text
