"""H.264 headers and packets in both of their forms, from files that FFmpeg wrote."""

from pathlib import Path

import av
import pytest
from support.clip_media import make_recording

from kuaihl.engines.highlights.h264 import (
    begins_anew,
    join_headers,
    parse_header,
    split_annex_b,
    to_form_of,
)


@pytest.fixture(scope="module")
def forms(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The same pictures in a container with lengths before units, and in one with start codes."""
    folder = tmp_path_factory.mktemp("h264")
    return {
        suffix: make_recording(folder / f"room.{suffix}", seconds=3.0, bframes=2, audio=None)
        for suffix in ("mp4", "ts")
    }


def header_of(path: Path) -> bytes:
    with av.open(str(path)) as container:
        header = container.streams.video[0].codec_context.extradata
    assert header
    return bytes(header)


def test_both_forms_have_the_same_sets(forms: dict[str, Path]) -> None:
    lengths, codes = parse_header(header_of(forms["mp4"])), parse_header(header_of(forms["ts"]))
    assert lengths is not None and codes is not None
    assert (lengths.length_bytes, codes.length_bytes) == (4, None)
    assert len(lengths.sequence_sets) == len(lengths.picture_sets) == 1
    assert (lengths.sequence_sets, lengths.picture_sets) == (codes.sequence_sets, codes.picture_sets)


@pytest.mark.parametrize("suffix", ["mp4", "ts"])
def test_a_joined_header_has_the_sets_of_both_in_the_form_of_the_first(forms: dict[str, Path], suffix: str) -> None:
    own = parse_header(header_of(forms[suffix]))
    assert own is not None and own.unused_id() == 31, "the encoder's own id is 0"
    encoder = av.CodecContext.create("libx264", "w")
    encoder.width, encoder.height, encoder.pix_fmt, encoder.rate = 256, 64, "yuv420p", 25
    encoder.options = {"x264-params": "sps-id=31"}
    encoder.flags |= av.codec.context.Flags.global_header
    encoder.open()
    other = parse_header(encoder.extradata)
    assert other is not None and other.unused_id() == 30
    both = parse_header(join_headers(own, other))
    assert both is not None and both.length_bytes == own.length_bytes and both.tail == own.tail
    assert both.sequence_sets == own.sequence_sets + other.sequence_sets
    assert both.picture_sets == own.picture_sets + other.picture_sets
    assert both.unused_id() == 30


@pytest.mark.parametrize("suffix", ["mp4", "ts"])
def test_only_the_first_picture_of_a_group_begins_anew(forms: dict[str, Path], suffix: str) -> None:
    header = parse_header(header_of(forms[suffix]))
    assert header is not None
    with av.open(str(forms[suffix])) as container:
        packets = [packet for packet in container.demux(video=0) if packet.size]
    assert [begins_anew(bytes(packet), header) for packet in packets] == [packet.is_keyframe for packet in packets]
    assert sum(packet.is_keyframe for packet in packets) == 2


def test_a_packet_changes_its_form(forms: dict[str, Path]) -> None:
    header, codes = parse_header(header_of(forms["mp4"])), parse_header(header_of(forms["ts"]))
    assert header is not None and codes is not None
    units = [b"\x65\x88\x84", b"\x41\x9a\x00\x01"]
    packet = b"".join(b"\x00\x00\x00\x01" + unit for unit in units)
    assert split_annex_b(packet) == units
    assert to_form_of(header, packet) == b"\x00\x00\x00\x03" + units[0] + b"\x00\x00\x00\x04" + units[1]
    assert to_form_of(codes, packet) == packet


def test_a_header_that_is_cut_off_anywhere_is_none_or_whole(forms: dict[str, Path]) -> None:
    whole = header_of(forms["mp4"])
    sets = parse_header(whole)
    assert sets is not None
    end = len(whole) - len(sets.tail)
    assert all(parse_header(whole[:length]) is None for length in range(end))
    assert parse_header(None) is None and parse_header(b"\x00\x00\x01\x67") is None
