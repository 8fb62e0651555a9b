"""A room's safetensors file: a path in, its arrays mapped into memory, or slices of them read into given arrays.

The format is eight bytes of header length, a JSON header of dtypes, shapes and offsets, then the bytes of the tensors.
The header is checked against the file before anything is read by it.
"""

import json
import math
import mmap
import os
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kuaihl.models.errors import DataError
from kuaihl.models.json_text import parse_json

_LENGTH_BYTES = 8  # little-endian, before the header
_MAX_HEADER_BYTES = 1 << 20  # a room has ten tensors at most
_USUAL_HEADER_BYTES = 4096  # read at once
_METADATA = '{"__metadata__":'  # comes first, if at all
_DECODER = json.JSONDecoder()
_DTYPES: Mapping[str, np.dtype[Any]] = {"F16": np.dtype("<f2"), "F32": np.dtype("<f4"), "I32": np.dtype("<i4")}

Place = tuple[np.dtype[Any], tuple[int, ...], int]  # dtype, shape, offset into the data


@dataclass(frozen=True)
class Layout:
    """The places of a file's arrays."""

    places: Mapping[str, Place]
    first: int  # first byte of the data
    size: int  # of the file


class RoomFile:
    """An open room; it is closed when nobody holds it any longer, so that threads may share it."""

    def __init__(self, path: Path | str, layout: Layout | None = None) -> None:
        """`layout` is the file's layout when it was last open; it is not read again if the file's size is the same.

        Raises DataError if the file does not exist or does not match its header.
        """
        self.path = path
        try:
            # Not `open`: it takes longer than all the rest, and training opens a room for nearly every window.
            self.file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError as error:
            raise DataError(f"{path}: missing; build the room again, or take it out of rooms.parquet") from error
        except OSError as error:
            raise DataError(f"{path}: cannot be read ({error.strerror})") from error
        size = os.fstat(self.file).st_size
        self.layout = layout if layout is not None and layout.size == size else self._read_layout(size)

    def __del__(self) -> None:
        if hasattr(self, "file"):
            os.close(self.file)

    def __contains__(self, name: str) -> bool:
        return name in self.layout.places

    def _read_layout(self, size: int) -> Layout:
        try:
            start = os.pread(self.file, _USUAL_HEADER_BYTES, 0)
            length = int.from_bytes(start[:_LENGTH_BYTES], "little")
            first = _LENGTH_BYTES + length
            if not _LENGTH_BYTES < first <= min(size, _LENGTH_BYTES + _MAX_HEADER_BYTES):
                raise DataError(f"{self.path}: is no safetensors file, or cut short; build the room again")
            header = start[_LENGTH_BYTES:first] if first <= len(start) else os.pread(self.file, length, _LENGTH_BYTES)
            return _parse_layout(_without_metadata(header.decode()), first, size)
        except OSError as error:
            raise DataError(f"{self.path}: cannot be read ({error.strerror})") from error
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise DataError(f"{self.path}: has a header that cannot be used ({error}); build the room again") from error

    def map_arrays(self) -> dict[str, NDArray[Any]]:
        """All arrays, read-only; pages are read as they are touched and given back when memory is short."""
        memory = mmap.mmap(self.file, 0, access=mmap.ACCESS_READ)
        return {
            name: np.frombuffer(memory, dtype, math.prod(shape), self.layout.first + offset).reshape(shape)
            for name, (dtype, shape, offset) in self.layout.places.items()
        }

    def read_rows(self, name: str, row: int, out: NDArray[Any]) -> None:
        """Read as many rows of an array as `out` has, from `row` on; `out` is of its dtype, and contiguous.

        This takes half the time of mapping if little is read of each room. Raises DataError for a file cut short.
        """
        _, shape, offset = self.layout.places[name]
        if row + len(out) > shape[0]:
            raise DataError(f"{self.path}: {name} has {shape[0]} rows, {row + len(out)} are asked for; build it again")
        place = self.layout.first + offset + row * (out.nbytes // max(len(out), 1))
        if os.preadv(self.file, [out.data], place) != out.nbytes:
            raise DataError(f"{self.path}: has become shorter since it was opened; build the room again")


def map_room(path: Path | str) -> dict[str, NDArray[Any]]:
    """The arrays of a room, mapped. Raises DataError if the file does not exist or does not match its header."""
    return RoomFile(path).map_arrays()


def _without_metadata(header: str) -> str:
    """A header without its metadata, which differs from room to room, if that comes first."""
    if not header.startswith(_METADATA):
        return header
    try:
        _, end = _DECODER.raw_decode(header, len(_METADATA))
    except RecursionError as error:
        raise ValueError("its metadata are nested too deep") from error
    return "{" + header[end:].lstrip().removeprefix(",")


@lru_cache(maxsize=4096)  # rooms of one length share a layout, and a data set has few lengths
def _parse_layout(header: str, first: int, size: int) -> Layout:
    """The layout that a header describes, for a file of that size. Raises ValueError, KeyError or TypeError."""
    entries = parse_json(header)
    entries.pop("__metadata__", None)
    places = {}
    for name, entry in entries.items():
        if entry["dtype"] not in _DTYPES:
            raise ValueError(f"{name} is {entry['dtype']}, known are {', '.join(_DTYPES)}")
        dtype, shape, (begin, end) = _DTYPES[entry["dtype"]], entry["shape"], entry["data_offsets"]
        if not all(type(number) is int and number >= 0 for number in (*shape, begin, end)):
            raise ValueError(f"{name} has a shape or offset that is no number")
        if end - begin != math.prod(shape) * dtype.itemsize:
            raise ValueError(f"{name} is {end - begin} bytes, its shape {shape} needs another number")
        places[name] = (dtype, tuple(shape), begin)
    end = first + max((entry["data_offsets"][1] for entry in entries.values()), default=0)
    if end != size:
        raise ValueError(f"the file is {size} bytes and should be {end}")
    return Layout(places, first, size)
