"""BERT's encoder in plain PyTorch: token ids in, a vector per token out. Reads the hub's published layout.

It is written out rather than imported: importing `transformers` alone takes longer than scoring a whole segment.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from kuaihl.models.errors import ModelError


@dataclass(frozen=True)
class BertDims:
    """Everything that fixes the network's shape."""

    vocabulary: int
    width: int
    layers: int
    heads: int
    feed_forward: int
    positions: int  # longest text, in tokens
    types: int  # kinds of sentences: 2
    norm_eps: float


def dims_from_config(config: Mapping[str, Any]) -> BertDims:
    """Dimensions from the hub's `config.json`. Raises ModelError if it is not a BERT's."""
    if config.get("model_type") != "bert" or config.get("hidden_act", "gelu") != "gelu":
        raise ModelError(f"config.json: expected a BERT with GELU, found {config.get('model_type')!r}")
    try:
        return BertDims(
            vocabulary=config["vocab_size"],
            width=config["hidden_size"],
            layers=config["num_hidden_layers"],
            heads=config["num_attention_heads"],
            feed_forward=config["intermediate_size"],
            positions=config["max_position_embeddings"],
            types=config["type_vocab_size"],
            norm_eps=config["layer_norm_eps"],
        )
    except KeyError as error:
        raise ModelError(f"config.json: a BERT's has {error}, this one has not") from error


class Layer(nn.Module):
    """Self-attention and a feed-forward, each added to its input and then normalised."""

    def __init__(self, dims: BertDims) -> None:
        super().__init__()
        self.heads = dims.heads
        self.query = nn.Linear(dims.width, dims.width)
        self.key = nn.Linear(dims.width, dims.width)
        self.value = nn.Linear(dims.width, dims.width)
        self.attended = nn.Linear(dims.width, dims.width)
        self.attended_norm = nn.LayerNorm(dims.width, eps=dims.norm_eps)
        self.up = nn.Linear(dims.width, dims.feed_forward)
        self.down = nn.Linear(dims.feed_forward, dims.width)
        self.norm = nn.LayerNorm(dims.width, eps=dims.norm_eps)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:  # x [B, T, d], mask [B, 1, 1, T]: True for a token
        query, key, value = (
            project(x).unflatten(-1, (self.heads, -1)).transpose(1, 2)  # [B, heads, T, d / heads]
            for project in (self.query, self.key, self.value)
        )
        mixed = F.scaled_dot_product_attention(query, key, value, attn_mask=mask).transpose(1, 2).flatten(2)
        x = self.attended_norm(x + self.attended(mixed))
        return self.norm(x + self.down(F.gelu(self.up(x))))  # type: ignore[no-any-return]


class Bert(nn.Module):
    """BERT without a pooler.

    `token_embeddings` looks up token ids: an `nn.Embedding`, or a module that keeps its table compressed.
    """

    def __init__(self, dims: BertDims, token_embeddings: nn.Module | None = None) -> None:
        super().__init__()
        self.dims = dims
        self.token_embeddings = token_embeddings or nn.Embedding(dims.vocabulary, dims.width)
        self.position_embeddings = nn.Embedding(dims.positions, dims.width)
        self.types = nn.Embedding(dims.types, dims.width)
        self.norm = nn.LayerNorm(dims.width, eps=dims.norm_eps)
        self.layers = nn.ModuleList(Layer(dims) for _ in range(dims.layers))

    def forward(self, ids: Tensor, types: Tensor, mask: Tensor) -> Tensor:
        """ids, types [B, T] int64 and mask [B, T] bool (True: a token, False: padding) -> [B, T, d]."""
        return self.contextualise(self.token_embeddings(ids), types, mask)

    def contextualise(self, words: Tensor, types: Tensor, mask: Tensor) -> Tensor:
        """The same for `token_embeddings` [B, T, d] that have been looked up already."""
        places = torch.arange(words.shape[1], device=words.device)
        x = self.norm(words + self.types(types) + self.position_embeddings(places))
        for layer in self.layers:
            x = layer(x, mask[:, None, None, :])
        return x  # type: ignore[no-any-return]


MODULES_OF_LAYER = {
    "query": "attention.self.query",
    "key": "attention.self.key",
    "value": "attention.self.value",
    "attended": "attention.output.dense",
    "attended_norm": "attention.output.LayerNorm",
    "up": "intermediate.dense",
    "down": "output.dense",
    "norm": "output.LayerNorm",
}


def from_state_dict(dims: BertDims, published: Mapping[str, Tensor], token_embeddings: nn.Module | None = None) -> Bert:
    """The network with published weights, in float32; a given `token_embeddings` replaces the table of words.

    Names are `BertModel`'s, with or without the prefix "bert." of a model with a head; older ones use gamma and beta.
    Raises ModelError if they do not fit.
    """
    state = {_tidy_name(name): tensor for name, tensor in published.items()}
    network = Bert(dims, token_embeddings)
    try:
        renamed = {
            ours: state[theirs].float()
            for ours, theirs in map_names(dims).items()
            if token_embeddings is None or ours != "token_embeddings.weight"
        }
        if token_embeddings is not None:
            renamed |= {f"token_embeddings.{name}": tensor for name, tensor in token_embeddings.state_dict().items()}
        network.load_state_dict(renamed, assign=True)
    except (KeyError, RuntimeError) as error:
        reason = " ".join(str(error).split())[:160]
        raise ModelError(f"these weights are not those of a BERT of {dims.layers} layers: {reason}") from error
    return network.eval().requires_grad_(False)


def _tidy_name(name: str) -> str:
    name = name.removeprefix("bert.")
    return name.replace("LayerNorm.gamma", "LayerNorm.weight").replace("LayerNorm.beta", "LayerNorm.bias")


def map_names(dims: BertDims) -> dict[str, str]:
    """Our tensors' names, each with the published one."""
    table = {
        "token_embeddings.weight": "embeddings.word_embeddings.weight",
        "position_embeddings.weight": "embeddings.position_embeddings.weight",
        "types.weight": "embeddings.token_type_embeddings.weight",
        "norm.weight": "embeddings.LayerNorm.weight",
        "norm.bias": "embeddings.LayerNorm.bias",
    }
    for index in range(dims.layers):
        for ours, theirs in MODULES_OF_LAYER.items():
            for leaf in ("weight", "bias"):
                table[f"layers.{index}.{ours}.{leaf}"] = f"encoder.layer.{index}.{theirs}.{leaf}"
    return table
