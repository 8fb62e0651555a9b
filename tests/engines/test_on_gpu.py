"""On a card the engines compute what they do on the CPU: every graph, both encoders, and a room's scores."""

from pathlib import Path

import numpy as np
import pytest
import torch
from support.device import DEVICE, gpu_test
from support.small_bundle import BEYOND_PAPER, make_bundle, segments
from support.small_graphs import SMALL_BERT, small_graph
from torch import nn

from kuaihl.engines.encoders.text import TextEncoder, TextTokenizer
from kuaihl.engines.encoders.vision import VisionEncoder, VisionSettings
from kuaihl.engines.export.onnx_export import random_inputs
from kuaihl.engines.runtimes.graphs import GRAPH_NAMES, GraphName
from kuaihl.engines.runtimes.runtime import Precision
from kuaihl.engines.runtimes.torch_runtime import TorchRuntime, open_torch
from kuaihl.engines.scoring.scorer import ScorerState, StreamingScorer, open_step

SIZES = {"rooms": 5, "frames": 3, "texts": 2, "length": 19}
# cuDNN's convolutions round float32 to tf32.
TOLERANCE: dict[Precision, float] = {"fp32": 2e-3, "fp16": 1e-2, "bf16": 5e-2}


@gpu_test
@pytest.mark.parametrize("precision", TOLERANCE)
@pytest.mark.parametrize("name", GRAPH_NAMES)
def test_every_graph_computes_the_same(name: GraphName, precision: Precision) -> None:
    graph = small_graph(name)
    inputs = random_inputs(graph, SIZES, seed=1)
    tolerance = 1e-4 if precision == "fp32" and name != "vision" else TOLERANCE[precision]
    found, expected = (
        TorchRuntime(graph, DEVICE, precision).run(*inputs)[0],
        TorchRuntime(small_graph(name)).run(*inputs)[0],
    )
    assert found.device.type == torch.device(DEVICE).type
    assert found.dtype == torch.float32
    torch.testing.assert_close(found.cpu(), expected, atol=tolerance, rtol=tolerance)


@gpu_test
def test_pictures_become_the_same_tokens() -> None:
    settings = VisionSettings(size=32, mean=(0.5, 0.5, 0.5), std=(0.2, 0.2, 0.2), grid=2, width=16)
    draw = np.random.default_rng(0)
    frames = [[draw.integers(0, 255, (45, 80, 3), np.uint8) for _ in range(number)] for number in (3, 0, 1, *[3] * 20)]
    found, expected = (
        VisionEncoder(TorchRuntime(small_graph("vision"), device), settings, device).encode(frames)
        for device in (DEVICE, "cpu")
    )
    assert not found[1].any()
    np.testing.assert_allclose(found.astype(float), expected.astype(float), atol=1e-2, rtol=1e-2)


@gpu_test
def test_words_become_the_same_vectors() -> None:
    tokenizer = TextTokenizer(lambda text: [3 + ord(letter) % 90 for letter in text], start=0, end=2, padding=1)
    said, written = (
        ["a goal", "", "look at this", *["word " * n for n in range(1, 12)]],
        [["wow", "gg"], [], *[[]] * 12],
    )
    found, expected = (
        TextEncoder(
            TorchRuntime(small_graph("text"), device), words(), tokenizer, width=SMALL_BERT.width, device=device
        ).encode(said, written)
        for device in (DEVICE, "cpu")
    )
    assert not found[1].any() and found[0].any()
    np.testing.assert_allclose(found.astype(float), expected.astype(float), atol=1e-3)


def words() -> nn.Module:
    torch.manual_seed(5)
    return nn.Embedding(SMALL_BERT.vocabulary, SMALL_BERT.width).requires_grad_(False)


@gpu_test
def test_a_room_gets_the_same_scores_and_moves_to_the_cpu_half_way(tmp_path: Path) -> None:
    bundle = make_bundle(tmp_path / "bundle", 0, BEYOND_PAPER)
    expected = list(StreamingScorer(bundle).scores(segments(12)))
    scorer = StreamingScorer(bundle, open_step(bundle, open_torch(DEVICE)), device=DEVICE)
    room = list(segments(12))
    found = list(scorer.scores(room[:7]))
    moved = StreamingScorer(bundle, state=ScorerState.from_bytes(scorer.state.to_bytes()))
    for ours, theirs in zip([*found, *moved.scores(room[7:])], expected, strict=True):
        assert ours.score == pytest.approx(theirs.score, abs=1e-4)
        assert ours.interest == pytest.approx(theirs.interest, abs=1e-4)
