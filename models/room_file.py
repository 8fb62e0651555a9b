"""A room's safetensors file, memory-mapped: a path in, arrays by name out, nothing read but the header.

The format is eight bytes of header length, a JSON header of dtypes, shapes and offsets, then the bytes of the tensors.
What the header claims is checked against the file before anything is mapped.
"""

import json
import math
import mmap
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kuaihl.models.errors import DataError

LENGTH_BYTES = 8  # little-endian, before the header
MAX_HEADER_BYTES = 1 << 20  # a room has ten tensors at most
DTYPES: Mapping[str, np.dtype[Any]] = {"F16": np.dtype("<f2"), "F32": np.dtype("<f4"), "I32": np.dtype("<i4")}

Layout = tuple[tuple[str, np.dtype[Any], tuple[int, ...], int], ...]  # name, dtype, shape, offset into the data


def map_room(path: Path) -> dict[str, NDArray[Any]]:
    """The arrays of a room, read-only; their pages are read as they are touched and given back when memory is short.

    Raises DataError where there is no such file, or it is not what its header says.
    """
    try:
        with path.open("rb", buffering=0) as file:
            length = int.from_bytes(file.read(LENGTH_BYTES), "little")
            header = file.read(length) if length <= MAX_HEADER_BYTES else b""
            if not 0 < len(header) == length:
                raise DataError(f"{path}: is no safetensors file, or cut short; build the room again")
            mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    except FileNotFoundError as error:
        raise DataError(f"{path}: missing; build the room again, or take it out of rooms.parquet") from error
    except (OSError, ValueError) as error:
        raise DataError(f"{path}: cannot be read ({error})") from error
    first = LENGTH_BYTES + length
    try:
        layout, end = read_header(header)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise DataError(f"{path}: has a header that cannot be used ({error}); build the room again") from error
    if first + end != len(mapped):
        raise DataError(f"{path}: is {len(mapped)} bytes and should be {first + end}; build the room again")
    return {
        name: np.frombuffer(mapped, dtype, math.prod(shape), first + offset).reshape(shape)
        for name, dtype, shape, offset in layout
    }


@lru_cache(maxsize=1024)  # rooms of one length have the same header: a data set has few
def read_header(header: bytes) -> tuple[Layout, int]:
    """The layout that a header describes, and where its data ends. Raises ValueError, KeyError or TypeError."""
    entries = json.loads(header)
    entries.pop("__metadata__", None)
    layout = []
    for name, entry in entries.items():
        if entry["dtype"] not in DTYPES:
            raise ValueError(f"{name} is {entry['dtype']}, known are {', '.join(DTYPES)}")
        dtype, shape, (begin, end) = DTYPES[entry["dtype"]], entry["shape"], entry["data_offsets"]
        if not all(type(number) is int and number >= 0 for number in (*shape, begin, end)):
            raise ValueError(f"{name} has a shape or offset that is no number")
        if end - begin != math.prod(shape) * dtype.itemsize:
            raise ValueError(f"{name} is {end - begin} bytes, its shape {shape} needs another number")
        layout.append((name, dtype, tuple(shape), begin))
    return tuple(layout), max((entry["data_offsets"][1] for entry in entries.values()), default=0)
