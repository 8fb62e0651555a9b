"""Speech and comments of simulated rooms: lines by language, genre and topic, from written templates.

Templates lie in `sentences/LANGUAGE/GENRE.txt`; those of `shared.txt` belong to every genre. A heading opens
a list, a line is a template, and `# ` begins a remark:

    == hype speech               topic and kind, or `== slot NAME`, with fillings separated by ` | `
    What a (goal|finish) by {player}!
    lo*l                         the letter before a star appears one to six times
    (KEKW )*                     so does a group

`{player}` takes a filling of that slot, a different one each time in a line, and `{=player}` repeats the last one.
`(a|b|)` is one of the choices. Every third template of a list and every third filling of a slot is held out, as are
whole genres. Training shows only plain words of a held-out line.
"""

import re
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from zlib import crc32

import numpy as np

from kuaihl.engines.encoders.text_cleaning import clean
from kuaihl.models.simulation.terms import GENRES, HELD_OUT_GENRES

SHARED = "shared"
KINDS = ("speech", "comments")
SPLITS = ("train", "held-out")
_HELD_OUT_EVERY = 3
_LINES_WITH_SLOTS, _LINES_WITH_CHOICES = 6, 3  # most lines per template; any other template gives one

_SLOT = re.compile(r"\{(=?)(\w+)\}")
_GROUP = re.compile(r"\(([^()]*)\)(\*?)")
_STRETCHED = re.compile(r"(.)\*")


@dataclass(frozen=True)
class Templates:
    """One file: templates by topic and kind, and fillings by slot."""

    lists: dict[tuple[str, str], list[str]] = field(default_factory=dict)
    slots: dict[str, list[str]] = field(default_factory=dict)


@cache
def written_lines(language: str, genre: str, topic: str, kind: str, split: str) -> tuple[str, ...]:
    """The distinct lines of one topic in one genre, always in the same order.

    `language` is "en" or "zh", `kind` "speech" or "comments", `split` "train" or "held-out". Raises ValueError for an
    unknown genre, kind or split, and for "train" of a held-out genre, which has no such lines.
    """
    if genre not in GENRES or kind not in KINDS or split not in SPLITS:
        raise ValueError(f"no lines of genre {genre!r}, kind {kind!r}, split {split!r}")
    if genre in HELD_OUT_GENRES and split == "train":
        raise ValueError(f"{genre} is a held-out genre; it has no lines to train on")
    lines = _expanded_lines(language, genre, topic, kind, split)
    if split == "train":
        return lines
    known = _said_in_training(language)
    return tuple(line for line in lines if as_read(line) not in known)


@cache
def _said_in_training(language: str) -> frozenset[str]:
    """Every training line of a language as it is read: "LUL LUL!" adds nothing to "lul"."""
    return frozenset(
        as_read(line)
        for genre in GENRES
        if genre not in HELD_OUT_GENRES
        for topic, kind in {*read_templates(language, genre).lists, *read_templates(language, SHARED).lists}
        for line in _expanded_lines(language, genre, topic, kind, "train")
    )


def as_read(line: str) -> str:
    """A line without case, marks and repeats, with its emotes in words."""
    return clean(line).casefold().strip("!?.！？。 ") or line


@cache
def _expanded_lines(language: str, genre: str, topic: str, kind: str, split: str) -> tuple[str, ...]:
    slots = slot_fillings(language, genre, split)
    return tuple(
        dict.fromkeys(
            line[0].upper() + line[1:] if kind == "speech" else line
            for name in (genre, SHARED)
            for template in part_of(read_templates(language, name).lists.get((topic, kind), []), name, split)
            for line in written_out(template, slots)
        )
    )


def slot_fillings(language: str, genre: str, split: str) -> dict[str, list[str]]:
    """The split's fillings of every slot that the genre has; its own take precedence over shared ones."""
    return {
        slot: part_of(fillings, name, split)
        for name in (SHARED, genre)
        for slot, fillings in read_templates(language, name).slots.items()
    }


def part_of(entries: list[str], name: str, split: str) -> list[str]:
    """Two of every three entries for training, the third held out; a held-out genre is held out whole."""
    if name in HELD_OUT_GENRES:
        return entries
    return [entry for i, entry in enumerate(entries) if (i % _HELD_OUT_EVERY == 2) == (split == "held-out")]


def written_out(template: str, slots: dict[str, list[str]]) -> list[str]:
    """The distinct lines of a template; its own letters seed the choice."""
    random = np.random.default_rng(crc32(template.encode()))
    most = _LINES_WITH_SLOTS if "{" in template else _LINES_WITH_CHOICES if re.search(r"[(*]", template) else 1
    return list(dict.fromkeys(_one_line(template, slots, random) for _ in range(3 * most)))[:most]


def _one_line(template: str, slots: dict[str, list[str]], random: np.random.Generator) -> str:
    """A template with its slots filled, its choices made and its stretched letters repeated."""

    decks: dict[str, list[str]] = {}  # shuffled fillings; the first is the one last taken

    def filling(slot: re.Match[str]) -> str:
        again, name = slot.groups()
        if not again:
            decks[name] = decks[name][1:] if len(decks.get(name, [])) > 1 else random.permutation(slots[name]).tolist()
        return decks[name][0]

    def choice(entries: list[str]) -> str:
        return entries[int(random.integers(len(entries)))]

    def times(found: str, star: str) -> str:
        return found * int(random.integers(1, 7)) if star else found

    line = _SLOT.sub(filling, template)
    while _GROUP.search(line):
        line = _GROUP.sub(lambda group: times(choice(group[1].split("|")), group[2]), line)
    return " ".join(_STRETCHED.sub(lambda letter: times(letter[1], "*"), line).split())


@cache
def read_templates(language: str, name: str) -> Templates:
    """One file of templates, as written."""
    text = (files("kuaihl.engines.cold_start") / "sentences" / language / f"{name}.txt").read_text(encoding="utf-8")
    templates = Templates()
    into: list[str] = []
    apart = False
    for line in filter(None, map(str.strip, text.splitlines())):
        if line.startswith("== slot "):
            into, apart = templates.slots.setdefault(line.removeprefix("== slot "), []), True
        elif line.startswith("== "):
            topic, kind = line.removeprefix("== ").split()
            into, apart = templates.lists.setdefault((topic, kind), []), False
        elif not line.startswith("# "):
            into.extend(line.split(" | ") if apart else [line])
    return templates
