"""A BERT of another width than the profile's: its config decides, and what was trained on another width is refused."""

import json
import re
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from tokenizers import Tokenizer, models, pre_tokenizers

from kuaihl.engines.datasets.build import dataset_facts
from kuaihl.engines.encoders.profiles import (
    EDGE,
    PAPER,
    Profile,
    check_text_width,
    facts_of,
    load_bert,
    load_efficientnet,
    other_text,
    text_width,
)
from kuaihl.engines.encoders.text import TextEncoder, e5_encoder
from kuaihl.engines.runtimes.torch_runtime import TorchRuntime, open_torch
from kuaihl.engines.weights.catalog import TEXT_EDGE, TEXT_PAPER, VISION_EDGE
from kuaihl.engines.weights.resolve import Resolved, resolve
from kuaihl.models.backbones.bert import Bert, Layer, dims_from_config, map_names
from kuaihl.models.bundle import Bundle, save_bundle
from kuaihl.models.dims import NetworkDims
from kuaihl.models.errors import KuaihlError, ModelError
from kuaihl.models.facts import LabelFacts
from kuaihl.models.network.kuaihl import KuaiHL

WIDTH = 48  # of a BERT that is neither base nor large
WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "what", "a", "play", "haha"]
CONFIG = {
    "model_type": "bert",
    "vocab_size": len(WORDS),
    "hidden_size": WIDTH,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 64,
    "max_position_embeddings": 200,
    "type_vocab_size": 2,
    "layer_norm_eps": 1e-12,
}


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Resolved:
    """Random weights, laid out as on the hub."""
    folder = tmp_path_factory.mktemp("bert")
    torch.manual_seed(0)
    dims = dims_from_config(CONFIG)
    published = map_names(dims)
    save_file(
        {published[name]: part.clone() for name, part in Bert(dims).state_dict().items()}, folder / "model.safetensors"
    )
    (folder / "config.json").write_text(json.dumps(CONFIG))
    tokenizer = Tokenizer(models.WordLevel({word: place for place, word in enumerate(WORDS)}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.add_special_tokens(WORDS[:4])
    tokenizer.save(str(folder / "tokenizer.json"))
    return resolve(TEXT_PAPER, folder)


@pytest.fixture(scope="module")
def encoder(weights: Resolved) -> TextEncoder:
    return load_bert(weights, open_torch("cpu"), "cpu")


def bundle_of_width(path: Path, width: int) -> Bundle:
    dims = NetworkDims(visual_width=6, text_width=width, patches=2, width=16, heads=2, layers=1)
    facts = {"profile": "paper", "encoders": (), "label": LabelFacts(), "licence_weights": "", "licence_data": ""}
    return save_bundle(path, KuaiHL(dims), **facts)  # type: ignore[arg-type]


def test_the_weights_own_config_says_how_wide_a_text_is(weights: Resolved, encoder: TextEncoder) -> None:
    assert PAPER.d_t != WIDTH
    assert text_width(PAPER, weights) == encoder.width == WIDTH
    vectors = encoder.encode(["what a play", ""], [["haha"], []])
    assert vectors.shape == (2, WIDTH)
    assert vectors[0].any() and not vectors[1].any()


def test_weights_without_a_config_are_as_wide_as_the_profile_says(tmp_path: Path) -> None:
    (tmp_path / "model.safetensors").write_bytes(b"weights")
    assert text_width(PAPER, resolve(TEXT_PAPER, tmp_path)) == 768


@pytest.mark.parametrize("config", ['{"model_type": "swin"}', '{"model_type": "bert"}', "no JSON", "[]"])
def test_a_config_that_is_no_berts_is_one_line(tmp_path: Path, config: str) -> None:
    (tmp_path / "model.safetensors").write_bytes(b"weights")
    (tmp_path / "config.json").write_text(config)
    with pytest.raises(ModelError) as told:
        text_width(PAPER, resolve(TEXT_PAPER, tmp_path))
    assert str(tmp_path) in str(told.value)
    assert "\n" not in str(told.value)


def test_the_paper_profile_reads_texts_without_emoticons(encoder: TextEncoder) -> None:
    plain, marked = encoder.encode(["what a play"] * 2, [["a play"], ["😂", "a play :)", "a play"]])
    np.testing.assert_array_equal(plain, marked)
    assert not encoder.encode([""], [["😂 [doge]"]]).any()


def test_a_data_set_records_the_width_and_the_hash_of_what_it_was_built_with(weights: Resolved) -> None:
    profile = Profile(
        PAPER.name, VISION_EDGE, TEXT_PAPER, PAPER.speech, PAPER.whisper, load_efficientnet, load_bert, 1280, 768, 12
    )
    try:
        resolve(VISION_EDGE)
    except KuaihlError as error:
        pytest.skip(f"the edge weights are not here: {error}")
    facts = dataset_facts(
        profile,
        LabelFacts(),
        segment_seconds=30.0,
        asr="none",
        whisper_model=None,
        licence="",
        text_weights=weights.folder,
    )
    assert facts.text_width == WIDTH
    assert facts.encoders[1].sha256 == weights.sha256


def test_a_head_that_reads_another_width_is_refused_in_one_line(tmp_path: Path, encoder: TextEncoder) -> None:
    check_text_width(bundle_of_width(tmp_path / "same", WIDTH), encoder)
    with pytest.raises(ModelError) as told:
        check_text_width(bundle_of_width(tmp_path / "base", 768), encoder)
    assert "reads text 768 wide" in str(told.value)
    assert "makes it 48 wide" in str(told.value)
    assert "\n" not in str(told.value)


def test_other_weights_of_the_same_width_are_told(tmp_path: Path, weights: Resolved) -> None:
    dims = NetworkDims(visual_width=6, text_width=WIDTH, patches=2, width=16, heads=2, layers=1)
    facts = {"profile": "paper", "label": LabelFacts(), "licence_weights": "", "licence_data": ""}
    own = facts_of(weights)
    bundle = save_bundle(tmp_path / "own", KuaiHL(dims), encoders=(own,), **facts)  # type: ignore[arg-type]
    assert other_text(bundle, (own,)) is None
    told = other_text(bundle, (replace(own, sha256="f" * 64),))
    assert told == (
        f"text weights with SHA-256 ffffffffffff; own was trained on {own.sha256[:12]}: "
        "scores mean something only if they are the same network"
    )


def test_the_edge_profile_is_as_wide_as_it_was() -> None:
    try:
        resolved = resolve(EDGE.text)
    except KuaihlError as error:
        pytest.skip(f"the edge weights are not here: {error}")
    assert text_width(EDGE, resolved) == EDGE.d_t == 384


def test_text_weights_load_where_the_cache_cannot_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = ["so close, what a finish"]
    expected = e5_encoder(resolve(TEXT_EDGE), open_torch()).encode(text, [[]])
    (tmp_path / "cache").write_text("a file, where a folder should be")
    monkeypatch.setenv("KUAIHL_CACHE", str(tmp_path / "cache"))
    np.testing.assert_array_equal(e5_encoder(resolve(TEXT_EDGE), open_torch()).encode(text, [[]]), expected)


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_one_layer_of_the_text_network_is_in_memory_at_a_time() -> None:
    encoder = e5_encoder(resolve(TEXT_EDGE), open_torch())
    assert isinstance(encoder.runtime, TorchRuntime)
    resident: list[int] = []
    for layer in encoder.runtime.module.modules():
        if isinstance(layer, Layer):
            layer.register_forward_pre_hook(lambda *_: resident.append(resident_kb("layers.f32")))
    encoder.encode(["so close, what a finish"], [[]])
    assert len(resident) == 12
    assert max(resident) < 10_000  # 86,000 all together, a layer 7,100


def resident_kb(name: str) -> int:
    """Kilobytes of the mapped files of that name in this process's memory."""
    mappings = re.split(r"\n(?=[0-9a-f]+-)", Path("/proc/self/smaps").read_text())
    return sum(int(each.partition("\nRss:")[2].split()[0]) for each in mappings if name in each.partition("\n")[0])
