"""FLV whose streams appear late or change midway: each is followed, wherever the bytes come from."""

import os
import random
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import pytest
from support.http_media import media_server
from support.media import AUDIO_TAG, VIDEO_TAG, Tag, make, media_tags, retimed, write_flv

from kuaihl.engines.ingest.live import ReconnectPolicy, live_packets
from kuaihl.engines.ingest.opening import open_source
from kuaihl.engines.ingest.packets import TimedPacket, packets
from kuaihl.engines.types import Event

pytestmark = pytest.mark.timeout(60)

Way = Callable[[Path], AbstractContextManager[list[TimedPacket | Event]]]


@contextmanager
def as_file(path: Path) -> Iterator[list[TimedPacket | Event]]:
    with open_source(str(path)) as source:
        yield list(packets(source))


@contextmanager
def as_pipe(path: Path) -> Iterator[list[TimedPacket | Event]]:
    pipe = path.with_suffix(".pipe")
    os.mkfifo(pipe)
    writer = threading.Thread(target=pipe.write_bytes, args=(path.read_bytes(),))
    writer.start()
    with open_source(str(pipe)) as source:
        yield list(packets(source))
    writer.join(10)


@contextmanager
def as_download(path: Path) -> Iterator[list[TimedPacket | Event]]:
    with media_server() as server, open_source(server.file("/a.flv", path)) as source:
        assert not source.is_live
        yield list(packets(source))


@contextmanager
def as_live_stream(path: Path) -> Iterator[list[TimedPacket | Event]]:
    with media_server() as server:
        source = open_source(server.live("/live.flv", path.read_bytes()))
        assert source.is_live
        yield list(live_packets(source, policy=ReconnectPolicy(tries=0)))


WAYS = pytest.mark.parametrize("way", [as_file, as_pipe, as_download, as_live_stream])


def coded(found: list[TimedPacket | Event]) -> list[tuple[str, float, float]]:
    """Codec, time and size of every packet."""
    items = [item for item in found if isinstance(item, TimedPacket)]
    return [
        (item.packet.stream.codec_context.codec.canonical_name, round(item.time, 3), item.packet.size) for item in items
    ]


@pytest.fixture(scope="module")
def ten(made: Path) -> list[Tag]:
    return media_tags(make(made / "ten_seconds.flv", seconds=10.0))


def first_time(found: list[TimedPacket | Event], codec: str) -> float:
    return min(time for name, time, _ in coded(found) if name == codec)


@WAYS
@pytest.mark.parametrize(("kind", "codec"), [(AUDIO_TAG, "aac"), (VIDEO_TAG, "h264")], ids=["sound", "picture"])
def test_a_stream_that_appears_late_is_followed(
    way: Way, kind: int, codec: str, ten: list[Tag], tmp_path: Path
) -> None:
    late = [tag for tag in ten if tag.kind != kind or tag.ms >= 6000]
    configuration = next(tag for tag in ten if tag.kind == kind and tag.is_header)
    at = next(number for number, tag in enumerate(late) if tag.kind == kind)
    expected = sum(tag.is_media for tag in late)
    raw = write_flv(tmp_path / "late.flv", [*late[:at], *retimed([configuration], lambda _: 6000), *late[at:]])
    # Its header speaks of one stream alone, so that FFmpeg does not wait for the other.
    raw.write_bytes(raw.read_bytes().replace(b"FLV\x01\x05", b"FLV\x01" + (b"\x01", b"\x04")[kind == VIDEO_TAG], 1))
    with way(raw) as found:
        assert 5.9 < first_time(found, codec) < 6.2
        assert len(coded(found)) == pytest.approx(expected, abs=2)


@WAYS
def test_another_codec_midway_is_followed(way: Way, ten: list[Tag], made: Path, tmp_path: Path) -> None:
    second = media_tags(make(made / "hevc_ten.flv", seconds=10.0, video="libx265", audio="libmp3lame", rate=44_100))
    path = write_flv(tmp_path / "codecs.flv", [*ten, *retimed(second, lambda ms: ms + 10_000)])
    with way(path) as found:
        assert {name for name, time, _ in coded(found) if time > 10.2} == {"hevc", "mp3"}
        assert [item.kind for item in found if isinstance(item, Event)] == ["header_change"] * 2 + ["eof"]


def random_parts(ten: list[Tag], chance: random.Random) -> list[Tag | bytes]:
    """Ten seconds in which streams come and go and bytes are damaged."""
    parts: list[Tag | bytes] = []
    gone: dict[int, int] = {}  # until when a stream is away, in ms
    for tag in ten:
        if chance.random() < 0.01:
            gone[chance.choice((AUDIO_TAG, VIDEO_TAG))] = tag.ms + chance.randrange(3000)
        if chance.random() < 0.005:
            parts.append(chance.randbytes(chance.randrange(1, 4000)))
        if tag.ms >= gone.get(tag.kind, 0) or tag.is_header:
            parts.append(tag)
    return parts


@pytest.mark.parametrize("seed", range(5))
def test_every_way_in_gives_the_same_packets(seed: int, ten: list[Tag], tmp_path: Path) -> None:
    path = write_flv(tmp_path / "random.flv", random_parts(ten, random.Random(seed)))
    ways: list[Any] = [as_file, as_pipe, as_download]
    results = []
    for way in ways:
        with way(path) as found:
            results.append((coded(found), [item for item in found if isinstance(item, Event)]))
    assert results[0] == results[1] == results[2]
    assert len(results[0][0]) > 100


def test_what_a_pipe_brings_is_passed_on_at_once(ten: list[Tag], tmp_path: Path) -> None:
    """The writer waits for the reader: the tags of each half second, before more is written."""
    path = write_flv(tmp_path / "slow.flv", ten)
    data, pipe = path.read_bytes(), tmp_path / "slow"
    os.mkfifo(pipe)
    half = len(data) * 7 // 10
    read_so_far = threading.Event()

    def write() -> None:
        with pipe.open("wb", buffering=0) as file:
            file.write(data[:half])
            assert read_so_far.wait(30)
            file.write(data[half:])

    writer = threading.Thread(target=write)
    writer.start()
    with open_source(str(pipe)) as source:
        for packet in source.read():
            assert packet is not None
            if (packet.dts or 0) >= 6500:
                read_so_far.set()
    writer.join(10)
    assert read_so_far.is_set()
