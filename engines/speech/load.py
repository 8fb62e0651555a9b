"""Speech back-ends, one file each; a new one is a line in `DECODERS`."""

from collections.abc import Callable
from importlib.util import find_spec

from kuaihl.engines.speech.long_segments import transcribe_segments
from kuaihl.engines.speech.transcriber import Transcriber, WindowDecoder
from kuaihl.engines.speech.whisper_weights import resolve_whisper
from kuaihl.engines.weights.resolve import Resolved
from kuaihl.models.errors import UsageError

__all__ = ["DECODERS", "Transcriber", "load_transcriber", "transcribe_segments"]


def _load_ctranslate2(weights: Resolved, device: str, threads: int) -> WindowDecoder:
    from kuaihl.engines.speech.ctranslate2 import CTranslate2Decoder

    return CTranslate2Decoder(weights, device, threads)


def _openai_whisper(weights: Resolved, device: str, threads: int) -> WindowDecoder:
    from kuaihl.engines.speech.openai_whisper import OpenAiWhisperDecoder

    return OpenAiWhisperDecoder(weights, device, threads)


# Quickest first: "auto" is the first that is installed (docs/benchmarks.md has the measurement).
DECODERS: dict[str, Callable[[Resolved, str, int], WindowDecoder]] = {
    "ctranslate2": _load_ctranslate2,
    "openai-whisper": _openai_whisper,
}
_PACKAGE = {"ctranslate2": "ctranslate2", "openai-whisper": "whisper"}


def load_transcriber(name: str, *, model: str, device: str, threads: int) -> Transcriber | None:
    """The transcriber `name` (auto, ctranslate2, openai-whisper), or None for "none".

    `model` is "edge", a folder, a hub repository or a size (see `resolve_whisper`); `device` is cpu, cuda or cuda:N.
    Raises UsageError if the name is unknown or an optional package is missing.
    Raises ModelError if the weights are missing, damaged or unreachable.
    """
    if name == "none":
        return None
    if name == "auto":
        name = next((each for each in DECODERS if find_spec(_PACKAGE[each])), next(iter(DECODERS)))
    if name not in DECODERS:
        raise UsageError(f"there is auto, {', '.join(DECODERS)} and none", setting="asr", value=name)
    if find_spec(_PACKAGE[name]) is None:
        raise UsageError(f"needs a package that is not here: pip install 'kuaihl[{name}]'", setting="asr", value=name)
    from kuaihl.engines.speech.gated import GatedTranscriber

    return GatedTranscriber(DECODERS[name](resolve_whisper(model), device, threads), threads)
