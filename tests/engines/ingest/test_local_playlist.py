"""HLS playlists on disk: whatever their writer left behind is read once, from the first piece to the last."""

import subprocess
import time
from pathlib import Path

import pytest
from support.rtmp_server import find_ffmpeg, make_broadcast

from kuaihl.engines.ingest.opening import open_source
from kuaihl.engines.ingest.packets import TimedPacket, packets

SECONDS, PIECE = 20.0, 2.0


@pytest.fixture(scope="module")
def unfinished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Ten pieces, as of a recorder that was killed."""
    folder = tmp_path_factory.mktemp("hls")
    whole = make_broadcast(folder / "whole.flv", seconds=SECONDS)
    command = [find_ffmpeg(), "-loglevel", "error", "-i", whole, "-c", "copy", "-f", "hls", "-hls_time", str(PIECE)]
    subprocess.run([*command, "-hls_list_size", "0", "-hls_flags", "omit_endlist", folder / "live.m3u8"], check=True)
    return folder / "live.m3u8"


def pictures_in(playlist: Path) -> list[TimedPacket]:
    with open_source(str(playlist)) as source:
        return [item for item in packets(source) if isinstance(item, TimedPacket) and item.kind == "video"]


def test_a_playlist_without_an_end_is_read_whole_and_at_once(unfinished: Path) -> None:
    began = time.process_time(), time.monotonic()
    found = pictures_in(unfinished)
    assert len(found) == SECONDS * 20
    assert found[-1].time - found[0].time == pytest.approx(SECONDS, abs=0.1)
    assert time.monotonic() - began[1] < time.process_time() - began[0] + PIECE  # it waits for no further piece


def test_its_length_is_known(unfinished: Path) -> None:
    with open_source(str(unfinished)) as source:
        assert source.duration == pytest.approx(SECONDS, abs=0.2) and not source.is_live


def test_so_is_a_playlist_that_names_one_without_an_end(unfinished: Path) -> None:
    master = unfinished.with_name("master.m3u8")
    master.write_text("#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=200000\nlive.m3u8\n", encoding="utf-8")
    assert len(pictures_in(master)) == SECONDS * 20


def test_a_playlist_with_an_end_is_read_as_it_is(unfinished: Path) -> None:
    ended = unfinished.with_name("ended.m3u8")
    ended.write_text(unfinished.read_text(encoding="utf-8") + "#EXT-X-ENDLIST\n", encoding="utf-8")
    assert len(pictures_in(ended)) == SECONDS * 20


def test_pieces_that_are_encrypted_are_read_too(unfinished: Path) -> None:
    folder = unfinished.parent
    (folder / "key.ts").write_bytes(bytes(range(16)))
    (folder / "key.txt").write_text(f"key.ts\n{folder / 'key.ts'}\n", encoding="utf-8")
    command = [find_ffmpeg(), "-loglevel", "error", "-t", "4", "-i", folder / "whole.flv", "-c", "copy", "-f", "hls"]
    command += ["-hls_time", "1", "-hls_key_info_file", folder / "key.txt", "-hls_flags", "omit_endlist"]
    subprocess.run([*command, folder / "secret.m3u8"], check=True)
    assert len(pictures_in(folder / "secret.m3u8")) == 4 * 20
