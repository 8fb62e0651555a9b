"""Finds speech: 16 kHz audio in, spans of speech in seconds out (DESIGN section 4, the gate before Whisper).

Silero VAD, the ONNX file inside faster-whisper's wheel, gives a probability of speech every 32 ms; hysteresis and
padding turn these into spans. Digital silence never reaches the network.
"""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from kuaihl.engines.types import SAMPLE_RATE, Audio
from kuaihl.models.errors import ModelError

if TYPE_CHECKING:
    import onnxruntime

Span = tuple[float, float]  # start, end in seconds from the audio's first sample

_FRAME = 512  # samples: 32 ms, the step of the network
_CONTEXT = 64  # samples of the previous frame that the network sees before each frame
_STATE = 128  # width of its LSTM
SECONDS_PER_FRAME = _FRAME / SAMPLE_RATE

_SILENCE_RMS = 1e-4  # -80 dBFS: nothing that anybody could hear
_SPEECH_BEGINS = 0.5  # probability at which a span opens; Silero's own default
_SPEECH_ENDS = 0.35  # probability below which it may close
MIN_SILENCE = 2.0  # s; shorter pauses belong to the speech around them
_MIN_SPEECH = 0.25  # s; anything shorter is a click or a cough
PADDING = 0.6  # s kept on either side of a span: the network is late if speech starts softly or over music


def speech_spans(audio: Audio) -> list[Span]:
    """Spans of `audio` ([samples] at 16 kHz, any length) in which somebody speaks, in order, never overlapping."""
    return spans_of_probabilities(speech_probabilities(audio), len(audio) / SAMPLE_RATE)


def speech_spans_of(windows: Sequence[Audio], threads: int = 1) -> list[list[Span]]:
    """`speech_spans` of independent windows, on `threads` threads: the network itself is sequential in time."""
    if threads <= 1 or len(windows) <= 1:
        return [speech_spans(window) for window in windows]
    with ThreadPoolExecutor(min(threads, len(windows)), thread_name_prefix="voice-activity") as pool:
        return list(pool.map(speech_spans, windows))


def speech_probabilities(audio: Audio) -> NDArray[np.float32]:
    """Probability of speech in each frame of 32 ms, [ceil(samples / 512)]; zeros for digital silence."""
    frames = -(-len(audio) // _FRAME)
    if frames == 0 or float(np.sqrt(np.mean(np.square(audio)))) < _SILENCE_RMS:
        return np.zeros(frames, np.float32)
    padded = np.zeros(_CONTEXT + frames * _FRAME, np.float32)
    padded[_CONTEXT : _CONTEXT + len(audio)] = audio
    overlapping = np.lib.stride_tricks.sliding_window_view(padded, _CONTEXT + _FRAME)[::_FRAME]  # [frames, 576]
    state = np.zeros((1, 1, _STATE), np.float32)
    inputs = {"input": np.ascontiguousarray(overlapping), "h": state, "c": state}
    probabilities: NDArray[np.float32] = _load_network().run(["speech_probs"], inputs)[0].reshape(-1)
    return probabilities


def spans_of_probabilities(probabilities: NDArray[np.float32], duration: float) -> list[Span]:
    """Open at SPEECH_BEGINS, close after MIN_SILENCE below SPEECH_ENDS; pad, and clip to [0, duration]."""
    spans: list[Span] = []
    start: float | None = None
    quiet_since: float | None = None
    for time, probability in zip(
        np.arange(len(probabilities)) * SECONDS_PER_FRAME, probabilities.tolist(), strict=True
    ):
        if probability >= _SPEECH_BEGINS:
            start = float(time) if start is None else start
            quiet_since = None
        elif start is not None and probability < _SPEECH_ENDS:
            quiet_since = float(time) if quiet_since is None else quiet_since
            if time - quiet_since >= MIN_SILENCE:
                spans.append((start, quiet_since))
                start = quiet_since = None
    if start is not None:
        spans.append((start, duration if quiet_since is None else quiet_since))
    # Pauses are longer than two paddings, so padded spans cannot overlap.
    return [
        (max(0.0, start - PADDING), min(duration, end + PADDING)) for start, end in spans if end - start >= _MIN_SPEECH
    ]


@cache
def _load_network() -> "onnxruntime.InferenceSession":
    """The Silero network, one thread per run; a session may run on several threads at once.

    Raises ModelError if the file is missing or is of a version with other inputs.
    """
    import onnxruntime

    options: Any = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 4
    options.enable_cpu_mem_arena = options.enable_mem_pattern = False  # they would keep the memory of one long run
    file = _network_file()
    session = onnxruntime.InferenceSession(file, options, providers=["CPUExecutionProvider"])
    names = [port.name for port in session.get_inputs()]
    if names != ["input", "h", "c"]:
        raise ModelError(f"{file}: unknown inputs {names}; pip install 'faster-whisper>=1.2.1,<2'")
    return session


def _network_file() -> Path:
    """The ONNX file in faster-whisper's wheel, found without importing that package. Raises ModelError."""
    spec = find_spec("faster_whisper")
    folder = Path(spec.submodule_search_locations[0]) if spec and spec.submodule_search_locations else Path()
    file = folder / "assets" / "silero_vad_v6.onnx"
    if not file.is_file():
        raise ModelError("Silero VAD is missing: pip install --force-reinstall 'faster-whisper>=1.2.1,<2'")
    return file
