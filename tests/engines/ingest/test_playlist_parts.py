"""HLS whose streams change midway: behind a discontinuity every picture is seen and every second heard."""

import io
import os
import time
from functools import partial
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest
from support.http_media import MediaServer, begin_stream, media_server
from support.media import make, number_in, second_heard

from kuaihl.engines.ingest.live import ReconnectPolicy, live_packets
from kuaihl.engines.ingest.opening import open_source
from kuaihl.engines.ingest.packets import packets
from kuaihl.engines.ingest.playlist_parts import PlaylistParts
from kuaihl.engines.segmenter.segmenter import segments
from kuaihl.engines.types import Event, Segment
from kuaihl.models.errors import SourceError

PIECE = 2  # seconds
LASTS = 6  # seconds of each part
FMP4 = {"hls_segment_type": "fmp4"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("hls")


def entries(folder: Path, name: str, first: int, muxer: dict[str, str], **changes: Any) -> list[str]:
    """Seconds `first` to `first` + LASTS of a broadcast in pieces, with stamps from 0: their lines in a playlist."""
    suffix = "m4s" if muxer else "ts"
    names = {"hls_segment_filename": f"{folder}/{name}_%d.{suffix}", "hls_fmp4_init_filename": f"{name}_init.mp4"}
    options = {"hls_time": str(PIECE), "hls_list_size": "0", **names, **muxer}
    made = make(folder / f"{name}.m3u8", seconds=LASTS, first_number=first, muxer=options, **changes)
    kept = ("#EXTINF", "#EXT-X-MAP", name)
    return [line for line in made.read_text(encoding="utf-8").splitlines() if line.startswith(kept)]


def playlist(*lines: str, number: int = 0) -> str:
    head = ["#EXTM3U", "#EXT-X-VERSION:7", f"#EXT-X-TARGETDURATION:{PIECE}", f"#EXT-X-MEDIA-SEQUENCE:{number}"]
    return "\n".join([*head, *lines, ""])


def assert_followed(found: list[Segment], *kinds: str) -> None:
    """Every picture shows its time, every second is heard, and nothing else happened."""
    assert found[-1].end == pytest.approx(2 * LASTS, abs=0.4)
    for segment in found:
        assert len(segment.frames) == 3
        for frame in segment.frames:
            assert number_in(frame) / 10 == pytest.approx(frame.time, abs=0.3)
            assert frame.time > segment.start - 0.5
        for second in range(int(segment.start), min(int(segment.end), 2 * LASTS)):
            if second != LASTS:  # where encoders begin
                assert second_heard(segment, second + 0.6) == second
    events = [event for segment in found for event in segment.events]
    assert sorted(event.kind for event in events) == ["eof", *kinds]
    assert all(event.time == pytest.approx(LASTS, abs=0.3) for event in events if event.kind != "eof")


CHANGES: dict[str, tuple[dict[str, str], dict[str, Any], tuple[str, ...]]] = {
    "MP3": ({}, {"audio": "mp3"}, ("header_change", "rebase")),
    "HEVC in fMP4": (FMP4, {"video": "libx265"}, ("header_change", "rebase")),
    "a size in fMP4": (FMP4, {"size": (384, 192)}, ("header_change", "rebase")),
}


@pytest.mark.parametrize("change", CHANGES)
def test_what_changes_behind_a_discontinuity_is_followed(change: str, folder: Path) -> None:
    muxer, changed, kinds = CHANGES[change]
    name = change.replace(" ", "_")
    first, second = (entries(folder, f"{name}{at}", at * LASTS, muxer, **(changed if at else {})) for at in (0, 1))
    path = folder / f"{name}.m3u8"
    path.write_text(playlist(*first, "#EXT-X-DISCONTINUITY", *second, "#EXT-X-ENDLIST"), encoding="utf-8")
    with open_source(str(path)) as source:
        assert source.duration == pytest.approx(2 * LASTS, abs=0.5)
        assert_followed(list(segments(packets(source), segment_seconds=2.0)), *kinds)


def served(server: MediaServer, folder: Path) -> None:
    for piece in folder.glob("*.ts"):
        server.answers[f"/{piece.name}"] = partial(send_bytes, data=piece.read_bytes())


def send_bytes(handler: BaseHTTPRequestHandler, data: bytes) -> None:
    begin_stream(handler, "video/mp2t")
    handler.wfile.write(data)


def test_a_live_playlist_is_followed_into_another_codec_without_a_new_connection(folder: Path) -> None:
    pieces = [
        *entries(folder, "live0", 0, {}),
        "#EXT-X-DISCONTINUITY",
        *entries(folder, "live1", LASTS, {}, video="libx265"),
    ]
    count, began = 2 * LASTS // PIECE, list[float]()

    def answer(handler: BaseHTTPRequestHandler) -> None:
        began.append(time.monotonic())
        there = min(3 + int(time.monotonic() - began[0]), count)  # a piece of 2 s per second
        first = max(0, there - 4)
        lines, number = [], -1
        for line in pieces:
            number += line.startswith("#EXTINF")
            at = number + line.startswith("#EXT-X-DISCONTINUITY")
            lines += [line] if first <= at < there else []
        begin_stream(handler, "application/vnd.apple.mpegurl")
        end = ["#EXT-X-ENDLIST"] if time.monotonic() - began[0] > count - 2 else []
        handler.wfile.write(playlist(*lines, *end, number=first).encode())

    with media_server() as server:
        served(server, folder)
        server.answers["/live.m3u8"] = answer
        source = open_source(server.url("/live.m3u8"), timeout=4)
        assert source.is_live and source.duration is None
        found = list(segments(live_packets(source, policy=ReconnectPolicy(tries=0)), segment_seconds=2.0))
    assert_followed(found, "header_change", "rebase")


@pytest.mark.parametrize("gone", ["gone0_1.ts", "gone1_1.ts"], ids=["at first", "later"])
def test_a_piece_that_is_gone_is_damage_and_the_others_are_read(gone: str, folder: Path) -> None:
    first, second = entries(folder, "gone0", 0, {}), entries(folder, "gone1", LASTS, {})
    with media_server() as server:
        served(server, folder)
        del server.answers[f"/{gone}"]
        path = folder / "gone.m3u8"
        path.write_text(playlist(*first, "#EXT-X-DISCONTINUITY", *second, "#EXT-X-ENDLIST"), encoding="utf-8")
        with open_source(server.file("/gone.m3u8", path), timeout=4) as source:
            found = list(segments(packets(source), segment_seconds=2.0))
    assert "corrupt" in [event.kind for segment in found for event in segment.events]
    assert number_in(found[-1].frames[-1]) / 10 == pytest.approx(2 * LASTS, abs=1.0)


@pytest.mark.parametrize(
    "lines",
    [
        ("#EXTINF:2.0,", "missing.ts", "#EXTINF:2.0,", "pipe.ts"),
        ('#EXT-X-MAP:URI="pipe.ts"', "#EXTINF:2.0,", "missing.ts"),
        ("#EXT-X-STREAM-INF:BANDWIDTH=1", "missing.m3u8", "#EXT-X-STREAM-INF:BANDWIDTH=2", "other"),
    ],
    ids=["a piece", "a header", "a playlist's piece"],
)
def test_a_pipe_that_a_playlist_names_is_refused_and_not_waited_for(lines: tuple[str, ...], tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.ts")
    (tmp_path / "odd.m3u8").write_text(playlist(*lines, "#EXT-X-ENDLIST"), encoding="utf-8")
    (tmp_path / "other").write_text(playlist("#EXTINF:2.0,", "pipe.ts"), encoding="utf-8")
    with pytest.raises(SourceError, match=r"pipe\.ts, which is not a file"):
        open_source(str(tmp_path / "odd.m3u8"))


def test_a_live_playlist_that_cannot_be_fetched_again_is_a_lost_connection(folder: Path) -> None:
    pieces, asked = entries(folder, "again", 0, {}), list[float]()

    def answer(handler: BaseHTTPRequestHandler) -> None:
        asked.append(time.monotonic())
        if len(asked) == 4:  # the first two opened it, and it had grown at the third
            handler.send_error(503)
            return
        begin_stream(handler, "application/vnd.apple.mpegurl")
        there = pieces if len(asked) > 2 else pieces[:-2]
        handler.wfile.write(playlist(*there, *["#EXT-X-ENDLIST"] * (len(asked) > 4)).encode())

    with media_server() as server:
        served(server, folder)
        server.answers["/live.m3u8"] = answer
        policy = ReconnectPolicy(tries=1, first_delay=0.1)
        events = [
            one for one in live_packets(server.url("/live.m3u8"), timeout=4, policy=policy) if isinstance(one, Event)
        ]
    assert "5XX" in events[0].detail and len(asked) > 4  # it was tried again


def shown(parts: PlaylistParts, text: str) -> list[str]:
    return parts.show("http://host/a.m3u8", text).splitlines()


@pytest.fixture
def parts() -> PlaylistParts:
    def never(*_: Any) -> Any:
        raise AssertionError

    return PlaylistParts(lambda *_: io.BytesIO(), never)


def test_a_part_has_the_numbers_keys_and_headers_that_hold_for_it(parts: PlaylistParts) -> None:
    key, header = '#EXT-X-KEY:METHOD=AES-128,URI="k"', '#EXT-X-MAP:URI="i"'
    first, second = [key, header, "#EXTINF:2,", "a", "#EXTINF:2,", "b"], ["#EXTINF:2,", "c"]
    third = ['#EXT-X-MAP:URI="j"', "#EXTINF:2,", "d", "#EXT-X-ENDLIST"]
    text = playlist(*first, "#EXT-X-DISCONTINUITY", *second, *third, number=7)
    found = [shown(parts, text)]
    while parts.go_on():
        found.append(shown(parts, text))
    bodies = [[line for line in lines if line[0] != "#"] for lines in found]
    assert bodies == [["a", "b"], ["c"], ["d"]] and parts.length == 8.0
    assert [int(lines[3].removeprefix("#EXT-X-MEDIA-SEQUENCE:")) for lines in found] == [7, 9, 10]
    assert found[1][4:6] == [key, header] and '#EXT-X-MAP:URI="j"' in found[2]
    assert {lines[-1] for lines in found} == {"#EXT-X-ENDLIST"}


def test_a_live_playlist_begins_three_pieces_before_its_end_and_may_count_anew(parts: PlaylistParts) -> None:
    def pieces(*names: str) -> list[str]:
        return [line for name in names for line in ("#EXTINF:2,", name)]

    assert shown(parts, playlist(*pieces(*"abcde"), number=50))[3:5] == ["#EXT-X-MEDIA-SEQUENCE:52", "#EXTINF:2,"]
    assert shown(parts, playlist(*pieces(*"bcdef"), number=51))[3] == "#EXT-X-MEDIA-SEQUENCE:52"
    assert shown(parts, playlist(*pieces("x", "y"), number=0))[3] == "#EXT-X-MEDIA-SEQUENCE:0"
    assert parts.length is None and not parts.go_on()


def test_a_server_that_is_behind_the_others_brings_nothing_twice(parts: PlaylistParts) -> None:
    ahead = playlist("#EXTINF:2,", "a", "#EXTINF:2,", "b", "#EXT-X-DISCONTINUITY", "#EXTINF:2,", "c", number=5)
    behind = playlist("#EXTINF:2,", "a", "#EXTINF:2,", "b", number=5)
    assert shown(parts, ahead)[3:] == ["#EXT-X-MEDIA-SEQUENCE:5", *behind.splitlines()[4:], "#EXT-X-ENDLIST"]
    shown(parts, behind)
    assert parts.go_on()
    assert shown(parts, behind)[3:] == ["#EXT-X-MEDIA-SEQUENCE:7", "#EXTINF:2,", "c"]


def test_a_part_whose_rest_was_not_read_in_time_ends(parts: PlaylistParts) -> None:
    shown(parts, playlist("#EXTINF:2,", "a", "#EXT-X-DISCONTINUITY", "#EXTINF:2,", "b", number=5))
    later = playlist("#EXTINF:2,", "c", "#EXTINF:2,", "d", number=9)
    assert shown(parts, later)[3:] == ["#EXT-X-MEDIA-SEQUENCE:6", "#EXT-X-ENDLIST"]
    assert parts.go_on()
    assert shown(parts, later)[3:] == later.splitlines()[3:]


def test_where_sound_has_a_playlist_of_its_own_nothing_is_cut(parts: PlaylistParts) -> None:
    master = playlist('#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID="a",URI="a.m3u8"', "#EXT-X-STREAM-INF:BANDWIDTH=1", "v.m3u8")
    assert shown(parts, master) == master.splitlines()
    text = playlist("#EXTINF:2,", "a", "#EXT-X-DISCONTINUITY", "#EXTINF:2,", "b", "#EXT-X-ENDLIST")
    assert [line for line in shown(parts, text) if line[0] != "#"] == ["a", "b"] and not parts.go_on()
