"""A room over HLS: what stays of a broadcast when its stream has ended is not another one."""

import subprocess
from pathlib import Path

from support.http_media import MediaServer
from support.rtmp_server import find_ffmpeg
from support.serving import serving
from support.waiting import wait_until

from kuaihl.engines.scoring.model import Model


def test_a_playlist_that_was_ended_is_scored_once_and_the_room_waits(
    model: Model, media: MediaServer, flv: bytes, tmp_path: Path
) -> None:
    playlist = tmp_path / "pieces" / "live.m3u8"
    playlist.parent.mkdir()
    command = [find_ffmpeg(), "-loglevel", "error", "-i", "-", "-c", "copy", "-f", "hls", "-hls_time", "2"]
    subprocess.run([*command, "-hls_list_size", "0", playlist], input=flv, check=True)
    rooms = tmp_path / "rooms"
    with serving(model, rooms) as client:
        client.add("ann", media.grown("/hls", playlist))
        wait_until(lambda: client.get("/rooms/ann").json["detail"].endswith("as a recording; nobody is on air"))
        assert client.get("/rooms/ann").json["state"] == "waiting"
        (broadcast,) = (rooms / "ann").iterdir()
        assert [line["segment"] for line in client.scores("ann")] == list(range(4)), (
            "the last three pieces, and one more"
        )
    assert (broadcast / "highlights.json").exists()
    with serving(model, rooms) as client:
        wait_until(lambda: client.get("/rooms/ann").json["detail"].endswith("as a recording; nobody is on air"))
        assert list((rooms / "ann").iterdir()) == [broadcast], "a restart does not score it again"
