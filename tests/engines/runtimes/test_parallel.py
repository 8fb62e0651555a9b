"""Runs side by side: in order, as many at once as the engine takes, and the same features as one after another."""

import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache

import numpy as np
import pytest
import torch
from support.small_graphs import SMALL_BERT, small_graph
from torch import Tensor, nn

from kuaihl.engines.encoders.text import TEXTS_AHEAD, Row, TextEncoder, TextTokenizer
from kuaihl.engines.encoders.vision import VisionEncoder, VisionSettings
from kuaihl.engines.export.onnx_export import export_onnx, random_inputs
from kuaihl.engines.export.quantize import quantize
from kuaihl.engines.runtimes.graphs import GraphName
from kuaihl.engines.runtimes.onnx_runtime import OnnxRuntime
from kuaihl.engines.runtimes.parallel import even_size, run_each, split_batches
from kuaihl.engines.runtimes.runtime import Precision, RuntimeKind

LONGEST_WAIT = 20.0  # seconds, for a run that is to go on beside another


@dataclass
class Doubling:
    """Doubles its input, in two streams only once two runs are in there together."""

    num_streams: int
    kind: RuntimeKind = "onnx"
    precision: Precision = "fp32"
    threads: set[int] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.together = threading.Barrier(self.num_streams)

    def run(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        self.together.wait(LONGEST_WAIT)
        self.threads.add(threading.get_ident())
        if inputs[0].isnan():
            raise ValueError("not a number")
        return (inputs[0] * 2,)


def calls(*values: float) -> Iterator[tuple[Tensor]]:
    return ((torch.tensor(value),) for value in values)


def test_two_streams_run_two_at_once_and_answer_in_order() -> None:
    engine = Doubling(num_streams=2)
    found = [float(value) for (value,) in run_each(engine, calls(*range(8)))]
    assert found == [2 * value for value in range(8)]
    assert len(engine.threads) == 2


def test_one_stream_is_the_callers_thread_and_makes_an_input_when_it_is_due() -> None:
    engine, made = Doubling(num_streams=1), []

    def counted() -> Iterator[tuple[Tensor]]:
        for value in range(3):
            made.append(value)
            yield (torch.tensor(float(value)),)

    found = run_each(engine, counted())
    assert [float(next(found)[0]), float(next(found)[0])] == [0.0, 2.0]
    assert made == [0, 1]
    assert engine.threads == {threading.get_ident()}


@pytest.mark.parametrize(
    ("number", "num_streams", "runs"),
    [
        (12, 2, [3, 3, 3, 3]),  # and not 4, 4 and 4, for the last of which one stream would wait
        (8, 2, [4, 4]),
        (5, 1, [3, 2]),
        (2, 2, [1, 1]),
        (1, 2, [1]),
        (0, 2, []),
    ],
)
def test_runs_are_of_one_size_for_all_streams(number: int, num_streams: int, runs: list[int]) -> None:
    assert [len(run) for run in split_batches(list(range(number)), even_size(number, 4, num_streams))] == runs


@pytest.mark.parametrize("num_streams", [1, 2])
def test_an_error_in_a_stream_is_the_callers(num_streams: int) -> None:
    with pytest.raises(ValueError, match="not a number"):
        list(run_each(Doubling(num_streams), calls(1.0, float("nan"), 2.0, 3.0)))


@cache
def exported(name: GraphName) -> bytes:
    pytest.importorskip("onnx", reason="onnx is not installed")
    pytest.importorskip("onnxscript", reason="onnxscript is not installed")
    return bytes(export_onnx(small_graph(name), "fp32").SerializeToString())


def engine_with(name: GraphName, num_streams: int) -> OnnxRuntime:
    engine = OnnxRuntime(exported(name), name, threads=4, num_streams=num_streams)
    assert engine.session.get_session_options().intra_op_num_threads == 4 // num_streams
    return engine


def test_pictures_are_seen_in_streams_as_in_one() -> None:
    settings = VisionSettings(size=32, mean=(0.5,) * 3, std=(0.2,) * 3, grid=2, width=16)
    random = np.random.default_rng(0)
    frames = [[random.integers(0, 256, (40, 60, 3), dtype=np.uint8) for _ in range(number)] for number in (3, 0, 1, 3)]
    one, many = (VisionEncoder(engine_with("vision", num_streams), settings).encode(frames) for num_streams in (1, 4))
    np.testing.assert_allclose(many, one, atol=2e-3)
    assert np.abs(one[0]).max() > 0.1
    assert not one[1].any()


def text_encoder(engine: OnnxRuntime) -> TextEncoder:
    torch.manual_seed(0)
    words = nn.Embedding(SMALL_BERT.vocabulary, SMALL_BERT.width).requires_grad_(False)
    tokenizer = TextTokenizer(ids=lambda text: [ord(letter) % 90 for letter in text], start=97, end=98, padding=0)
    return TextEncoder(engine, words, tokenizer, width=SMALL_BERT.width)


def test_texts_of_any_length_are_read_in_streams_as_in_one() -> None:
    pairs = [("abc" * turn, "de" * (turn % 3)) for turn in range(9)]
    one, many = (text_encoder(engine_with("text", num_streams)).encode_clean(pairs) for num_streams in (1, 2))
    np.testing.assert_allclose(many, one, atol=2e-3)
    assert not one[0].any()
    assert len(np.unique(one.round(2), axis=0)) == len(pairs)


@pytest.mark.parametrize("num_streams", [1, 2])
def test_a_text_in_int8_has_one_vector_in_whatever_company(num_streams: int) -> None:
    graph = small_graph("text")
    model = quantize(export_onnx(graph, "fp32"), [random_inputs(graph, {"texts": 2, "length": 30}, seed=0)])
    encoder = text_encoder(OnnxRuntime(model.SerializeToString(), "text", "int8", num_streams=num_streams))
    pairs = [("abcdefgh" * turn, "") for turn in range(1, 7)]
    together = encoder.encode_clean(pairs)
    for pair, vector in zip(pairs, together, strict=True):
        assert np.array_equal(encoder.encode_clean([pair])[0], vector)


@pytest.mark.parametrize("num_streams", [1, 2])
def test_the_words_of_a_whole_data_set_are_not_looked_up_at_once(num_streams: int) -> None:
    torch.manual_seed(0)
    words, engine, ahead = nn.Embedding(9, 4), Doubling(num_streams), []

    class Watched(TextEncoder):
        def prepare(self, rows: Sequence[Row]) -> tuple[Tensor, Tensor, Tensor]:
            ahead.append(len(rows))
            return super().prepare(rows)

    def run(*inputs: Tensor) -> tuple[Tensor, ...]:
        most.append(sum(ahead) - sum(done))
        done.append(len(inputs[0]))
        return (inputs[0][:, 0],)

    done: list[int] = []
    most: list[int] = []
    engine.run = run  # type: ignore[method-assign]
    tokenizer = TextTokenizer(ids=lambda text: [len(text)], start=1, end=2, padding=0)
    found = Watched(engine, words, tokenizer, width=4).encode_clean([("ab", "")] * 500)
    assert len(found) == sum(done) == 500
    assert max(most) <= TEXTS_AHEAD
