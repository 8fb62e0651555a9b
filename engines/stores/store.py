"""The objects of a store: looked up, listed in pages, read by range, put and deleted.

obstore is the client: one Rust library for S3, Google Cloud Storage and Azure, without further dependencies. It takes
credentials from the environment or the machine's role, and tries again by itself.
"""

import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kuaihl.engines.stores.urls import join_url, split_url
from kuaihl.models.errors import SourceError, SourceUnavailable, UsageError

if TYPE_CHECKING:
    from obstore.store import ObjectStore

_REQUEST_SECONDS = 30  # the longest that one request may take, …
_RETRY_SECONDS = 60  # … and that a failed one is tried again
_RETRIES = 5
_PAGE = 1000  # objects; no store lists more at once

_STATUS = re.compile(r"status code: (\d{3})")
_ASKED_MACHINE = ("169.254.169.254", "metadata.google.internal", "169.254.170.")  # where a machine's role is known
_NO_CREDENTIALS = re.compile("|".join(map(re.escape, _ASKED_MACHINE)) + "|credential|token request", re.I)
_SET_THEM = "set the store's variables (docs/configuration.md)"


@dataclass(frozen=True, slots=True)
class StoredObject:
    """An object as the store describes it."""

    url: str
    size: int  # bytes
    modified: float  # seconds since the epoch
    tag: str | None  # of this version of its content


class NoSuchObject(SourceError):
    """Nothing is at that address."""


class AlreadyStored(UsageError):
    """An object is there that was to be new: somebody else has put it."""


def look_up(url: str) -> StoredObject:
    """What is at an address. Raises SourceError if there is nothing, SourceUnavailable if the store does not answer."""
    import obstore

    bucket, key = split_url(url)
    with _in_our_words(url):
        return _described(bucket, obstore.head(_open_bucket(bucket), key))


def is_there(url: str) -> bool:
    """Whether an object is at an address. Raises as `look_up` if the store cannot be asked."""
    try:
        look_up(url)
    except NoSuchObject:
        return False
    return True


def list_objects(url: str, *, after: str = "") -> Iterator[StoredObject]:
    """All objects below an address, in the order of their keys, page by page; only those with a key behind `after`.

    Raises as `look_up`; a prefix without objects is no error.
    """
    import obstore

    bucket, key = split_url(url)
    with _in_our_words(url):
        for page in obstore.list(_open_bucket(bucket), key or None, offset=after or None, chunk_size=_PAGE):
            yield from (_described(bucket, one) for one in page)


def read_range(stored: StoredObject, start: int, end: int) -> bytes:
    """The bytes from `start` to before `end`. Raises as `look_up`, and SourceError if the object was replaced since."""
    import obstore

    if start >= end:
        return b""
    bucket, key = split_url(stored.url)
    with _in_our_words(stored.url):
        found = obstore.get(_open_bucket(bucket), key, options={"range": (start, end), "if_match": stored.tag})
        return bytes(found.bytes())


def fetch_file(url: str, path: Path) -> None:
    """Copy an object to a file. Raises as `look_up`, OSError if the file cannot be written."""
    import obstore

    bucket, key = split_url(url)
    with _in_our_words(url), path.open("wb") as file:
        for part in obstore.get(_open_bucket(bucket), key).stream():
            file.write(part)


def put_file(path: Path, url: str, *, only_if_new: bool = False) -> None:
    """Put a file to an address, large ones in pieces; it is there whole or not at all.

    Raises as `look_up`, OSError if the file cannot be read, and AlreadyStored if it is to be new and is not.
    """
    import obstore
    from obstore.exceptions import AlreadyExistsError

    bucket, key = split_url(url)
    with _in_our_words(url):
        try:
            if only_if_new:
                obstore.put(_open_bucket(bucket), key, path.read_bytes(), mode="create")
            else:
                obstore.put(_open_bucket(bucket), key, path)
        except AlreadyExistsError:
            raise AlreadyStored(f"{url}: another process has put it meanwhile; nothing was replaced") from None


def delete_objects(urls: Iterable[str]) -> None:
    """Delete objects of one bucket; those that are not there do not matter. Raises as `look_up`."""
    import obstore

    found = [split_url(url) for url in urls]
    if found:
        with _in_our_words(found[0][0]):
            obstore.delete(_open_bucket(found[0][0]), [key for _, key in found])


def _described(bucket: str, found: Any) -> StoredObject:
    return StoredObject(
        join_url(bucket, found["path"]), found["size"], found["last_modified"].timestamp(), found["e_tag"]
    )


@lru_cache(maxsize=16)
def _open_bucket(bucket: str) -> "ObjectStore":
    """The client of a bucket. Raises UsageError if its package is missing or the environment is wrong."""
    try:
        from obstore.exceptions import BaseError
        from obstore.store import from_url
    except ImportError as error:
        raise UsageError(f"{bucket}: to read and write object stores, run pip install 'kuaihl[objects]'") from error
    try:
        return from_url(
            bucket,
            client_options={"timeout": timedelta(seconds=_REQUEST_SECONDS), "allow_http": True},  # http only if named
            retry_config={"max_retries": _RETRIES, "retry_timeout": timedelta(seconds=_RETRY_SECONDS)},
        )
    except (BaseError, ValueError):
        raise UsageError(f"{bucket}: the settings of this store are incomplete or wrong; {_SET_THEM}") from None


@contextmanager
def _in_our_words(url: str) -> Iterator[None]:
    """Errors of the client in our words. Its own quote the server's answer, which may repeat a key or a token."""
    _open_bucket(split_url(url)[0])  # first: without its package there are no errors of it
    from obstore.exceptions import (
        BaseError,
        InvalidPathError,
        PermissionDeniedError,
        PreconditionError,
        UnauthenticatedError,
    )

    try:
        yield
    except FileNotFoundError as error:
        if error.filename is not None:  # a file of ours
            raise
        raise NoSuchObject(f"{url}: no such object; check the name") from None
    except PreconditionError:
        raise SourceError(f"{url}: was replaced while it was read; read it again") from None
    except (PermissionDeniedError, UnauthenticatedError):
        raise SourceError(f"{url}: the store refuses access; check the credentials and their rights") from None
    except (InvalidPathError, ValueError):
        raise SourceError(f"{url}: a key with an empty part, '.' or '..' cannot be read; rename the object") from None
    except BaseError as error:
        raise _worded(url, str(error)) from None


def _worded(url: str, said: str) -> SourceError:
    """The error for what the client said."""
    found = _STATUS.search(said)
    status = int(found[1]) if found else None
    if _NO_CREDENTIALS.search(said):
        return SourceError(f"{url}: no credentials for the store; {_SET_THEM}")
    if status == 404:
        return NoSuchObject(f"{url}: no such bucket; check the name")
    if status is not None and status < 500 and status != 429:
        return SourceError(f"{url}: the store refuses the request ({status}); check region, endpoint and credentials")
    answer = "does not answer" if status is None else f"is in trouble ({status})"
    return SourceUnavailable(f"{url}: the store {answer}; check endpoint and network, and try again")
