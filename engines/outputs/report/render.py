"""Pages as HTML: a page's data in, one file without any reference to the network out.

The page is inert whatever its texts hold: Jinja escapes them, and the Content-Security-Policy lets nothing run and
nothing load but the style and the script below, by their hashes, pictures in data URIs, and media beside the page.
"""

import base64
import hashlib
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from kuaihl.engines.outputs.report.page import Card, IndexPage, ReportPage
from kuaihl.engines.outputs.timecode import format_timecode

if TYPE_CHECKING:
    from jinja2 import Environment


def render_report(page: ReportPage) -> str:
    """The page of a recording."""
    return _render("report.html.jinja", page, script="report.js", data=_script_data(page))


def render_index(page: IndexPage) -> str:
    """The page over a batch, which needs no script."""
    return _render("index.html.jinja", page, script=None, data=None)


def _script_data(page: ReportPage) -> dict[str, Any]:
    """What the script reads: the curve's points, and what editors' files are made from."""
    chart = page.chart
    return {
        "key": page.key,
        "title": page.title,
        "start": chart.start,
        "seconds": chart.seconds,
        "points": chart.points,
        "media": page.media.name,
        "highlights": [_pick_data(card) for card in page.cards],
    }


def _pick_data(card: Card) -> dict[str, Any]:
    return {
        "rank": card.rank,
        "start": round(card.start, 3),
        "end": round(card.end, 3),
        "score": card.score,
        "name": card.name,
        "words": card.words,
        "clip": card.clip,
        "clip_start": card.clip_start,
    }


def _render(name: str, page: ReportPage | IndexPage, *, script: str | None, data: Mapping[str, Any] | None) -> str:
    style, code = _read("style.css"), "" if script is None else _read(script)
    policy = {
        "default-src": "'none'",
        "style-src": _hash_of(style),
        "img-src": "data:",
        **({"script-src": _hash_of(code), "media-src": "'self' file:"} if code else {}),
        "base-uri": "'none'",
        "form-action": "'none'",
    }
    return (
        _environment()
        .get_template(name)
        .render(
            page=page,
            style=style,
            script=code,
            data=data,
            policy="; ".join(f"{key} {value}" for key, value in policy.items()),
        )
    )


@cache
def _environment() -> "Environment":
    from jinja2 import Environment, FunctionLoader, StrictUndefined

    environment = Environment(
        loader=FunctionLoader(_read), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters |= {"timecode": format_timecode, "duration": _say_duration}
    return environment


@cache
def _read(name: str) -> str:
    return (files("kuaihl.engines.outputs.report") / "templates" / name).read_text(encoding="utf-8").strip()


def _hash_of(content: str) -> str:
    digest = hashlib.sha256(content.encode()).digest()
    return f"'sha256-{base64.b64encode(digest).decode('ascii')}'"


def _say_duration(seconds: float) -> str:
    """`64 s`, `12 min`, `6 h 02 min`."""
    whole = round(seconds)
    if whole < 120:
        return f"{whole} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02} min"
