"""rooms.yaml: what it names is there, and what it no longer names is gone."""

from dataclasses import replace
from pathlib import Path

import pytest
from support.http_media import MediaServer
from support.serving import serving
from support.waiting import wait_until

from kuaihl.engines.scoring.model import Model
from kuaihl.engines.serving.room_spec import RoomSpec
from kuaihl.engines.serving.rooms_file import read_rooms_file
from kuaihl.models.errors import UsageError


def write(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


def test_a_file_names_rooms(tmp_path: Path) -> None:
    path = write(
        tmp_path / "rooms.yaml",
        """
rooms:
  - id: ann
    url: rtmp://media/live/ann
    streamer: Ann
    language: zh
    comments: /var/chat/ann.jsonl
  - {id: 7, url: "https://example.org/7.flv"}
  - &other {id: 2024-99-99, url: "https://example.org/8.flv", language: no, streamer: 007, comments: ~}
  - {<<: *other, id: 2025-01-01}
""",
    )
    ann, seven, dated, alike = read_rooms_file(path)
    assert ann == RoomSpec("ann", "rtmp://media/live/ann", "Ann", "zh", "/var/chat/ann.jsonl", origin="file")
    assert (seven.id, seven.url) == ("7", "https://example.org/7.flv")
    assert (dated.id, dated.language, dated.streamer, dated.comments) == ("2024-99-99", "no", "007", None)
    assert alike == replace(dated, id="2025-01-01")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("rooms: [", "not YAML"),
        ("- ann", "no list of rooms"),
        ("rooms: {ann: x}", "no list of rooms"),
        ("rooms: []\nroms: []", "no list of rooms"),
        ("rooms: [{id: ann}]", "room 1: give id and url"),
        ("rooms: [{id: ann, url: 'rtmp://a/b', asr: none}]", "room 1: give id and url"),
        ("rooms: [{id: ann, url: /etc/passwd}]", "room 1: /etc/passwd: not a source"),
        ("rooms: [{id: a, url: 'rtmp://a/b'}, {id: a, url: 'rtmp://a/c'}]", "room 2: a is there twice"),
        ("rooms: [!!python/object/apply:os.getcwd []]", "not YAML"),
        ("rooms: [!!timestamp 2024-99-99]", "not YAML"),
        ("rooms: [{id: , url: 'rtmp://a/b'}]", "room 1: give id and url"),
        ("rooms: [{id: [a], url: 'rtmp://a/b'}]", "room 1: id is no text"),
        ('rooms: [{id: a, url: "rtmp://a/b", streamer: "\\ud800"}]', "room 1: streamer has half a character"),
        ("rooms: " + "[" * 3_000, "not YAML"),
    ],
)
def test_what_is_wrong_with_a_file_is_one_line(text: str, words: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"rooms\.yaml") as found:
        read_rooms_file(write(tmp_path / "rooms.yaml", text))
    assert words in str(found.value) and "\n" not in str(found.value)


def test_a_room_that_found_no_place_comes_when_there_is_one(model: Model, tmp_path: Path) -> None:
    entry = "  - {{id: {0}, url: 'rtmp://127.0.0.1:1/live/{0}'}}\n"
    path = write(tmp_path / "rooms.yaml", "rooms:\n" + entry.format("ann") + entry.format("bob"))
    with serving(model, tmp_path / "rooms", rooms_file=path, most_rooms=2) as client:
        write(path, "rooms:\n" + "".join(map(entry.format, ("ann", "bob", "eve"))))
        wait_until(lambda: [line for line in client.lines if line.startswith(f"{path}, eve: there are 2 rooms")])
        assert client.call("DELETE", "/rooms/bob").status == 204
        wait_until(lambda: client.get("/rooms/eve").status == 200)
        assert sum(line.startswith(f"{path}, eve: ") for line in client.lines) == 1


def test_rooms_follow_the_file(model: Model, media: MediaServer, flv: bytes, tmp_path: Path) -> None:
    urls = {name: media.live(f"/{name}.flv", flv, stall=True) for name in ("ann", "bob", "api")}
    entry = "  - {{id: {0}, url: '{1}'}}\n"
    path = write(tmp_path / "rooms.yaml", "rooms:\n" + entry.format("ann", urls["ann"]))
    # Without allow_host: what the operator wrote into the file is trusted.
    with serving(model, tmp_path / "rooms", rooms_file=path, allow_host=("127.0.0.1",)) as client:
        client.add("api", urls["api"])
        wait_until(lambda: client.scores("ann"))
        write(path, "rooms:\n" + entry.format("bob", urls["bob"]))
        wait_until(lambda: client.get("/rooms/bob").status == 200 and client.scores("bob"))
        assert client.get("/rooms/ann").status == 404
        assert client.get("/rooms/api").status == 200  # another's
        write(path, "rooms: [")
        assert client.get("/rooms/bob").status == 200
