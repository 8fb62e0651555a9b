"""The parameter sets and frame types of H.264, read from a decoder's header and from packets (ITU-T H.264).

A header and its packets come in one of two forms: `avcC` (ISO 14496-15), where a length stands before each unit, and
Annex B, where a start code does.
"""

import re
from dataclasses import dataclass

_IDR, _SPS, _PPS = 5, 7, 8  # types of units
_START_CODE = b"\x00\x00\x00\x01"
_IDS = 32  # of sequence parameter sets; picture parameter sets have 256
_HIGH_PROFILES = frozenset({100, 110, 122, 144})  # whose avcC may end with more about the format of pixels


@dataclass(frozen=True)
class Header:
    """A decoder's header; a unit begins with the byte that has its type."""

    sequence_sets: tuple[bytes, ...]
    picture_sets: tuple[bytes, ...]
    length_bytes: int | None  # before each unit of a packet; None for Annex B
    profile: bytes = b""  # of an avcC: profile, compatibility and level
    tail: bytes = b""  # of an avcC: what follows the sets

    def unused_id(self) -> int | None:
        """An id that no set has, for sets of another encoder; None if all are taken."""
        used = {_unsigned(one[4:]) for one in self.sequence_sets} | {_unsigned(one[1:]) for one in self.picture_sets}
        return next((number for number in reversed(range(_IDS)) if number not in used), None)


def parse_header(data: bytes | None) -> Header | None:
    """The sets of a header; None if it is damaged or has none."""
    if not data:
        return None
    if data[0] != 1:
        units = split_annex_b(data)
        header = Header(_of_type(units, _SPS), _of_type(units, _PPS), None)
    else:
        try:
            header = _parse_avcc(data)
        except IndexError:
            return None
    complete = header.sequence_sets and header.picture_sets and all(len(one) > 4 for one in header.sequence_sets)
    return header if complete and all(len(one) > 1 for one in header.picture_sets) else None


def join_headers(own: Header, other: Header) -> bytes:
    """A header in the form of `own` with the sets of both. Their ids must differ."""
    sequences, pictures = own.sequence_sets + other.sequence_sets, own.picture_sets + other.picture_sets
    if own.length_bytes is None:
        return b"".join(_START_CODE + unit for unit in sequences + pictures)
    out = bytearray([1, *own.profile, 0xFC | (own.length_bytes - 1), 0xE0 | len(sequences)])
    for unit in sequences:
        out += len(unit).to_bytes(2, "big") + unit
    out.append(len(pictures))
    for unit in pictures:
        out += len(unit).to_bytes(2, "big") + unit
    return bytes(out + own.tail)


def to_form_of(header: Header, annex_b: bytes) -> bytes:
    """An encoder's packet in the form of another header's packets."""
    if header.length_bytes is None:
        return annex_b
    width = header.length_bytes
    return b"".join(len(unit).to_bytes(width, "big") + unit for unit in split_annex_b(annex_b))


def begins_anew(packet: bytes, header: Header) -> bool:
    """Whether a keyframe is an IDR picture: what follows neither refers to what is before, nor is shown before it."""
    units = split_annex_b(packet) if header.length_bytes is None else _split_lengths(packet, header.length_bytes)
    slices = [unit[0] & 31 for unit in units if unit and 1 <= unit[0] & 31 <= _IDR]
    return bool(slices) and slices[0] == _IDR


def split_annex_b(data: bytes) -> list[bytes]:
    """The units between start codes, without zeros that trail them."""
    return [unit for part in re.split(b"\x00\x00\x01", data)[1:] if (unit := part.rstrip(b"\x00"))]


def _split_lengths(data: bytes, width: int) -> list[bytes]:
    units, at = [], 0
    while at + width < len(data):
        length = int.from_bytes(data[at : at + width], "big")
        units.append(data[at + width : at + width + length])
        at += width + length
    return units


def _of_type(units: list[bytes], kind: int) -> tuple[bytes, ...]:
    return tuple(unit for unit in units if unit[0] & 31 == kind)


def _parse_avcc(data: bytes) -> Header:
    """An avcC. Raises IndexError if it is cut off."""
    at = 5
    found: list[tuple[bytes, ...]] = []
    for mask in (31, 255):
        count, at = data[at] & mask, at + 1
        units = []
        for _ in range(count):
            length = int.from_bytes(data[at : at + 2], "big")
            if at + 2 + length > len(data):
                raise IndexError(at)
            units.append(data[at + 2 : at + 2 + length])
            at += 2 + length
        found.append(tuple(units))
    return Header(found[0], found[1], (data[4] & 3) + 1, data[1:4], data[at:] if data[1] in _HIGH_PROFILES else b"")


def _unsigned(data: bytes) -> int:
    """The Exp-Golomb number that data begin with; its first bytes are too small for an emulation-prevention byte."""
    bits = int.from_bytes(data[:8].ljust(8, b"\x00"), "big")
    zeros = 64 - bits.bit_length()
    return (bits >> max(63 - 2 * zeros, 0)) - 1 if zeros < 32 else -1
