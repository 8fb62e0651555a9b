"""Media in an object store: read as a file on disk is, from a real S3 server."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from support.media import make
from support.s3_server import KEY_ID, SECRET, TOKEN, S3Server

from kuaihl.engines.ingest import opening
from kuaihl.engines.ingest.opening import open_source
from kuaihl.engines.ingest.packets import TimedPacket, packets
from kuaihl.engines.stores import file as file_module
from kuaihl.models.errors import KuaihlError, SourceError, SourceUnavailable

BLOCK = 16 << 10
TAILS = {"ts": 500_000}  # bytes that FFmpeg reads once more for the length of a transport stream


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """A short recording has many blocks."""
    monkeypatch.setattr(file_module, "_BLOCK", BLOCK)
    monkeypatch.setattr(opening, "BUFFER_BYTES", BLOCK)


def recording(made: Path, suffix: str) -> Path:
    path = made / f"stored.{suffix}"
    return path if path.exists() else make(path, seconds=20.0, gop=1, size=(768, 384))


def content_of(source: str) -> Iterator[object]:
    """All that a reader learns of a source."""
    with open_source(source) as opened:
        yield opened.duration, opened.origin, opened.is_live, opened.promised
        for item in packets(opened):
            yield (item.kind, item.time, bytes(item.packet)) if isinstance(item, TimedPacket) else item
        yield opened.shortfall


@pytest.mark.parametrize("suffix", ["flv", "ts", "mkv", "mp4"])
def test_an_object_is_read_as_a_file_is_and_its_bytes_come_about_once(made: Path, s3: S3Server, suffix: str) -> None:
    path = recording(made, suffix)
    url = s3.put(f"reading/room.{suffix}", path.read_bytes())
    assert path.stat().st_size > 12 * BLOCK, "more than is kept in memory"

    assert list(content_of(url)) == list(content_of(str(path)))

    assert s3.sent[f"reading/room.{suffix}"] <= path.stat().st_size + TAILS.get(suffix, 0) + 2 * BLOCK


def test_an_object_that_is_replaced_while_it_is_read_ends_the_reading(made: Path, s3: S3Server) -> None:
    url = s3.put("replaced/room.flv", recording(made, "flv").read_bytes())
    items = content_of(url)
    next(items)
    s3.put("replaced/room.flv", b"FLV of somebody else" * 50_000)

    with pytest.raises(SourceError, match="was replaced while it was read"):
        list(items)


def test_a_store_that_fails_in_the_middle_is_no_damaged_recording(made: Path, s3: S3Server) -> None:
    for suffix in ("flv", "mp4"):  # one is read in parts, the other by FFmpeg itself
        url = s3.put(f"failing/room.{suffix}", recording(made, suffix).read_bytes())
        items = content_of(url)
        next(items)
        s3.refuse = lambda _method, _path: 503

        with pytest.raises(SourceUnavailable, match=r"the store is in trouble \(503\)"):
            list(items)
        s3.refuse = lambda _method, _path: None


@pytest.mark.parametrize(
    ("key", "content", "words"),
    [
        ("odd/gone.flv", None, "no such object"),
        ("odd/empty.flv", b"", "the object is empty"),
        ("odd/notes.flv", b"not media\n" * 500, "not media"),
        ("odd/list.m3u8", b"#EXTM3U\n/etc/passwd\n", "a playlist"),
        ("odd/list.ffconcat", b"ffconcat version 1.0\nfile /etc/passwd\n", "cannot be read|no permission"),
        ("odd//part.flv", None, "a key with an empty part"),
    ],
)
def test_what_is_no_recording_is_said_in_one_line(s3: S3Server, key: str, content: bytes | None, words: str) -> None:
    if content is not None:
        s3.put(key, content)

    with pytest.raises(SourceError, match=words):
        open_source(s3.url(key))


@pytest.mark.parametrize(
    ("status", "kind", "words"),
    [
        (403, SourceError, "the store refuses access"),
        (400, SourceError, r"refuses the request \(400\)"),
        (500, SourceUnavailable, r"in trouble \(500\)"),
    ],
)
def test_a_refusal_does_not_repeat_what_the_server_says_of_keys(
    s3: S3Server, status: int, kind: type[KuaihlError], words: str
) -> None:
    s3.refuse = lambda _method, _path: status

    with pytest.raises(kind, match=words) as raised:
        open_source(s3.url("refused/room.flv"))

    told = f"{raised.getrepr(chain=True)}{raised.value!r}"
    assert not any(secret in told for secret in (KEY_ID, SECRET, TOKEN))


def test_credentials_in_a_url_are_refused_and_not_repeated(s3: S3Server) -> None:
    with pytest.raises(SourceError, match="credentials do not belong") as raised:
        open_source(s3.url("room.flv").replace("s3://", f"s3://{KEY_ID}:{SECRET}@"))

    assert KEY_ID not in str(raised.value) and SECRET not in str(raised.value)
