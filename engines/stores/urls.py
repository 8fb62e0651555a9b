"""Addresses in object stores, `s3://bucket/room/day.flv`: a bucket and the key as it is, with nothing encoded in it."""

from kuaihl.models.errors import SourceError

SCHEMES = ("s3", "s3a", "gs", "az")


def is_stored(name: str) -> bool:
    """Whether a name is an address in an object store; FFmpeg reads all other URLs itself."""
    scheme, separator, _ = name.partition("://")
    return bool(separator) and scheme.lower() in SCHEMES


def split_url(url: str) -> tuple[str, str]:
    """The address of the bucket, and the key without a slash at its end. Raises SourceError for a URL without a bucket.

    A URL with credentials in it is refused as well: it would be in shell histories and lists of processes.
    """
    scheme, _, rest = url.partition("://")
    bucket, _, key = rest.partition("/")
    if "@" in bucket:
        raise SourceError(f"{url}: credentials do not belong into a URL; give them as docs/configuration.md says")
    if not bucket:
        raise SourceError(f"{url}: no bucket; write {scheme}://BUCKET/KEY")
    return f"{scheme.lower()}://{bucket}", key.rstrip("/")


def join_url(folder: str, *parts: str) -> str:
    """The address of what lies below another one."""
    return "/".join((folder.rstrip("/"), *parts))


def parent_url(url: str) -> str:
    """The address of the folder of an object, without a slash at its end."""
    bucket, key = split_url(url)
    return join_url(bucket, key.rpartition("/")[0]) if "/" in key else bucket


def base_name(url: str) -> str:
    """The last part of a key: `day.flv`."""
    return split_url(url)[1].rpartition("/")[2]
