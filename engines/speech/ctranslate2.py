"""Whisper by CTranslate2: the quick back-end, int8 on a CPU and float16 on CUDA."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from threading import Semaphore

import numpy as np
from numpy.typing import NDArray

from kuaihl.engines.speech.transcriber import (
    WINDOW_SAMPLES,
    WINDOW_SECONDS,
    Decoded,
    SpeechWindow,
    phrases_of,
    token_limit,
)
from kuaihl.engines.types import SAMPLE_RATE, Audio
from kuaihl.engines.weights.resolve import Resolved
from kuaihl.models.errors import ModelError

_FRAMES_PER_SECOND = 100  # of the log-mel spectrogram
_BATCH_ON_CPU = 1  # windows that a worker decodes at once: each takes 37 MB, and 2 are not measurably faster
_BATCH_ON_CUDA = 16

# The encoder's cost grows faster than its input, and most windows are not full of speech once silence is cut.
# Its input is the window and at least TAIL seconds of silence, without which it invents an end. The length is rounded
# up to CONTEXT_STEP, so that windows still share batches, and depends on no other window.
_TAIL = 2.0  # s
_CONTEXT_STEP = 5.0  # s
_MIN_CONTEXT = 10.0  # s; shorter inputs lose words


class CTranslate2Decoder:
    """One set of Whisper weights, loaded by CTranslate2."""

    name = "ctranslate2"

    def __init__(self, weights: Resolved, device: str, threads: int) -> None:
        """Load the folder of `weights` on `device` (cpu, cuda or cuda:N). Raises ModelError if that fails."""
        import ctranslate2  # type: ignore[import-untyped]
        from faster_whisper.feature_extractor import FeatureExtractor  # type: ignore[import-untyped]
        from tokenizers import Tokenizer

        kind, _, index = device.partition(":")
        on_cpu = kind == "cpu"
        # Decoding is a chain of small products: two batches on one thread each beat one batch on two threads.
        self.workers = max(1, threads) if on_cpu else 1
        self.batch_size = _BATCH_ON_CPU if on_cpu else _BATCH_ON_CUDA
        try:
            self.model = ctranslate2.models.Whisper(
                str(weights.folder),
                device=kind,
                device_index=int(index or 0),
                compute_type="int8" if on_cpu else "float16",
                inter_threads=self.workers,
                intra_threads=1,
            )
            if not on_cpu:
                self.model.encode(self.storage(np.zeros((1, self.model.n_mels, 3000), np.float32)), to_cpu=True)
            self.tokenizer = Tokenizer.from_file(str(weights.folder / "tokenizer.json"))
        except Exception as error:  # CTranslate2 raises RuntimeError and ValueError, tokenizers a bare Exception
            raise ModelError(f"{weights.folder}: CTranslate2 cannot load it on {device}: {error}") from error
        self.encoding = Semaphore((self.workers + 1) // 2)  # the others decode meanwhile
        self.mel = FeatureExtractor(feature_size=self.model.n_mels)
        self.end_of_text = self.token("<|endoftext|>")
        self.timestamp_begin = self.token("<|notimestamps|>") + 1

    def decode(self, windows: Sequence[SpeechWindow], language: str) -> list[Decoded]:
        batches = self.batches([self.context(window.audio) for window in windows])
        with ThreadPoolExecutor(self.workers, thread_name_prefix="transcriber") as pool:
            results = pool.map(lambda batch: self.decode_batch([windows[i] for i in batch], language), batches)
            decoded: dict[int, Decoded] = {}
            for batch, result in zip(batches, results, strict=True):
                decoded.update(zip(batch, result, strict=True))
        return [decoded[i] for i in range(len(windows))]

    def language_probabilities(self, window: SpeechWindow) -> dict[str, float]:
        if not self.model.is_multilingual:
            return {"en": 1.0}
        encoded = self.encode([window])
        if self.model.device == "cpu":
            window.encoding = np.asarray(encoded)
        (found,) = self.model.detect_language(encoded)
        return {token.strip("<|>"): float(probability) for token, probability in found}

    def knows(self, language: str) -> bool:
        if not self.model.is_multilingual:
            return language == "en"
        return self.tokenizer.token_to_id(f"<|{language}|>") is not None and len(language) <= 3

    def batches(self, contexts: Sequence[int]) -> list[list[int]]:
        """Indices of windows to decode together: of one length, spread over the workers, longest first."""
        batches = []
        for context in sorted(set(contexts), reverse=True):
            alike = [i for i, each in enumerate(contexts) if each == context]
            size = min(self.batch_size, -(-len(alike) // self.workers))
            batches += [alike[i : i + size] for i in range(0, len(alike), size)]
        return batches

    def decode_batch(self, windows: Sequence[SpeechWindow], language: str) -> list[Decoded]:
        """Encode and decode windows of one context length."""
        prompt = [self.token("<|startoftranscript|>")]
        if self.model.is_multilingual:
            prompt += [self.token(f"<|{language}|>"), self.token("<|transcribe|>")]
        encoded = self.encode(windows)
        results = self.model.generate(
            encoded,
            [prompt] * len(windows),
            beam_size=1,
            max_length=len(prompt) + token_limit(max(len(window.audio) for window in windows) / SAMPLE_RATE),
            return_scores=True,
            return_no_speech_prob=True,
        )
        decoded = []
        for window, result in zip(windows, results, strict=True):
            tokens = result.sequences_ids[0]
            # The score is the mean over the tokens; openai-whisper divides by one more, for the end of text.
            decoded.append(
                Decoded(
                    phrases_of(
                        tokens,
                        self.timestamp_begin,
                        self.end_of_text,
                        len(window.audio) / SAMPLE_RATE,
                        self.tokenizer.decode,
                    ),
                    avg_logprob=result.scores[0] * len(tokens) / (len(tokens) + 1),
                    no_speech_prob=result.no_speech_prob,
                )
            )
        return decoded

    def encode(self, windows: Sequence[SpeechWindow]) -> object:
        """The encoder's output for windows of one context length, in CTranslate2's form.

        On a CPU they are encoded one by one, by half of the workers at a time: the same numbers, a tenth faster, and
        only one window's attention in memory for each, 72 MB for 30 s. On CUDA they stay on the device.
        """
        if self.model.device != "cpu":
            return self.model.encode(self.storage(np.stack([self.features(window.audio) for window in windows])))
        with self.encoding:
            encoded = [
                np.asarray(self.model.encode(self.storage(self.features(window.audio)[None])))
                if window.encoding is None
                else window.encoding
                for window in windows
            ]
        return self.storage(np.concatenate(encoded))

    def context(self, window: Audio) -> int:
        """The number of spectrogram frames that the encoder gets for `window`."""
        steps = -(-(len(window) / SAMPLE_RATE + _TAIL) // _CONTEXT_STEP)
        return int(min(max(steps * _CONTEXT_STEP, _MIN_CONTEXT), WINDOW_SECONDS) * _FRAMES_PER_SECOND)

    def features(self, window: Audio) -> NDArray[np.float32]:
        """Log-mel spectrogram, [mels, context]; the window is followed by silence."""
        frames = self.context(window)
        padded = np.zeros(frames * SAMPLE_RATE // _FRAMES_PER_SECOND, np.float32)
        padded[: min(len(window), len(padded), WINDOW_SAMPLES)] = window[: len(padded)]
        return np.ascontiguousarray(self.mel(padded)[:, :frames], np.float32)

    def storage(self, features: NDArray[np.float32]) -> object:
        """A NumPy array in CTranslate2's form."""
        import ctranslate2

        return ctranslate2.StorageView.from_array(features)

    def token(self, text: str) -> int:
        """Raises ModelError if this tokenizer is not Whisper's."""
        found = self.tokenizer.token_to_id(text)
        if found is None:
            raise ModelError(f"the tokenizer beside the weights has no {text}: it is not Whisper's")
        return int(found)
