"""How fast speech becomes text: the same Whisper weights, run in the usual ways, side by side.

    python benchmarks/transcription.py [MEDIA ...] [--seconds 300] [--threads 2] [--runs 3]

Prints a Markdown table of medians. Give it speech; without arguments it repeats the clips of the shared folder.
"""

import argparse
import os
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from kuaihl.engines.types import Audio

SHARED = Path(__file__).parents[1].parent / "shared" / "media"
CLIPS = ("talk_96s.webm", "talk_42s.mp4", "jfk_11s.flac", "talk_35s.mp4")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("media", nargs="*", type=Path, default=[SHARED / name for name in CLIPS])
    parser.add_argument("--seconds", type=float, default=300.0, help="of audio; the media are repeated to fill them")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--model", default="edge")
    parser.add_argument("--device", default="cpu")
    arguments = parser.parse_args()
    if missing := [str(path) for path in arguments.media if not path.is_file()]:
        parser.error(f"not here: {', '.join(missing)}")
    os.environ["OMP_NUM_THREADS"] = str(arguments.threads)  # before the libraries read it
    measure(arguments)


def measure(arguments: argparse.Namespace) -> None:
    import numpy as np
    import torch

    from kuaihl.engines.speech.gated import GatedTranscriber
    from kuaihl.engines.speech.load import DECODERS
    from kuaihl.engines.speech.transcriber import WINDOW_SAMPLES
    from kuaihl.engines.speech.voice_activity import speech_spans_of
    from kuaihl.engines.speech.whisper_weights import resolve_whisper
    from kuaihl.engines.types import SAMPLE_RATE

    torch.set_num_threads(arguments.threads)
    audio = np.concatenate([decode(path) for path in arguments.media])
    audio = np.resize(audio, int(arguments.seconds * SAMPLE_RATE))
    windows = [audio[i : i + WINDOW_SAMPLES] for i in range(0, len(audio), WINDOW_SAMPLES)]
    starts = [30.0 * i for i in range(len(windows))]
    speech = sum(end - start for spans in speech_spans_of(windows, arguments.threads) for start, end in spans)

    weights = resolve_whisper(arguments.model)
    decoders = {name: load(weights, arguments.device, arguments.threads) for name, load in DECODERS.items()}
    reference = decoders["openai-whisper"]

    def whole() -> str:
        options = {"language": "en", "temperature": 0.0, "fp16": arguments.device != "cpu"}
        return str(reference.whisper.transcribe(reference.model, audio, **options)["text"])

    def batched(name: str) -> str:
        return " ".join(phrase.text for each in decoders[name].decode(windows, "en") for phrase in each.phrases)

    def one_by_one(name: str) -> str:
        return " ".join(p.text for w in windows for each in decoders[name].decode([w], "en") for p in each.phrases)

    def gated(name: str) -> str:
        transcriber = GatedTranscriber(decoders[name], arguments.threads)
        return " ".join(each.text for each in transcriber.transcribe(windows, starts, language="en"))

    def gate_alone() -> str:
        speech_spans_of(windows, arguments.threads)
        return ""

    ways: dict[str, Callable[[], str]] = {
        "`whisper.transcribe`, greedy": whole,
        "openai-whisper, batched windows": lambda: batched("openai-whisper"),
        "kuaihl, `--asr openai-whisper` (batched behind VAD)": lambda: gated("openai-whisper"),
        "CTranslate2, window by window": lambda: one_by_one("ctranslate2"),
        "CTranslate2, batched windows": lambda: batched("ctranslate2"),
        "kuaihl, `--asr ctranslate2` (batched behind VAD)": lambda: gated("ctranslate2"),
        "voice activity alone": gate_alone,
    }
    print(
        f"{len(audio) / SAMPLE_RATE:.0f} s of audio, {speech:.0f} s of it speech; {arguments.threads} threads, ", end=""
    )
    print(f"{arguments.device}, {weights.weights.name}; median of {arguments.runs}\n")
    print("| way | × real time | CPU s per minute | words |\n|---|---:|---:|---:|")
    for way, run in ways.items():
        walls, cpus, words = [], [], 0
        for _ in range(arguments.runs):
            wall, cpu = time.perf_counter(), time.process_time()
            words = len(run().split())
            walls.append(time.perf_counter() - wall)
            cpus.append(time.process_time() - cpu)
        minutes = len(audio) / SAMPLE_RATE / 60
        print(f"| {way} | {60 * minutes / statistics.median(walls):.1f} | ", end="")
        print(f"{statistics.median(cpus) / minutes:.2f} | {words or ''} |", flush=True)


def decode(path: Path) -> "Audio":
    """The first audio stream of `path`, 16 kHz mono."""
    import av
    import numpy as np

    from kuaihl.engines.types import SAMPLE_RATE

    with av.open(str(path)) as container:
        resampler = av.AudioResampler("fltp", "mono", SAMPLE_RATE)
        frames = [out for frame in container.decode(audio=0) for out in resampler.resample(frame)]
        frames += resampler.resample(None)
    return np.concatenate([frame.to_ndarray()[0] for frame in frames])


if __name__ == "__main__":
    main()
