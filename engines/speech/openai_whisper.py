"""Whisper by its authors' package: the reference back-end, with the same weights, decoded as batches of windows."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from kuaihl.engines.speech.transcriber import Decoded, SpeechWindow, phrases_of, token_limit
from kuaihl.engines.speech.whisper_weights import openai_whisper_weights
from kuaihl.engines.types import SAMPLE_RATE
from kuaihl.engines.weights.resolve import Resolved
from kuaihl.models.errors import ModelError, UsageError

if TYPE_CHECKING:
    from torch import Tensor

_BATCH_ON_CPU = 8  # windows at once
_BATCH_ON_CUDA = 16


class OpenAiWhisperDecoder:
    """One set of Whisper weights, run by openai-whisper's own `decode`."""

    name = "openai-whisper"

    def __init__(self, weights: Resolved, device: str, threads: int) -> None:
        """Load `weights` on `device` (cpu, cuda or cuda:N). The CPU threads are PyTorch's; the caller sets them.

        Raises UsageError if the package is missing, ModelError if the weights cannot be used.
        """
        try:
            import whisper  # type: ignore[import-untyped]
            from whisper.model import ModelDimensions, Whisper  # type: ignore[import-untyped]
            from whisper.tokenizer import LANGUAGES, get_tokenizer  # type: ignore[import-untyped]
        except ImportError as error:
            raise UsageError(
                "needs a package that is not here: pip install 'kuaihl[openai-whisper]'", setting="asr", value=self.name
            ) from error
        converted = openai_whisper_weights(weights.file)
        model = Whisper(ModelDimensions(**converted.dimensions))
        try:
            missing, unknown = model.load_state_dict(converted.state, strict=False)
        except RuntimeError as error:  # a tensor of another shape
            raise ModelError(f"{weights.file}: its tensors do not fit a Whisper") from error
        if unknown or set(missing) - {"encoder.positional_embedding"}:
            raise ModelError(f"{weights.file}: not a whole Whisper, {len(missing)} tensors are missing")
        self.whisper = whisper
        self.model = model.to(device).eval()
        self.on_cpu = device == "cpu"
        self.languages = set(LANGUAGES)
        self.tokenizer = get_tokenizer(model.is_multilingual, num_languages=model.num_languages)

    def decode(self, windows: Sequence[SpeechWindow], language: str) -> list[Decoded]:
        size = _BATCH_ON_CPU if self.on_cpu else _BATCH_ON_CUDA
        decoded: list[Decoded] = []
        for i in range(0, len(windows), size):
            decoded += self.decode_batch(windows[i : i + size], language)
        return decoded

    def language_probabilities(self, window: SpeechWindow) -> dict[str, float]:
        if not self.model.is_multilingual:
            return {"en": 1.0}
        _, (probabilities,) = self.whisper.detect_language(self.model, self.features([window]))
        return dict(probabilities)

    def knows(self, language: str) -> bool:
        return language in self.languages if self.model.is_multilingual else language == "en"

    def decode_batch(self, windows: Sequence[SpeechWindow], language: str) -> list[Decoded]:
        """Greedy, with timestamps; nothing is carried from one window to another."""
        options = self.whisper.DecodingOptions(
            language=language,
            temperature=0.0,
            sample_len=token_limit(max(len(window.audio) for window in windows) / SAMPLE_RATE),
            fp16=not self.on_cpu,
        )
        return [
            Decoded(
                phrases_of(
                    result.tokens,
                    self.tokenizer.timestamp_begin,
                    self.tokenizer.eot,
                    len(window.audio) / SAMPLE_RATE,
                    self.tokenizer.decode,
                ),
                avg_logprob=float(result.avg_logprob),
                no_speech_prob=float(result.no_speech_prob),
            )
            for window, result in zip(
                windows, self.whisper.decode(self.model, self.features(windows), options), strict=True
            )
        ]

    def features(self, windows: Sequence[SpeechWindow]) -> "Tensor":
        """Log-mel spectrograms, [B, mels, 3000]; each window is followed by silence."""
        import torch

        padded = torch.stack([torch.from_numpy(self.whisper.pad_or_trim(window.audio)) for window in windows])
        spectrograms = [self.whisper.log_mel_spectrogram(each, self.model.dims.n_mels) for each in padded]
        return torch.stack(spectrograms).to(self.model.device)
