"""Whisper's weights for either back-end: a name in, a CTranslate2 folder or an openai-whisper state dict out.

Whisper always comes as this folder (from a package, the hub or a path). CTranslate2 reads it as it is. For
openai-whisper the tensors of its `model.bin` are renamed, so both back-ends run the same weights.
"""

import re
import struct
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from kuaihl.engines.weights.catalog import SPEECH_EDGE, SPEECH_PAPER, Weights
from kuaihl.engines.weights.resolve import Resolved, resolve
from kuaihl.models.errors import ModelError, UsageError

if TYPE_CHECKING:
    from torch import Tensor

_EDGE = "edge"  # the name of the Whisper that comes from registry packages
_HUB_FILES = ("model.bin", "config.json", "tokenizer.json", "vocabulary.*")

# model.bin, little-endian: version, name of the specification, its revision, then the variables.
_BINARY_VERSION = 6
_SPECIFICATION = "WhisperSpec"
_DTYPES = {0: np.float32, 4: np.float16}  # others are quantised
_MAX_RANK = 4
_HEAD_WIDTH = 64  # of every published Whisper
_AUDIO_CONTEXT = 1500  # positions of the encoder: 30 s, 20 ms each


def resolve_whisper(model: str) -> Resolved:
    """Find Whisper weights: "edge", a folder, a hub repository ("owner/name") or a size ("small", "large-v3").

    Raises ModelError if they cannot be found, UsageError if `model` is not a name.
    """
    if model == _EDGE:
        return _check_complete(resolve(SPEECH_EDGE))
    if Path(model).exists() or model.startswith((".", "/", "~")):
        return _check_complete(resolve(SPEECH_EDGE, Path(model).expanduser()))
    if not re.fullmatch(r"[\w.-]+(/[\w.-]+)?", model):
        raise UsageError(
            f"{model}: not the name of a Whisper; give a folder, owner/name on the hub, or a size like small"
        )
    hub = model if "/" in model else f"Systran/faster-whisper-{model}"
    known = next((weights for weights in (SPEECH_EDGE, SPEECH_PAPER) if weights.hub == hub), None)
    return _check_complete(resolve(known or Weights("speech", f"Whisper {model}", hub, _HUB_FILES)))


def _check_complete(resolved: Resolved) -> Resolved:
    """Raises ModelError if the tokenizer is missing: the libraries would look for one on the hub."""
    if not (resolved.folder / "tokenizer.json").is_file():
        raise ModelError(f"{resolved.folder}: no tokenizer.json beside {resolved.file.name}")
    return resolved


@dataclass(frozen=True)
class OpenAiWhisper:
    """The parts of a `whisper.model.Whisper`: its dimensions, by their names there, and its state dict.

    The encoder's sinusoids are not in it: openai-whisper computes them itself.
    """

    dimensions: dict[str, int]
    state: "dict[str, Tensor]" = field(repr=False)


def openai_whisper_weights(model_bin: Path) -> OpenAiWhisper:
    """Read CTranslate2's `model.bin` as openai-whisper's float32 state dict.

    Raises ModelError if it is damaged or quantised.
    """
    variables = _read_model_bin(model_bin)
    try:
        return _rename_tensors(variables)
    except KeyError as error:
        raise ModelError(f"{model_bin}: no tensor {error} in it, so it is not a whole Whisper") from error


def _read_model_bin(path: Path) -> dict[str, NDArray[np.floating]]:
    """The named tensors of a CTranslate2 file, views of it where possible. Raises ModelError."""
    content = path.read_bytes()
    position = 0

    def number(code: str) -> int:
        nonlocal position
        (value,) = struct.unpack_from(f"<{code}", content, position)
        position += struct.calcsize(code)
        return int(value)

    def string() -> str:
        nonlocal position
        length = number("H")
        raw = content[position : position + length]
        position += length
        return raw.rstrip(b"\0").decode()

    variables: dict[str, NDArray[np.floating]] = {}
    try:
        version, specification = number("I"), string()
        if version != _BINARY_VERSION or specification != _SPECIFICATION:
            raise ModelError(
                f"{path}: {specification!r} in format {version}; a Whisper in format {_BINARY_VERSION} is read"
            )
        number("I")  # the specification's revision
        for _ in range(number("I")):
            name = string()
            rank = number("B")
            if rank > _MAX_RANK:
                raise ModelError(f"{path}: damaged at {name!r}")
            shape = [number("I") for _ in range(rank)]
            dtype, size = number("B"), number("I")
            if dtype in _DTYPES:
                tensor = np.frombuffer(content, _DTYPES[dtype], size // np.dtype(_DTYPES[dtype]).itemsize, position)
                variables[name] = tensor.reshape(shape)
            elif rank > 0:  # scalars of other types are settings
                raise ModelError(f"{path}: quantised; openai-whisper needs float16 or float32 weights")
            position += size
    except (struct.error, ValueError) as error:
        raise ModelError(f"{path}: damaged or cut short ({error})") from error
    return variables


def _rename_tensors(variables: dict[str, NDArray[np.floating]]) -> OpenAiWhisper:
    """CTranslate2's names and fused projections -> openai-whisper's. Raises KeyError if a tensor is missing."""
    import torch

    state: dict[str, Tensor] = {}

    def tensor(name: str) -> "Tensor":
        return torch.from_numpy(variables[name].astype(np.float32))

    def norm(target: str, source: str) -> None:
        state[f"{target}.weight"], state[f"{target}.bias"] = tensor(f"{source}/gamma"), tensor(f"{source}/beta")

    def linear(target: str, source: str) -> None:
        state[f"{target}.weight"], state[f"{target}.bias"] = tensor(f"{source}/weight"), tensor(f"{source}/bias")

    def split(target: str, source: str, parts: tuple[str, ...]) -> None:
        """Split one fused projection into its parts, stacked along the rows; Whisper's keys have no bias."""
        weights, biases = tensor(f"{source}/weight").chunk(len(parts)), tensor(f"{source}/bias").chunk(len(parts))
        for part, weight, bias in zip(parts, weights, biases, strict=True):
            state[f"{target}.{part}.weight"] = weight.clone()
            if part != "key":
                state[f"{target}.{part}.bias"] = bias.clone()

    width, mels, _ = variables["encoder/conv1/weight"].shape
    layers = {
        side: len({name.split("/")[1] for name in variables if re.match(rf"{side}/layer_\d+/", name)})
        for side in ("encoder", "decoder")
    }
    linear("encoder.conv1", "encoder/conv1")
    linear("encoder.conv2", "encoder/conv2")
    for side, count in layers.items():
        for index in range(count):
            source, target = f"{side}/layer_{index}", f"{side}.blocks.{index}"
            split(f"{target}.attn", f"{source}/self_attention/linear_0", ("query", "key", "value"))
            linear(f"{target}.attn.out", f"{source}/self_attention/linear_1")
            norm(f"{target}.attn_ln", f"{source}/self_attention/layer_norm")
            if side == "decoder":
                linear(f"{target}.cross_attn.query", f"{source}/attention/linear_0")
                split(f"{target}.cross_attn", f"{source}/attention/linear_1", ("key", "value"))
                linear(f"{target}.cross_attn.out", f"{source}/attention/linear_2")
                norm(f"{target}.cross_attn_ln", f"{source}/attention/layer_norm")
            linear(f"{target}.mlp.0", f"{source}/ffn/linear_0")
            linear(f"{target}.mlp.2", f"{source}/ffn/linear_1")
            norm(f"{target}.mlp_ln", f"{source}/ffn/layer_norm")
    norm("encoder.ln_post", "encoder/layer_norm")
    norm("decoder.ln", "decoder/layer_norm")
    state["decoder.token_embedding.weight"] = tensor("decoder/embeddings/weight")
    state["decoder.positional_embedding"] = tensor("decoder/position_encodings/encodings")
    dimensions = {
        "n_mels": mels,
        "n_audio_ctx": _AUDIO_CONTEXT,
        "n_audio_state": width,
        "n_audio_head": width // _HEAD_WIDTH,
        "n_audio_layer": layers["encoder"],
        "n_vocab": len(state["decoder.token_embedding.weight"]),
        "n_text_ctx": len(state["decoder.positional_embedding"]),
        "n_text_state": width,
        "n_text_head": width // _HEAD_WIDTH,
        "n_text_layer": layers["decoder"],
    }
    return OpenAiWhisper(dimensions, state)
