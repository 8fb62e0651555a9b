"""FLV files that are made to be opened again and again: reading ends, work is bounded, and no packet comes twice."""

from dataclasses import replace
from pathlib import Path

import pytest
from support.media import AUDIO_TAG, VIDEO_TAG, Tag, make, media_tags, write_flv

from kuaihl.engines.ingest.flv import FlvParts
from kuaihl.engines.ingest.opening import open_source
from kuaihl.engines.ingest.packets import packets


@pytest.fixture(scope="module")
def second(tmp_path_factory: pytest.TempPathFactory) -> list[Tag]:
    """The tags of one second."""
    return media_tags(make(tmp_path_factory.mktemp("flv") / "second.flv", seconds=1.0))


def read(path: Path) -> tuple[list[tuple[str, int]], int]:
    """Kind and time of every packet, and how often the file was opened again."""
    with open_source(str(path)) as source:
        parts = source.parts
        assert isinstance(parts, FlvParts)
        found = [
            (packet.stream.type, packet.dts or 0) for packet in source.read() if packet is not None and packet.size
        ]
        return found, parts.parts - 1


def test_codecs_that_change_all_the_time_are_followed_in_few_openings(second: list[Tag], tmp_path: Path) -> None:
    hostile = list(second)
    for number in range(1000):
        ms = 2000 + 100 * number
        hostile.append(Tag(VIDEO_TAG, ms, bytes([0x10 | (2, 7, 4, 12)[number % 4], 1, 0, 0, 0]) + b"x" * 20))
        hostile += [Tag(AUDIO_TAG, ms + one, bytes([(0x2F, 0xAF)[number % 2], 1]) + b"y" * 10) for one in range(20)]
    path = write_flv(tmp_path / "codecs.flv", hostile)
    found, openings = read(path)
    assert 0 < openings < 64 + path.stat().st_size / 100_000
    assert len(set(found)) == len(found)
    assert found[-1][1] > 100_000  # it was read to its end


@pytest.mark.parametrize("stream_id", [b"\0\0\0", b"\x98e0"])
@pytest.mark.parametrize("size", [b"\xff\x7f\x00", b"\x00\x7f\xff"])
def test_a_tag_of_a_wrong_length_leads_nowhere_for_ever(
    size: bytes, stream_id: bytes, second: list[Tag], tmp_path: Path
) -> None:
    """Whichever tag it is, the demuxer gives nothing of it and may skip all that follows."""
    for number, lying in enumerate(second):
        claim = lying.packed()[:1] + size + lying.packed()[4:8] + stream_id + lying.packed()[11:]
        path = write_flv(tmp_path / "lying.flv", [*second[:number], claim, *second[number + 1 :]])
        found, openings = read(path)
        assert openings < 64
        assert len(set(found)) == len(found) or not openings  # the demuxer itself gives the last picture twice


def test_a_place_without_packets_brings_back_none_that_were_read(second: list[Tag], tmp_path: Path) -> None:
    """A picture in the midst of the sound leads back to it; a tag of nothing behind the sound leads on."""
    sound = [tag for tag in second if tag.kind == AUDIO_TAG]
    claim = replace(second[0], data=bytes([0x17, 1, 0, 0, 0]) + b"\xff" * 40)
    path = write_flv(tmp_path / "back.flv", [*sound, claim, *(replace(tag, ms=tag.ms + 1100) for tag in sound[1:])])
    found, _ = read(path)
    heard = [time for kind, time in found if kind == "audio"]
    assert len(set(heard)) == len(heard)
    assert len(heard) >= 2 * len(sound) - 2


def test_a_file_of_nothing_but_lies_is_read_or_refused(second: list[Tag], tmp_path: Path) -> None:
    media = [tag for tag in second if tag.is_media]
    lies = [b"\xff" * 100 + tag.packed()[:-4] + len(tag.packed()).to_bytes(4, "big") for tag in media * 30]
    found = list(packets(open_source(str(write_flv(tmp_path / "lies.flv", [*second[:2], *media[:3], *lies])))))
    assert found
