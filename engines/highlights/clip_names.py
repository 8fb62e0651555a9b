"""Names of clips, made from a template whose fields come from untrusted sources and speech."""

import re
from collections.abc import Iterator, Sequence
from string import Formatter

from kuaihl.engines.highlights.offline import rank_highlights
from kuaihl.engines.types import Highlight
from kuaihl.models.errors import UsageError

_LONGEST_SOURCE = 120, 180  # characters and bytes of the field …
_LONGEST_WORDS = 40, 60  # … and of this one; both have room in …
_LONGEST_NAME = 240  # … bytes of a name: file systems allow 255 with the suffix, and a part file has more of it
_DISTINCT = frozenset({"rank", "time", "start"})  # no two highlights have all these in common
_EXAMPLE = Highlight(750.0, 790.0, 0.5, (25,), "what a goal")
_WIDE = re.compile(r"\d{3}")  # a width or precision that would make a name of its own


def check_template(template: str) -> None:
    """Raise UsageError for a template with an unknown field or format, or one that gives two clips the same name."""

    def refuse(why: str) -> UsageError:
        return UsageError(why, setting="clip_name", value=template)

    known = _fields("", 1, _EXAMPLE)
    used = set()
    try:
        for literal, name, form, conversion in Formatter().parse(template):
            if "/" in literal or "\\" in literal:
                raise refuse("a name of a file, not of a folder; leave out / and \\")
            if name is None:
                continue
            if name not in known:
                raise refuse(f"no field is called {{{name}}}; there are {', '.join(known)}")
            if conversion or "{" in (form or "") or _WIDE.search(form or ""):
                raise refuse(f"{{{name}}} takes a plain format, as in {{rank:02}} or {{score:.2f}}")
            used.add(name)
        template.format_map(known)
    except ValueError as error:
        raise refuse(f"not a template: {error}; write {{{{ for a brace") from None
    if not used & _DISTINCT:
        raise refuse("clips would have the same name; add {rank}, {time} or {start}")


def name_clips(template: str, source: str, highlights: Sequence[Highlight]) -> list[str]:
    """A safe and distinct file name without suffix per highlight; `source` is the stem of the recording's name."""
    taken: set[str] = set()
    ranks = rank_highlights(highlights)
    return [name_clip(template, source, rank, one, taken) for rank, one in zip(ranks, highlights, strict=True)]


def name_clip(template: str, source: str, rank: int, highlight: Highlight, taken: set[str]) -> str:
    """A safe file name without suffix that is not among `taken`, to which it is added in one case of letters."""
    name = _safe(template.format_map(_fields(source, rank, highlight)), _LONGEST_NAME, _LONGEST_NAME) or "clip"
    if name.casefold() in taken:  # padded highlights may begin at the same second
        name = next(other for other in _numbered(name, rank) if other.casefold() not in taken)
    taken.add(name.casefold())
    return name


def _fields(source: str, rank: int, highlight: Highlight) -> dict[str, str | int | float]:
    return {
        "source": _safe(source, *_LONGEST_SOURCE) or "clip",
        "rank": rank,
        "time": _clock(highlight.start),
        "start": highlight.start,
        "end": highlight.end,
        "length": highlight.end - highlight.start,
        "score": highlight.score,
        "words": _safe(highlight.text, *_LONGEST_WORDS),
    }


def _clock(seconds: float) -> str:
    """`00-12-30`: sorts by time, and is safe on any file system."""
    whole = int(seconds)
    return f"{whole // 3600:02}-{whole // 60 % 60:02}-{whole % 60:02}"


def _safe(text: str, characters: int, most_bytes: int) -> str:
    """Letters, digits, `_`, `.` and `-` of a text, cut to a length; no separator at its ends."""
    kept = re.sub(r"[^\w.\-]+", "_", text).strip("._-")[:characters]
    return kept.encode(errors="ignore")[:most_bytes].decode(errors="ignore").strip("._-")


def _numbered(name: str, rank: int) -> Iterator[str]:
    """Other names: the rank is the highlight's own, so it ends in most cases at the first."""
    cut = _safe(name, _LONGEST_NAME, _LONGEST_NAME - 8)
    yield f"{cut}_{rank:02}"
    for number in range(2, 1000):
        yield f"{cut}_{rank:02}_{number}"
