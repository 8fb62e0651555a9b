"""Transport streams whose programs and PIDs change midway: each stream is followed, wherever the bytes come from."""

import gc
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from support.http_media import media_server
from support.media import make, number_in, second_heard

from kuaihl.engines.ingest.live import ReconnectPolicy, live_packets
from kuaihl.engines.ingest.opening import open_source
from kuaihl.engines.ingest.packets import TimedPacket, packets
from kuaihl.engines.segmenter.segmenter import segments
from kuaihl.engines.types import Segment

pytestmark = pytest.mark.timeout(60)

SECONDS = 10.0  # of each part
PACKET = 188
PIDS = {"mpegts_start_pid": "0x200"}
PROGRAM = {"mpegts_start_pid": "0x300", "mpegts_pmt_start_pid": "0x400", "mpegts_service_id": "7"}


def part(folder: Path, index: int, name: str = "", **changes: Any) -> bytes:
    """Seconds 10·`index` to 10·(`index` + 1) of one broadcast."""
    at = index * SECONDS
    path = folder / f"part{name}{index}.ts"
    return make(path, seconds=SECONDS, first_number=round(at), start=at, **changes).read_bytes()


def cut(source: str) -> list[Segment]:
    with open_source(source) as opened:
        return list(segments(packets(opened), segment_seconds=5.0))


def assert_whole(found: list[Segment], seconds: float = 20.0, *, sound_from: int = 0) -> None:
    """Every picture shows its time, every second from `sound_from` on is heard, and nothing moved the clock."""
    assert found[-1].end == pytest.approx(seconds, abs=0.1)
    assert "gap" not in kinds(found) and "rebase" not in kinds(found)
    for segment in found:
        assert len(segment.frames) == 3
        for frame in segment.frames:
            assert number_in(frame) / 10 == pytest.approx(frame.time, abs=0.06)
        assert segment.frames[-1].time > segment.end - 2.6
        for second in range(int(segment.start), int(segment.end - 0.5)):
            if second >= sound_from:
                assert second_heard(segment, second + 0.5) == second


def kinds(found: list[Segment]) -> list[str]:
    return [event.kind for segment in found for event in segment.events]


@contextmanager
def fifo(folder: Path, data: bytes) -> Iterator[str]:
    """A named pipe and its writer."""
    path = folder / "pipe.ts"
    path.unlink(missing_ok=True)
    os.mkfifo(path)
    writer = threading.Thread(target=path.write_bytes, args=(data,))
    writer.start()
    yield str(path)
    writer.join(10)


def test_containers_of_earlier_pids_are_let_go(made: Path) -> None:
    path = made / "often.ts"
    path.write_bytes(3 * (part(made, 0) + part(made, 1, muxer=PIDS)))
    with open_source(str(path)) as source:
        alive = [_containers() for item in packets(source) if isinstance(item, TimedPacket) and item.keyframe]
    assert len(alive) > 6 and max(alive) <= 2, alive


def _containers() -> int:
    gc.collect()  # a container and its streams hold each other
    return sum(type(one).__name__ == "InputContainer" for one in gc.get_objects())


@pytest.mark.parametrize("muxer", [PIDS, PROGRAM], ids=["pids", "program"])
def test_streams_under_other_pids_are_followed(made: Path, muxer: dict[str, str]) -> None:
    path = made / "other.ts"
    path.write_bytes(part(made, 0) + part(made, 1, muxer=muxer))
    assert_whole(cut(str(path)))


def test_a_pipe_and_a_server_give_what_the_file_gives(made: Path) -> None:
    path = made / "three.ts"
    path.write_bytes(part(made, 0) + part(made, 1, muxer=PIDS) + part(made, 2, muxer=PROGRAM))
    as_file = cut(str(path))
    assert_whole(as_file, 30.0)
    with fifo(made, path.read_bytes()) as pipe:
        assert_same(cut(pipe), as_file)
    with media_server() as server:
        assert_same(cut(server.file("/three.ts", path, "video/mp2t")), as_file)


def test_pieces_of_a_playlist_may_have_any_name_and_other_pids(made: Path) -> None:
    folder = made / "pieces"
    folder.mkdir()
    (folder / "zero.jpg").write_bytes(part(made, 0))
    (folder / "one").write_bytes(part(made, 1, muxer=PIDS))
    pieces = [f"#EXTINF:{SECONDS},\n{name}" for name in ("zero.jpg", "one")]
    lines = ["#EXTM3U", f"#EXT-X-TARGETDURATION:{SECONDS:.0f}", *pieces, "#EXT-X-ENDLIST"]
    (folder / "list.m3u8").write_text("\n".join(lines))
    with media_server() as server:
        assert_whole(cut(server.folder("/room", folder) + "/list.m3u8"))


def assert_same(found: list[Segment], expected: list[Segment]) -> None:
    assert len(found) == len(expected)
    for one, other in zip(found, expected, strict=True):
        assert (one.start, one.end, one.events, one.keyframe_times) == (
            other.start, other.end, other.events, other.keyframe_times,
        )  # fmt: skip
        assert (one.audio == other.audio).all()
        assert all((a.image == b.image).all() for a, b in zip(one.frames, other.frames, strict=True))


def test_sound_that_joins_a_program_is_heard(made: Path) -> None:
    path = made / "joins.ts"
    path.write_bytes(part(made, 0, audio=None) + part(made, 1))
    assert_whole(cut(str(path)), sound_from=10)


def test_another_codec_under_the_same_pid_is_a_change_of_header(made: Path) -> None:
    path = made / "codec.ts"
    path.write_bytes(part(made, 0) + part(made, 1, video="libx265"))
    found = cut(str(path))
    assert_whole(found)
    assert kinds(found) == ["header_change", "eof"]


def test_a_broadcast_without_changes_is_one_part(made: Path) -> None:
    path = made / "one.ts"
    path.write_bytes(part(made, 0) + part(made, 1))
    with open_source(str(path)) as source:
        first = source.container
        assert sum(1 for _ in packets(source)) > 400
        assert source.container is first


@pytest.mark.parametrize("head", [0, 4], ids=["188", "192"])
def test_damage_before_a_change_does_not_hide_it(made: Path, head: int) -> None:
    raw = part(made, 0) + part(made, 1, muxer=PIDS)
    packed = [bytes(head) + raw[at : at + PACKET] for at in range(0, len(raw), PACKET)]
    packed.insert(len(packed) // 4, b"\x47\x00" * 50 + b"?")
    path = made / "damaged.ts"
    path.write_bytes(b"".join(packed))
    found = cut(str(path))
    assert found[-1].end == pytest.approx(20.0, abs=0.1)
    assert [number_in(frame) for frame in found[-1].frames] == pytest.approx([158, 174, 191], abs=8)
    assert second_heard(found[-1], 17.5) == 17


def ever_new(made: Path) -> bytes:
    """Other PIDs, then another program, then another codec."""
    return part(made, 0) + part(made, 1, muxer=PIDS) + part(made, 2, muxer=PROGRAM) + part(made, 3, video="libx265")


def test_a_live_stream_over_http_is_followed(made: Path) -> None:
    with media_server() as server:
        source = open_source(server.live("/live.ts", ever_new(made)))
        assert source.is_live
        found = list(segments(live_packets(source, policy=ReconnectPolicy(tries=0)), segment_seconds=5.0))
    assert_whole(found, 40.0)
    assert kinds(found) == ["header_change", "eof"]
