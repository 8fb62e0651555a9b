"""run.json: the source, options and weights that a run folder's scores were made from (docs/output.md).

A later run compares its own record with the one in the folder. It then knows whether the scores are still good, and if
not, the reason on one line.
"""

import hashlib
import json
import os
import stat
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from kuaihl.engines.highlights.choice import Choice
from kuaihl.engines.highlights.clip_style import ClipStyle, style_entries
from kuaihl.engines.outputs.atomic import write_output
from kuaihl.engines.outputs.highlights_json import TIME_DECIMALS, Setting
from kuaihl.engines.outputs.run_folder import RECORD_FILE, has_scores, is_finished, was_interrupted
from kuaihl.engines.stores.store import look_up, read_range
from kuaihl.engines.stores.urls import is_stored
from kuaihl.engines.types import MediaFacts
from kuaihl.models.credentials import shown_source
from kuaihl.models.errors import SourceError
from kuaihl.models.json_text import parse_json

_FORMAT_VERSION = 1  # raised by one if a key is renamed or means something else
_FASTEST = 1000  # frames per second
_END_BYTES = 64 << 10  # of each end of a file that its digest covers


@dataclass(frozen=True)
class SourceIdentity:
    """What tells one source from another: its content for a file, its name for a stream."""

    name: str  # a URL without credentials
    size: int | None = None  # bytes; None, like the others, for what can be read only once
    modified_ns: int | None = None  # since the epoch
    ends_sha256: str | None = None  # of the first and the last 64 KiB


@dataclass(frozen=True)
class RunRecord:
    """All that scores depend on, and the files that were asked for beside them."""

    source: SourceIdentity
    comments: SourceIdentity | None
    bundle: str  # its name
    bundle_sha256: str  # of its head
    encoders: Mapping[str, str] = field(default_factory=dict)  # SHA-256 of the weights by role
    options: Mapping[str, Setting] = field(default_factory=dict)  # those that change scores
    products: Mapping[str, Setting] = field(default_factory=dict)  # those that change highlights and other files
    execution: Mapping[str, Setting] = field(default_factory=dict)  # what ran: it changes scores only within rounding
    media: MediaFacts | None = None  # for editors; None for a stream. It follows from the source, so it is not compared


def identify_source(source: str) -> SourceIdentity:
    """The identity of a path, a URL or `-`; only a regular file, or an object in a store, is opened.

    Raises SourceError if it cannot be read.
    """
    if is_stored(source):
        return _identify_stored(source)
    if source == "-" or ("://" in source and not source.startswith("file://")):
        return SourceIdentity(shown_source(source))
    path = Path(unquote(urlsplit(source).path) if source.startswith("file://") else source)
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):  # to open a pipe would take its writer's first bytes
            return SourceIdentity(source)
        with path.open("rb") as file:
            digest = hashlib.sha256(file.read(_END_BYTES))
            file.seek(max(status.st_size - _END_BYTES, 0), os.SEEK_SET)
            digest.update(file.read(_END_BYTES))
    except (OSError, ValueError) as error:  # ValueError: a NUL in the name
        raise SourceError(f"{source}: cannot be read ({getattr(error, 'strerror', None) or error})") from error
    return SourceIdentity(source, status.st_size, status.st_mtime_ns, digest.hexdigest())


def _identify_stored(url: str) -> SourceIdentity:
    """As of a file: a copy on disk has the same size and the same ends."""
    stored = look_up(url)
    digest = hashlib.sha256(read_range(stored, 0, min(_END_BYTES, stored.size)))
    digest.update(read_range(stored, max(stored.size - _END_BYTES, 0), stored.size))
    return SourceIdentity(shown_source(url), stored.size, round(stored.modified * 1e9), digest.hexdigest())


def find_media(folder: Path, source: str, record: RunRecord) -> Path | None:
    """The recording of a run folder: in it, beside it, at `source`, or where it was scored; None for a stream.

    A file of another size than the one that was scored is not it, unless it is at a `source` that was named anew.
    """
    if "://" in source or source == "-":
        return None
    path = Path(source)
    places, size = [folder / path.name, folder.resolve().parent / path.name, path], None
    if source == record.source.name:
        size = record.source.size
        places += [Path(record.media.path)] if record.media is not None else []  # absolute
    for place in places:
        with suppress(OSError, ValueError):
            if place.is_file() and size in (None, place.stat().st_size):
                return place
    return None


def difference(recorded: RunRecord, wanted: RunRecord) -> str | None:
    """The first reason, in words, why the scores of one run are not those of the other; None if they are."""
    return next(_differences(recorded, wanted), None)


def _differences(recorded: RunRecord, wanted: RunRecord) -> Iterator[str]:
    if changed := identity_change(recorded.source, wanted.source):
        yield f"the source {changed}"
    if recorded.comments is None or wanted.comments is None:
        if recorded.comments != wanted.comments:
            yield "comments were left out" if recorded.comments is None else "comments were read"
    elif changed := identity_change(recorded.comments, wanted.comments):
        yield f"the comments' file {changed}"
    if recorded.bundle_sha256 != wanted.bundle_sha256:
        yield f"the model was {recorded.bundle} {recorded.bundle_sha256[:12]}"
    for role in sorted(recorded.encoders.keys() | wanted.encoders.keys()):
        if recorded.encoders.get(role) != wanted.encoders.get(role):
            yield f"the {role} weights were {str(recorded.encoders.get(role))[:12]}"
    yield from _changed_settings(recorded.options, wanted.options)


def identity_change(recorded: SourceIdentity, wanted: SourceIdentity) -> str | None:
    """How a source has changed. The name of a file does not count: an archive may move."""
    if recorded.size is None and wanted.size is not None and recorded.name == wanted.name:
        return "was still written then, and comments may have come late"
    if recorded.size is None or wanted.size is None:
        return None if recorded == wanted else f"was {recorded.name}"
    if recorded.size != wanted.size:
        return f"has changed (it had {recorded.size} bytes, now {wanted.size})"
    if recorded.ends_sha256 != wanted.ends_sha256:
        return "has changed (its beginning or end is another)"
    if recorded.modified_ns != wanted.modified_ns:
        return "has changed (it was written to since)"
    return None


def _changed_settings(recorded: Mapping[str, Setting], wanted: Mapping[str, Setting]) -> Iterator[str]:
    for name in sorted(recorded.keys() | wanted.keys()):
        if recorded.get(name) != wanted.get(name):
            yield f"{name} was {json.dumps(recorded.get(name), ensure_ascii=False)}"


def lacking_product(recorded: RunRecord, wanted: RunRecord) -> str | None:
    """The first file or choice, in words, that an earlier run did not make as wanted; None if all is there."""
    for name in ("clips", "plot", "report"):
        if wanted.products.get(name) and not recorded.products.get(name):
            return f"{name} are missing" if name == "clips" else f"the {name} is missing"
    made = set(str(recorded.products.get("formats") or "").split(","))
    for one in filter(None, str(wanted.products.get("formats") or "").split(",")):
        if one.strip() not in {name.strip() for name in made}:
            return f"{one.strip()} is missing"
    usual: dict[str, Setting] = choice_entries(Choice())
    if wanted.products.get("clips"):
        usual |= style_entries(ClipStyle())
    before, now = ({name: one.products.get(name, usual[name]) for name in usual} for one in (recorded, wanted))
    return next(_changed_settings(before, now), None)


def choice_entries(choice: Choice) -> dict[str, Setting]:
    """A choice of highlights as run.json and highlights.json have it; times as they are typed."""
    least, most = choice.length
    before, after = choice.padding
    return {
        "top": choice.top,
        "min_score": choice.min_score,
        "length": f"{_typed(least)}:{_typed(most)}",
        "padding": f"{_typed(before)},{_typed(after)}",
        "per_hour": choice.per_hour,
        "overlap": choice.overlap,
        "boundaries": choice.boundaries,
    }


def parse_choice(settings: Mapping[str, Any]) -> Choice:
    """The inverse of `choice_entries`. Raises KeyError, TypeError, ValueError or UsageError for something else."""
    least, most = (float(one.removesuffix("s")) for one in settings["length"].split(":"))
    before, after = (float(one.removesuffix("s")) for one in settings["padding"].split(","))
    return Choice(
        top=settings["top"],
        min_score=settings["min_score"],
        length=(least, most),
        padding=(before, after),
        per_hour=settings["per_hour"],
        overlap=settings["overlap"],
        boundaries=settings.get("boundaries", "sentences"),  # as it was before there was a choice
    )


def _typed(seconds: float) -> str:
    """`2s`, `1.5s`."""
    return f"{round(seconds, TIME_DECIMALS):.12g}s"


def reason_to_score(folder: Path, wanted: RunRecord) -> str | None:
    """The reason, in words, to score a source although it has a run folder; None if its scores are still good.

    A file that is damaged or cut off has no end to read to. Its scores are all there is until the file changes.
    """
    recorded = read_record(folder)
    read_whole = recorded is not None and recorded.source.size is not None and not was_interrupted(folder)
    if not is_finished(folder) and not (read_whole and has_scores(folder)):
        return "no earlier run read it to its end"
    if recorded is None:
        return f"no {RECORD_FILE} says what was scored"
    return difference(recorded, wanted)


def can_go_on(folder: Path, wanted: RunRecord) -> bool:
    """Whether a run that was interrupted there has scores that are still good."""
    recorded = read_record(folder)
    return was_interrupted(folder) and recorded is not None and difference(recorded, wanted) is None


def reason_to_remake(folder: Path, wanted: RunRecord) -> str | None:
    """The reason, in words, to choose the highlights of good scores anew; None if all that is wanted is there."""
    recorded = read_record(folder)
    return None if recorded is None else lacking_product(recorded, wanted)


def write_record(folder: Path, record: RunRecord) -> None:
    """Write run.json, whole or not at all. Raises UsageError if it cannot be written."""
    entries = {"version": _FORMAT_VERSION} | asdict(record)
    if record.media is not None:
        entries["media"]["rate"] = str(record.media.rate)
    text = json.dumps(entries, ensure_ascii=False, indent=2)
    write_output(folder / RECORD_FILE, text + "\n")


def read_record(folder: Path) -> RunRecord | None:
    """The record of a run folder; None if there is none, or none that this version reads."""
    try:
        said = parse_json((folder / RECORD_FILE).read_text(encoding="utf-8"))
        if said.pop("version") != _FORMAT_VERSION:
            return None
        return _parse_record(said)
    except (OSError, ValueError, TypeError, KeyError, AttributeError, ZeroDivisionError):
        return None


def _parse_media(said: dict[str, Any]) -> MediaFacts:
    rate = Fraction(said["rate"])
    if not 1 <= round(rate) <= _FASTEST:
        raise ValueError(f"{rate} frames per second")
    return MediaFacts(**said | {"rate": rate})


def _parse_record(said: dict[str, Any]) -> RunRecord:
    comments, media = said.pop("comments"), said.pop("media", None)
    return RunRecord(
        source=SourceIdentity(**said.pop("source")),
        comments=None if comments is None else SourceIdentity(**comments),
        media=None if media is None else _parse_media(media),
        **said,
    )
