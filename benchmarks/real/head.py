"""A set's segments as a network's inputs, and a trained head's answers.

Words go through the edge profile's text encoder, comments and speech as in the pipeline. A stream without pictures has
zeros for them there, and here. A recording is read whole in one causal pass, as of an unknown streamer.
"""

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

import numpy as np
import torch
from numpy.typing import NDArray
from rules import columns_of
from sets import RealSet, Recording
from torch import Tensor

from kuaihl.engines.encoders.profiles import load_one, profile_named
from kuaihl.engines.runtimes.torch_runtime import open_torch
from kuaihl.engines.weights.cache import cache_folder
from kuaihl.models.bundle import Bundle
from kuaihl.models.dims import UNKNOWN_STREAMER
from kuaihl.models.signals import with_standard_scores

if TYPE_CHECKING:
    from kuaihl.engines.encoders.text import TextEncoder
    from kuaihl.models.network.kuaihl import KuaiHL

Floats = NDArray[np.float64]
QUESTIONS = ("present", "next")


@dataclass(frozen=True)
class Inputs:
    """A recording of S segments as a network reads it."""

    text: Tensor  # [S, d_t]
    signals: Tensor  # [S, SIGNALS_WIDTH]
    labels: dict[str, Tensor]  # by question [S], NaN if missing


class TextVectors:
    """The text encoder of a profile, loaded on first use; its vectors are kept in the user's cache."""

    def __init__(self, profile: str) -> None:
        self.profile = profile_named(profile)
        self._loaded: tuple[TextEncoder, str] | None = None

    def of(self, recording: Recording) -> NDArray[np.float16]:
        """Vectors [S, d_t]. Raises ModelError if there are no weights."""
        if not any(recording.speech) and not any(recording.comments):
            return np.zeros((len(recording.speech), self.profile.d_t), np.float16)
        if self._loaded is None:
            encoder, facts = load_one(self.profile.text, None, self.profile.load_text, open_torch("cpu"), "cpu")
            self._loaded = encoder, facts.sha256
        encoder, sha256 = self._loaded
        told = repr((sha256, recording.speech, recording.comments)).encode()
        file = cache_folder() / "real" / f"{hashlib.sha256(told).hexdigest()}.npy"
        if file.is_file():
            return cast(NDArray[np.float16], np.load(file))
        vectors = encoder.encode(recording.speech, recording.comments)
        file.parent.mkdir(parents=True, exist_ok=True)
        np.save(file, vectors)
        return vectors


def inputs_of(real: RealSet, vectors: TextVectors) -> list[Inputs]:
    """All recordings of a set. Raises ModelError as `TextVectors.of`."""
    return [
        Inputs(
            text=torch.from_numpy(vectors.of(recording).astype(np.float32)),
            signals=torch.from_numpy(columns_of(recording)),
            labels={
                question: torch.from_numpy(getattr(recording, question).astype(np.float32))
                for question in QUESTIONS
                if question == "present" or real.follows
            },
        )
        for recording in real.recordings
    ]


def alone(real: RealSet, recordings: list[Inputs]) -> list[Inputs]:
    """Every segment as the first of a room of its own."""
    return [
        Inputs(own.text[i : i + 1], torch.from_numpy(with_standard_scores(recording.values[i : i + 1])), {})
        for recording, own in zip(real.recordings, recordings, strict=True)
        for i in range(len(own.text))
    ]


def answers(
    network: "KuaiHL", text: Tensor, signals: Tensor, valid: Tensor | None = None
) -> tuple[Tensor, Tensor | None]:
    """Logits [B, S] of the next and the present segment, the second None without that output.

    `text` [B, S, d_t], `signals` [B, S, SIGNALS_WIDTH]; pictures are zeros.
    """
    dims = network.dims
    visual = torch.zeros(*text.shape[:2], dims.patches, dims.visual_width) if dims.use_visual else text.new_zeros(0)
    streamer = torch.full(text.shape[:1], UNKNOWN_STREAMER)
    found = network.outputs(visual, text, streamer, valid, signals if dims.signals else None)
    return found.score, found.interest


@torch.inference_mode()
def scores_of(network: "KuaiHL", recordings: list[Inputs]) -> dict[str, Floats]:
    """By question, the logits [N] of its output over all recordings; "present" if the network has that output."""
    network.eval()
    found: dict[str, list[Floats]] = {"next": [], "present": []}
    for recording in recordings:
        score, interest = answers(network, recording.text[None], recording.signals[None])
        found["next"].append(score[0].double().numpy())
        if interest is not None:
            found["present"].append(interest[0].double().numpy())
    return {question: np.concatenate(parts) for question, parts in found.items() if parts}


def shipped(bundle: Bundle, recordings: list[Inputs]) -> dict[str, Floats]:
    """The answers of a bundle's head, as `scores_of`. Raises ModelError if it cannot follow a stream."""
    return scores_of(bundle.streaming_network(), recordings)
