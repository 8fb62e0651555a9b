"""Exported graphs: whole by ONNX's own checker, and what torch computes, for sizes that they were not exported with."""

from dataclasses import replace
from functools import cache
from typing import Any, cast

import pytest
import torch
from support.small_graphs import PAPER, SMALL, small_graph
from torch import Tensor
from torch.nn import functional as F

from kuaihl.engines.export.onnx_export import (
    EXAMPLE_SIZES,
    RANDOM_SIZES,
    export_onnx,
    in_float32,
    measure_parity,
    random_inputs,
)
from kuaihl.engines.runtimes.graphs import (
    GRAPH_NAMES,
    Graph,
    GraphName,
    Step,
    Vision,
    Window,
    step_graph,
    vision_graph,
    window_graph,
)
from kuaihl.engines.runtimes.onnx_runtime import OnnxRuntime
from kuaihl.engines.runtimes.runtime import Precision
from kuaihl.engines.runtimes.torch_runtime import TorchRuntime
from kuaihl.models.dims import NetworkDims
from kuaihl.models.errors import ModelError, UsageError
from kuaihl.models.network.kuaihl import KuaiHL

onnx = pytest.importorskip("onnx", reason="onnx is not installed")
pytest.importorskip("onnxscript", reason="onnxscript is not installed")

FLOATS: tuple[Precision, ...] = ("fp32", "fp16", "bf16")


@cache
def exported(name: GraphName, precision: Precision) -> bytes:
    """A small graph as ONNX, exported once for all tests."""
    return bytes(export_onnx(small_graph(name), precision).SerializeToString())


def engine_of(name: GraphName) -> OnnxRuntime:
    return OnnxRuntime(exported(name, "fp32"), name)


def other_weights(name: GraphName) -> Graph:
    """The small graph with other weights."""
    graph = small_graph(name)
    with torch.no_grad():
        for part in graph.module.parameters():
            part.copy_(torch.randn_like(part) * 0.3)
    return graph


@pytest.mark.parametrize("precision", FLOATS)
@pytest.mark.parametrize("name", GRAPH_NAMES)
def test_every_graph_is_exported_in_every_precision_as_what_torch_computes(
    name: GraphName, precision: Precision
) -> None:
    model = onnx.load_from_string(exported(name, precision))
    onnx.checker.check_model(model, full_check=True)
    graph = small_graph(name)
    found = measure_parity(graph, model, precision, [random_inputs(graph, {**EXAMPLE_SIZES, "rooms": 11}, seed=9)])
    assert ("least_cosine" in found) == (name in ("vision", "text"))
    assert found["max_abs_difference"] < (1e-5 if precision == "fp32" else 0.1)
    assert [port.name for port in model.graph.input] == [port.name for port in graph.inputs]
    assert [port.name for port in model.graph.output] == list(graph.outputs)


def test_parity_is_of_other_sizes_than_a_graph_was_exported_with() -> None:
    for size, usual in EXAMPLE_SIZES.items():
        assert usual not in RANDOM_SIZES[size]


@pytest.mark.parametrize("precision", FLOATS)
@pytest.mark.parametrize("name", GRAPH_NAMES)
def test_ports_are_of_the_same_types_in_every_precision(name: GraphName, precision: Precision) -> None:
    first, model = (onnx.load_from_string(exported(name, each)) for each in ("fp32", precision))
    for ours, theirs in zip(
        [*model.graph.input, *model.graph.output], [*first.graph.input, *first.graph.output], strict=True
    ):
        assert (ours.name, ours.type.tensor_type.elem_type) == (theirs.name, theirs.type.tensor_type.elem_type)
    kinds = {port.type.tensor_type.elem_type for port in model.graph.output}
    assert kinds == {onnx.TensorProto.FLOAT}


@pytest.mark.parametrize("size", [1, 7])
@pytest.mark.parametrize("name", GRAPH_NAMES)
def test_no_size_of_a_batch_is_written_into_a_graph(name: GraphName, size: int) -> None:
    graph = small_graph(name)
    inputs = random_inputs(graph, dict.fromkeys(graph.ranges, size) | {"length": size + 10}, seed=size)
    for ours, theirs in zip(engine_of(name).run(*inputs), TorchRuntime(graph).run(*inputs), strict=True):
        assert ours.shape == theirs.shape
        torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("name", GRAPH_NAMES)
def test_sizes_that_vary_bear_their_names_and_no_others_vary(name: GraphName) -> None:
    graph = small_graph(name)
    for port, described in zip(onnx.load_from_string(exported(name, "fp32")).graph.input, graph.inputs, strict=True):
        dims = port.type.tensor_type.shape.dim
        assert tuple(each.dim_param or each.dim_value for each in dims) == described.shape


def stepped(visual: Tensor, text: Tensor, signals: Tensor, joined: tuple[int, ...]) -> tuple[Tensor, Tensor]:
    """Score and interest [S, 2, B] of rooms that begin at the segments `joined`, by torch and by ONNX Runtime."""
    network = cast(Step, small_graph("step").module).network
    engine = engine_of("step")
    whole, sliced = (network.start(torch.tensor([2, 0])) for _ in range(2))
    torches, onnxes = [], []
    for segment in range(visual.shape[1]):
        for room, first in enumerate(joined):
            if segment == first:  # a stream begins where another is under way
                for state in (whole, sliced):
                    state.position[room] = 0
        with torch.no_grad():
            score, interest = network.step(whole, visual[:, segment], text[:, segment], signals[:, segment])
        assert interest is not None
        torches.append(torch.stack([score, interest]))
        score, interest, *kept = engine.run(visual[:, segment], text[:, segment], signals[:, segment], *sliced.inputs())
        sliced.push(*kept)
        onnxes.append(torch.stack([score, interest]))
    return torch.stack(torches), torch.stack(onnxes)


def test_a_stream_of_three_windows_scores_as_in_torch_with_rooms_of_different_ages() -> None:
    torch.manual_seed(1)
    length = 3 * SMALL.window
    visual, text = torch.randn(2, length, SMALL.patches, SMALL.visual_width), torch.randn(2, length, SMALL.text_width)
    ours, theirs = stepped(visual, text, torch.randn(2, length, SMALL.signals), joined=(0, SMALL.window + 2))
    torch.testing.assert_close(theirs, ours, atol=1e-5, rtol=0)
    assert float(ours.std()) > 1e-3  # else it would say nothing


def test_a_window_with_padding_in_front_scores_as_in_torch() -> None:
    graph = small_graph("window")
    *features, streamer, valid = random_inputs(graph, {"rooms": SMALL.window}, seed=3)
    for room in range(SMALL.window):
        valid[room, :room] = False
    found = (each.run(*features, streamer, valid) for each in (TorchRuntime(graph), engine_of("window")))
    for ours, theirs in zip(*found, strict=True):
        torch.testing.assert_close(theirs[valid], ours[valid], atol=1e-5, rtol=0)


@pytest.mark.parametrize("dims", [PAPER, replace(PAPER, signals=7), replace(PAPER, interest=True)])
def test_a_step_has_ports_for_what_its_network_reads_and_answers_and_for_nothing_else(dims: NetworkDims) -> None:
    graph = step_graph(KuaiHL(dims).eval())
    assert ("signals" in graph.input_names) == bool(dims.signals)
    assert ("interest" in graph.outputs) == dims.interest
    engine = OnnxRuntime(export_onnx(graph, "fp32").SerializeToString(), "step")
    inputs = random_inputs(graph, {"rooms": 3}, seed=1)
    for ours, theirs in zip(engine.run(*inputs), TorchRuntime(graph).run(*inputs), strict=True):
        torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=1e-4)


def test_a_text_with_padding_has_the_vector_that_it_has_without() -> None:
    engine = engine_of("text")
    words, types, mask = random_inputs(small_graph("text"), {"texts": 2, "length": 20}, seed=4)
    mask[0, 12:] = False
    (both,) = engine.run(words, types, mask)
    (alone,) = engine.run(words[:1, :12], types[:1, :12], mask[:1, :12])
    torch.testing.assert_close(both[:1], alone, atol=1e-5, rtol=0)
    torch.testing.assert_close(both, TorchRuntime(small_graph("text")).run(words, types, mask)[0], atol=1e-5, rtol=0)
    assert float((both[0] - both[1]).abs().max()) > 1e-2


@pytest.mark.parametrize(("size", "grid"), [(7, 2), (9, 2), (9, 4), (8, 4), (7, 7), (4, 1)])
def test_pooling_is_adaptive_average_pooling_with_places_that_overlap(size: int, grid: int) -> None:
    images = torch.randint(0, 256, (2, 3, size, size), dtype=torch.uint8)
    vision = Vision(torch.nn.Identity(), (0.0, 0.0, 0.0), (1.0, 1.0, 1.0), grid)
    expected = F.adaptive_avg_pool2d(images.float() / 255, grid).flatten(2).mT
    torch.testing.assert_close(vision(images), expected)


def test_pooling_of_an_uneven_map_is_exported_as_it_is() -> None:
    graph = vision_graph(Vision(torch.nn.Conv2d(3, 4, 3), (0.5, 0.5, 0.5), (0.2, 0.2, 0.2), grid=2), size=9)  # 7 x 7
    model = export_onnx(graph, "fp32")
    assert [node.op_type for node in model.graph.node].count("AveragePool") == 1
    found = measure_parity(graph, model, "fp32", [])
    assert found["max_abs_difference"] < 1e-5


@pytest.mark.parametrize("name", GRAPH_NAMES)
def test_a_graph_of_other_weights_is_not_what_torch_computes(name: GraphName) -> None:
    with pytest.raises(ModelError, match=rf"^{name} in fp32 is not what torch computes \(.*\d.*\); it was not written"):
        measure_parity(other_weights(name), onnx.load_from_string(exported(name, "fp32")), "fp32", [])


def test_real_inputs_are_compared_too() -> None:
    """A graph that differs in what no random input reaches: here, in padding."""
    torch.manual_seed(0)
    network = KuaiHL(SMALL).eval()
    careful = Window(network)

    class Forgetful(torch.nn.Module):
        def forward(self, *inputs: Tensor) -> Tensor | tuple[Tensor, ...]:
            *features, valid = inputs
            return careful(*features, torch.ones_like(valid))  # type: ignore[no-any-return]

    graph = window_graph(network)
    wrong = Graph("window", Forgetful().eval(), graph.inputs, graph.outputs, graph.ranges)
    *features, valid = random_inputs(graph, {"rooms": 2}, seed=5)
    valid[:, :2] = False
    measure_parity(wrong, onnx.load_from_string(exported("window", "fp32")), "fp32", [])
    with pytest.raises(ModelError, match="window in fp32 is not what torch computes"):
        measure_parity(wrong, onnx.load_from_string(exported("window", "fp32")), "fp32", [(*features, valid)])


@pytest.mark.parametrize("name", GRAPH_NAMES)
def test_a_bf16_graph_in_float32_has_no_bfloat16_left_and_the_same_weights(name: GraphName) -> None:
    model = onnx.load_from_string(exported(name, "bf16"))
    before = model.SerializeToString()
    assert kinds_in(model) & {onnx.TensorProto.BFLOAT16}
    twin = in_float32(model)
    assert not kinds_in(twin) & {onnx.TensorProto.BFLOAT16}
    onnx.checker.check_model(twin)
    assert model.SerializeToString() == before
    values = {each.name: onnx.numpy_helper.to_array(each).astype("float32") for each in model.graph.initializer}
    for each in twin.graph.initializer:
        assert (onnx.numpy_helper.to_array(each).astype("float32") == values[each.name]).all()


def kinds_in(model: Any) -> set[int]:
    """Types of all tensors that a model holds or names."""
    inferred = onnx.shape_inference.infer_shapes(model, strict_mode=True)
    named = [*inferred.graph.value_info, *inferred.graph.input, *inferred.graph.output]
    kinds = {each.type.tensor_type.elem_type for each in named}
    kinds |= {each.data_type for each in model.graph.initializer}
    for node in model.graph.node:
        kinds |= {each.t.data_type for each in node.attribute} | {
            each.i for each in node.attribute if each.name == "to"
        }
    return kinds


def test_int8_is_not_exported_but_quantised() -> None:
    with pytest.raises(UsageError, match="int8: a network is quantised after its export"):
        export_onnx(small_graph("step"), "int8")
