"""The linear model in engines: ONNX gives what torch gives, and a stream scores as a whole room does."""

from pathlib import Path

import numpy as np
import pytest
import torch
from support.small_bundle import BEYOND_PAPER, segments

from kuaihl.engines.export.onnx_export import export_onnx, measure_parity
from kuaihl.engines.runtimes.graphs import step_graph, window_graph
from kuaihl.engines.runtimes.onnx_runtime import OnnxRuntime
from kuaihl.engines.scoring.scorer import ScorerState, StreamingScorer
from kuaihl.models.bundle import Bundle, load_bundle, save_bundle
from kuaihl.models.facts import EncoderFacts, LabelFacts
from kuaihl.models.network.linear import LaggedLinear, linear_dims
from kuaihl.models.signals import with_standard_scores


@pytest.fixture
def bundle(tmp_path: Path) -> Bundle:
    torch.manual_seed(0)
    model = LaggedLinear(linear_dims(BEYOND_PAPER, lags=3))
    for reader in (model.visual, model.text, model.signals):
        torch.nn.init.normal_(reader.weight, std=0.1)
    save_bundle(
        tmp_path / "linear",
        model,
        architecture="linear",
        profile="edge",
        encoders=(EncoderFacts("vision", "x", "1", ""),),
        label=LabelFacts(),
        licence_weights="MIT",
        licence_data="MIT",
    )
    return load_bundle(tmp_path / "linear")


def test_a_stream_scores_as_the_whole_room_does(bundle: Bundle) -> None:
    room = list(segments(9))
    scored = list(StreamingScorer(bundle, streamer="anybody").scores(room))
    visual = torch.tensor(np.stack([segment.features.visual for segment in room])).float()[None]
    text = torch.tensor(np.stack([segment.features.text for segment in room])).float()[None]
    signals = torch.from_numpy(with_standard_scores(segment.features.signals for segment in room))[None]
    with torch.no_grad():
        score, interest = bundle.streaming_network().outputs(visual, text, torch.tensor([0]), None, signals)
    assert interest is not None
    np.testing.assert_allclose([one.score for one in scored], score.sigmoid()[0], atol=1e-5)
    np.testing.assert_allclose([one.interest for one in scored], interest.sigmoid()[0], atol=1e-5)


def test_a_room_goes_on_from_its_stored_state(bundle: Bundle) -> None:
    room = list(segments(9))
    first = StreamingScorer(bundle)
    whole = [one.score for one in StreamingScorer(bundle).scores(room)]
    begun = [one.score for one in first.scores(room[:5])]
    second = StreamingScorer(bundle, state=ScorerState.from_bytes(first.state.to_bytes()))
    assert begun + [one.score for one in second.scores(room[5:])] == whole


def test_onnx_runs_what_torch_computes(bundle: Bundle) -> None:
    pytest.importorskip("onnx", reason="onnx is not installed")
    pytest.importorskip("onnxscript", reason="onnxscript is not installed")
    network = bundle.streaming_network()
    for graph in (step_graph(network), window_graph(network)):
        model = export_onnx(graph, "fp32")
        assert measure_parity(graph, model, "fp32", [])["max_abs_difference"] < 1e-5
        assert [port.name for port in model.graph.input] == list(graph.input_names)
        if graph.name == "step":
            engine = OnnxRuntime(model.SerializeToString(), "step")
            scores = [
                [one.score for one in StreamingScorer(bundle, step).scores(segments(9))] for step in (engine, None)
            ]
            np.testing.assert_allclose(*scores, atol=1e-5)
