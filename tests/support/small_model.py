"""A loaded model whose encoders are small and quick: features follow from a segment's own pictures and words."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
from support.small_bundle import BEYOND_PAPER, make_bundle

from kuaihl.engines.encoders.profiles import EDGE, Encoders
from kuaihl.engines.scoring.model import Model
from kuaihl.engines.scoring.scorer import open_step
from kuaihl.engines.scoring.settings import ScoreSettings
from kuaihl.engines.types import Audio, RgbImage, Transcript
from kuaihl.models.errors import UsageError
from kuaihl.models.facts import EncoderFacts
from kuaihl.models.features import Float16


@dataclass
class SmallVision:
    """Each frame's mean colour; `seconds` is what a call takes that has pictures, and `calls` the segments of each."""

    seconds: float = 0.0
    calls: list[int] = field(default_factory=list)
    runtime: Any = field(default_factory=lambda: SimpleNamespace(precision="fp32"))

    def encode(self, frames: Sequence[Sequence[RgbImage]]) -> Float16:
        self.calls.append(len(frames))
        time.sleep(self.seconds if any(frames) else 0.0)
        visual = np.zeros((len(frames), BEYOND_PAPER.patches, BEYOND_PAPER.visual_width), np.float16)
        for i, images in enumerate(frames):
            for k, image in enumerate(images):
                visual[i, k] = np.mean(image) / 255
        return visual


class SmallText:
    """The number of characters that were said, and of those that were written."""

    def encode(self, speech: Sequence[str], comments: Sequence[Sequence[str]]) -> Float16:
        text = np.zeros((len(speech), BEYOND_PAPER.text_width), np.float16)
        text[:, 0] = [len(said) / 100 for said in speech]
        text[:, 1] = [sum(map(len, written)) / 100 for written in comments]
        return text


@dataclass
class SmallTranscriber:
    """It takes `seconds` and hears as many letters as the sound has seconds; streams share `begun`."""

    seconds: float = 0.0
    begun: list[tuple[float, float]] = field(default_factory=list)  # moment, and start of the segment
    name: str = "small"

    def for_stream(self, language: str | None = None) -> "SmallTranscriber":
        return SmallTranscriber(self.seconds, self.begun)

    def transcribe(
        self, windows: Sequence[Audio], starts: Sequence[float], *, language: str | None = None
    ) -> list[Transcript]:
        if language == "xx":
            raise UsageError("this Whisper does not know it", setting="language", value=language)
        if not windows:
            return []
        self.begun.append((time.monotonic(), starts[0]))
        time.sleep(self.seconds)
        return [Transcript("x" * (len(window) // 16_000), language=language or "en") for window in windows]


def small_encoders(
    *, vision: SmallVision | None = None, text: object = None, transcriber: SmallTranscriber | None = None
) -> Encoders:
    facts = (EncoderFacts("vision", "x", "1", "ab" * 32),)
    return Encoders(EDGE, cast(Any, vision or SmallVision()), cast(Any, text or SmallText()), transcriber, facts, "cpu")


def small_model(folder: Path, encoders: Encoders | None = None, *, segment_seconds: float = 2.0) -> Model:
    """A network with random weights behind the small encoders."""
    bundle = make_bundle(folder, 0, BEYOND_PAPER)
    settings = ScoreSettings(segment_seconds=segment_seconds, timeout=3.0)
    return Model(bundle, encoders or small_encoders(), open_step(bundle), settings)


def model_without_encoders(folder: Path, settings: ScoreSettings) -> Model:
    """A small head with facts of encoders, for tests that put scored segments in the pipeline's place."""
    bundle = make_bundle(folder, seed=0)
    vision = SimpleNamespace(runtime=SimpleNamespace(precision="fp32"))
    facts = (EncoderFacts("vision", "x", "1", "ab" * 32),)
    encoders = SimpleNamespace(device="cpu", vision=vision, transcriber_name="none", facts=facts)
    return Model(bundle, cast(Any, encoders), open_step(bundle), settings)
