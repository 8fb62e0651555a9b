"""How engines compare on the same segments, on CPU: vision, text and head in torch eager, ONNX Runtime, and its int8.

    python benchmarks/engines.py talk.webm [--calibrate other.mp4 …] [--runs 5] [--threads 2]

Exports the edge bundle into a scratch folder. Encodes and scores the recording's 30 s segments by every engine in turn,
and prints medians and ratios. Then prints the cost of one step for 1 and for 256 rooms, and Whisper's encoder in
CTranslate2 beside ONNX Runtime, on the same weights.
"""

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from kuaihl.engines.encoders.profiles import EDGE
from kuaihl.engines.export.bench import Contender, compare_scores, open_contenders
from kuaihl.engines.export.calibration import SampleSegment, encode_sample, recorded_sample
from kuaihl.engines.export.export import export_graphs
from kuaihl.engines.export.onnx_export import random_inputs
from kuaihl.engines.runtimes.device import set_threads
from kuaihl.engines.runtimes.graphs import Graph, GraphName
from kuaihl.engines.runtimes.processor import read_processor
from kuaihl.engines.runtimes.runtime import Precision, Target, runtime_label
from kuaihl.engines.scoring.scorer import StreamingScorer
from kuaihl.engines.speech.load import load_transcriber
from kuaihl.models.bundle import Bundle, load_bundle
from kuaihl_cli.commands.export import copy_of

SEGMENTS = 16  # of the recording, repeated to this number
ROOMS = (1, 64, 256)
WINDOW_SECONDS = 30


def exported_bundle(folder: Path, calibrate: Sequence[str]) -> Bundle:
    """The edge bundle with its graphs in fp32 and in int8."""
    bundle = copy_of(load_bundle("edge"), folder / "edge")
    exports: tuple[tuple[Precision, Target], ...] = (("fp32", "portable"), ("int8", "portable"), ("int8", "vnni"))
    for precision, target in exports:
        graphs: tuple[GraphName, ...] = ("step", "vision", "text") if target == "portable" else ("vision", "text")
        for _ in export_graphs(bundle, "onnx", precision, graphs, target=target, samples=calibrate):
            pass
    return bundle


def run_stages(sample: Sequence[SampleSegment], bundle: Bundle, one: Contender) -> dict[str, float]:
    """Each network's seconds for the whole sample."""
    began = time.perf_counter()
    one.encoders.vision.encode([segment.frames for segment in sample])
    seen = time.perf_counter()
    one.encoders.text.encode([segment.speech for segment in sample], [segment.comments for segment in sample])
    read = time.perf_counter()
    segments = list(encode_sample(sample, one.encoders))
    scorer = StreamingScorer(bundle, one.runtimes["step"])
    again = time.perf_counter()
    for segment in segments:
        scorer.score(segment)
    done = time.perf_counter()
    return {"vision": seen - began, "text": read - seen, "head": done - again}


def show_pipeline(sample: Sequence[SampleSegment], bundle: Bundle, found: Sequence[Contender], runs: int) -> None:
    """Milliseconds per segment by engine: medians of runs that take turns."""
    taken: list[list[dict[str, float]]] = [[] for _ in found]
    for turn in range(runs + 1):
        for one, spent in zip(found, taken, strict=True):
            stages = run_stages(sample, bundle, one)
            if turn > 0:  # the first is the warm-up
                spent.append(stages)
    compared = compare_scores(found, bundle, sample)
    print("| engine | vision, ms | text, ms | head, ms | all, ms a segment | times torch eager | max diff | tau |")
    print("|---|---:|---:|---:|---:|---:|---:|---:|")
    reference = 0.0
    for one, spent, parity in zip(found, taken, compared, strict=True):
        medians = {name: statistics.median(run[name] for run in spent) / len(sample) * 1e3 for name in spent[0]}
        whole = sum(medians.values())
        reference = reference or whole
        stages = " | ".join(f"{value:.1f}" for value in medians.values())
        name = runtime_label(one.kind, one.precision, one.target)
        print(
            f"| {name} | {stages} | {whole:.1f} | {reference / whole:.2f} | "
            f"{parity.max_abs_difference:.1e} | {parity.tau:.4f} |"
        )


def milliseconds(call: Callable[[], Any], repeats: int = 30) -> float:
    """The median of the calls, after three warm-up calls."""
    taken = []
    for turn in range(repeats + 3):
        began = time.perf_counter()
        call()
        if turn >= 3:
            taken.append(time.perf_counter() - began)
    return statistics.median(taken) * 1e3


def show_rooms(found: Sequence[Contender], graphs: dict[GraphName, Graph]) -> None:
    """Milliseconds of one call of the head's step for many rooms."""
    print("\n| head step | " + " | ".join(f"{rooms} rooms, ms" for rooms in ROOMS) + " | 256 rooms, times one |")
    print("|---|---:|---:|---:|---:|")
    for one in found[:2]:
        calls = [random_inputs(graphs["step"], {"rooms": rooms}, seed=0) for rooms in ROOMS]
        step = one.runtimes["step"]
        taken = [milliseconds(lambda inputs=inputs, step=step: step.run(*inputs)) for inputs in calls]
        cells = " | ".join(f"{value:.2f}" for value in taken)
        print(f"| {one.kind} {one.precision} | {cells} | {taken[-1] / taken[0]:.1f} |")


def show_whisper(threads: int) -> None:
    """Whisper base's encoder on one 30 s window: the engine of `kuaihl score` beside an export of the same weights."""
    import ctranslate2
    import onnxruntime
    from onnxruntime.quantization import QuantType, quantize_dynamic
    from whisper.model import ModelDimensions, Whisper

    from kuaihl.engines.speech.whisper_weights import openai_whisper_weights
    from kuaihl.engines.weights.catalog import SPEECH_EDGE
    from kuaihl.engines.weights.resolve import resolve

    weights = resolve(SPEECH_EDGE)
    converted = openai_whisper_weights(weights.file)
    model = Whisper(ModelDimensions(**converted.dimensions))
    model.load_state_dict(converted.state, strict=False)
    mel = torch.randn(1, model.dims.n_mels, WINDOW_SECONDS * 100)
    calls: dict[str, Callable[[], Any]] = {}
    for kind in ("int8", "float32"):
        quick = ctranslate2.models.Whisper(str(weights.folder), compute_type=kind, intra_threads=threads)
        window = ctranslate2.StorageView.from_array(mel.numpy())
        calls[f"CTranslate2 {kind}"] = lambda quick=quick, window=window: np.asarray(quick.encode(window, to_cpu=True))
    with tempfile.TemporaryDirectory() as name, torch.inference_mode():
        encoder = model.encoder.eval()
        calls["torch eager"] = lambda: encoder(mel)
        fp32, int8 = Path(name) / "fp32.onnx", Path(name) / "int8.onnx"
        torch.onnx.export(encoder, (mel,), str(fp32), dynamo=True, external_data=False, verbose=False)
        quantize_dynamic(fp32, int8, weight_type=QuantType.QInt8, per_channel=True, op_types_to_quantize=["MatMul"])
        for file in (fp32, int8):
            options = onnxruntime.SessionOptions()
            options.intra_op_num_threads = threads
            session = onnxruntime.InferenceSession(str(file), options, providers=["CPUExecutionProvider"])
            port = session.get_inputs()[0].name
            calls[f"ONNX Runtime {file.stem}"] = lambda session=session, port=port: session.run(
                None, {port: mel.numpy()}
            )
        print("\n| Whisper base's encoder, a 30 s window | ms |\n|---|---:|")
        for kind, call in calls.items():
            print(f"| {kind} | {milliseconds(call, 7):.0f} |")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("recording")
    parser.add_argument("--calibrate", nargs="*", help="recordings that int8 is calibrated on; by default the same")
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    threads = set_threads(options.threads)
    hearing = load_transcriber("auto", model=EDGE.whisper, device="cpu", threads=threads)
    few = recorded_sample(options.recording, hearing, WINDOW_SECONDS)
    sample = (few * (1 + SEGMENTS // len(few)))[:SEGMENTS] if len(few) < SEGMENTS else few
    with tempfile.TemporaryDirectory() as name:
        bundle = exported_bundle(Path(name), options.calibrate or [options.recording])
        found, graphs = open_contenders(bundle, device="cpu", threads=threads, on_message=print)
        print(
            f"{len(few)} segments of {Path(options.recording).name}, run as {len(sample)}; {threads} threads, ", end=""
        )
        print(f"medians of {options.runs}; torch {torch.__version__}; {read_processor().description}\n")
        show_pipeline(sample, bundle, found, options.runs)
        show_rooms(found, graphs)
    show_whisper(threads)


if __name__ == "__main__":
    main()
