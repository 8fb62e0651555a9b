"""The recordings below an address in an object store, and the comments beside one, as those of a folder."""

import time
from collections.abc import Container
from pathlib import Path, PurePosixPath

from kuaihl.engines.archive.jobs import Archive, Job, LeftOut
from kuaihl.engines.archive.names import MEDIA_SUFFIXES, path_name, room_id
from kuaihl.engines.archive.recordings import (
    COMMENT_SUFFIXES,
    MIN_AGE,
    comments_beside,
    is_named_like_comments,
    why_no_name,
    why_young,
)
from kuaihl.engines.stores.store import StoredObject, list_objects
from kuaihl.engines.stores.urls import is_stored, join_url, parent_url, split_url
from kuaihl.models.errors import SourceError, UsageError


def find_comments(source: str) -> str | Path | None:
    """The comments beside a recording, in a folder or in a store. Raises SourceError if a store cannot be asked."""
    if not is_stored(source):
        return comments_beside(Path(source))
    folder, (bucket, key) = parent_url(source), split_url(source)
    stem = key.removesuffix(PurePosixPath(key).suffix)
    beside = set()
    for one in list_objects(folder, after=stem):
        if not one.url.startswith(join_url(bucket, stem)):  # keys come in their order
            break
        beside.add(one.url)
    return _comments_among(beside, source)


def read_store(url: str, folder: Path, *, results: str | None, min_age: float = MIN_AGE) -> Archive:
    """The rooms below an address, each with a run folder in `folder`; what lies below `results` is left alone.

    A recording that changed less than `min_age` seconds ago by the store's clock is left out, and so is one whose
    comments did. Raises SourceError if there are none or the store cannot be asked, UsageError if the results would
    lie among the recordings.
    """
    url = url.rstrip("/")
    if results is not None and results.rstrip("/") == url:
        raise UsageError(f"{url}: is the address of the recordings; name another one for the results")
    media, comments, others = _sort(url, results)
    now, read = time.time(), set[str]()
    rooms, left_out = list[Job](), list[LeftOut]()
    for one in media:
        beside = _comments_among(comments, one.url)
        age = None if beside is None else _age(comments[beside], now)
        if beside is not None:
            read.add(beside)
        parts = one.url.removeprefix(url + "/").split("/")
        if (reason := why_young(_age(one, now), age, min_age)) is not None:
            left_out.append(LeftOut(one.url, reason, is_growing=True, name=path_name(parts)))
            continue
        listed = f"{_version(one)} {'' if beside is None else _version(comments[beside])}".rstrip()
        rooms.append(Job(one.url, folder / path_name(parts), beside, room=room_id("__".join(parts)), listed=listed))
    for other in others:
        if other not in read:
            name = PurePosixPath(other)
            left_out.append(LeftOut(other, str(why_no_name(name)), name.suffix.lower() not in MEDIA_SUFFIXES))
    if not rooms and all(one.is_expected for one in left_out):
        raise SourceError(f"{url}: no recordings below this address ({' '.join(sorted(MEDIA_SUFFIXES))})")
    return Archive(tuple(rooms), tuple(left_out))


def _sort(url: str, results: str | None) -> tuple[list[StoredObject], dict[str, StoredObject], list[str]]:
    """Recordings, objects with a name of comments, and the addresses of everything that is no recording."""
    media, comments, others = list[StoredObject](), dict[str, StoredObject](), list[str]()
    ours = None if results is None else results.rstrip("/") + "/"
    for one in list_objects(url):
        if ours is not None and one.url.startswith(ours):
            continue
        name = PurePosixPath(one.url)
        if why_no_name(name) is None:
            media.append(one)
        elif one.size or name.suffix:  # without both it is what consoles put in the place of a folder
            others.append(one.url)
            if is_named_like_comments(name):
                comments[one.url] = one
    return media, comments, others


def _comments_among(names: Container[str], recording: str) -> str | None:
    stem = recording.removesuffix(PurePosixPath(recording).suffix)
    candidates = (stem + written for suffix in COMMENT_SUFFIXES for written in (suffix, suffix.upper()))
    return next((one for one in candidates if one in names), None)


def _age(stored: StoredObject, now: float) -> float:
    return max(now - stored.modified, 0.0)


def _version(stored: StoredObject) -> str:
    return f"{stored.size}:{stored.modified:.0f}:{stored.tag}"
