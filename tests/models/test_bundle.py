"""A bundle comes back as it was saved, and every fault of one ends in a line that names the file."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from support.small_network import SMALL, small_network, stream

from kuaihl.models.bundle import Bundle, HeadDtype, load_bundle, save_bundle
from kuaihl.models.errors import ModelError
from kuaihl.models.facts import EncoderFacts, LabelFacts
from kuaihl.models.network.kuaihl import KuaiHL


def save(path: Path, network: KuaiHL | None = None, head_dtype: HeadDtype = "float32") -> Bundle:
    return save_bundle(
        path,
        network or small_network(),
        profile="edge",
        encoders=(EncoderFacts("vision", "a-backbone", "0.1.0", "ab" * 32),),
        label=LabelFacts(source="simulated"),
        licence_weights="MIT",
        licence_data="simulated, MIT",
        metrics={"validation_tau": 0.41},
        streamers={"小明": 1, "b": 4},
        score_quantiles={"0.9": 0.7},
        head_dtype=head_dtype,
    )


def test_a_bundle_comes_back_as_it_was_saved(tmp_path: Path) -> None:
    network = small_network()
    saved = save(tmp_path / "mine", network)
    loaded = load_bundle(tmp_path / "mine")
    assert loaded == saved
    assert loaded.name == "mine"
    visual, text = stream(SMALL, 6)
    with torch.no_grad():
        expected = network(visual, text, torch.tensor([4]))
        assert torch.equal(loaded.network()(visual, text, torch.tensor([4])), expected)
    assert not loaded.network().training


def test_loading_draws_no_random_numbers_and_the_network_can_be_trained_on(tmp_path: Path) -> None:
    save(tmp_path / "mine")
    before = torch.get_rng_state()
    network = load_bundle(tmp_path / "mine").network()
    assert torch.equal(torch.get_rng_state(), before)
    assert all(parameter.requires_grad and parameter.device.type == "cpu" for parameter in network.parameters())


def test_half_precision_halves_the_file_and_hardly_moves_the_scores(tmp_path: Path) -> None:
    network = small_network()
    save(tmp_path / "full", network)
    save(tmp_path / "half", network, "float16")
    sizes = [(tmp_path / name / "head.safetensors").stat().st_size for name in ("full", "half")]
    assert sizes[1] < 0.65 * sizes[0]
    visual, text = stream(SMALL, 6)
    with torch.no_grad():
        full, half = (
            load_bundle(tmp_path / name).network()(visual, text, torch.tensor([0])).sigmoid()
            for name in ("full", "half")
        )
    torch.testing.assert_close(full, half, atol=5e-3, rtol=0)


def test_a_bundle_that_names_no_text_layers_has_one(tmp_path: Path) -> None:
    network = small_network(text_layers=1)
    save(tmp_path / "before", network)
    file = tmp_path / "before" / "bundle.json"
    facts = json.loads(file.read_text(encoding="utf-8"))
    assert facts["dims"].pop("text_layers") == 1
    file.write_text(json.dumps(facts), encoding="utf-8")
    _, text = stream(SMALL, 3)
    with torch.no_grad():
        assert torch.equal(load_bundle(tmp_path / "before").network().text(text), network.text(text))


def test_streamers_have_an_index_and_strangers_are_unknown(tmp_path: Path) -> None:
    bundle = save(tmp_path / "mine")
    assert bundle.streamer_index("小明") == 1
    assert bundle.streamer_index("somebody") == 0
    assert bundle.streamer_index(None) == 0


def test_saving_again_replaces_the_bundle_and_leaves_nothing_behind(tmp_path: Path) -> None:
    save(tmp_path / "mine")
    (tmp_path / "mine" / "onnx").mkdir()  # made from the old head, so it must not outlive it
    second = save(tmp_path / "mine", small_network(streamers=7))
    assert load_bundle(tmp_path / "mine") == second
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["mine"]
    assert sorted(entry.name for entry in (tmp_path / "mine").iterdir()) == ["bundle.json", "head.safetensors"]


def test_a_folder_that_is_no_bundle_is_not_overwritten(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(ModelError, match="is not a bundle"):
        save(tmp_path)
    assert (tmp_path / "thesis.txt").read_text() == "years of work"


def test_diverged_weights_are_not_saved(tmp_path: Path) -> None:
    network = small_network()
    with torch.no_grad():
        network.decoder.norm.weight[0] = float("nan")
    with pytest.raises(ModelError, match=r"decoder\.norm\.weight holds NaN"):
        save(tmp_path / "mine", network)
    assert not (tmp_path / "mine").exists()


def edit_facts(**changes: object) -> Callable[[Path], None]:
    def edit(bundle: Path) -> None:
        facts = json.loads((bundle / "bundle.json").read_text(encoding="utf-8"))
        for name, value in changes.items():
            if value is None:
                del facts[name]
            else:
                facts[name] = facts[name] | value if isinstance(value, dict) else value
        (bundle / "bundle.json").write_text(json.dumps(facts), encoding="utf-8")

    return edit


def edit_head(change: Callable[[dict[str, torch.Tensor]], object]) -> Callable[[Path], None]:
    def edit(bundle: Path) -> None:
        import hashlib

        file = bundle / "head.safetensors"
        weights = load_file(file)
        change(weights)
        save_file(weights, file)
        edit_facts(head_sha256=hashlib.sha256(file.read_bytes()).hexdigest())(bundle)

    return edit


def truncate_head(bundle: Path) -> None:
    file = bundle / "head.safetensors"
    file.write_bytes(file.read_bytes()[:1000])


def garbage_head(bundle: Path) -> None:
    import hashlib

    (bundle / "head.safetensors").write_bytes(b"garbage" * 100)
    edit_facts(head_sha256=hashlib.sha256(b"garbage" * 100).hexdigest())(bundle)


NORM = "decoder.norm.weight"


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (edit_facts(format=99), r"bundle\.json: bundle format 99, this kuaihl reads 2; update"),
        (edit_facts(format=None), r"bundle\.json: says no format version"),
        (edit_facts(architecture="resnet"), r"bundle\.json: architecture 'resnet' is not known"),
        (edit_facts(architecture=[]), r"bundle\.json: architecture \[\] is not known"),
        (edit_facts(dims={"heads": 0}), r"bundle\.json: dims\.heads is 0, not 1 to 256"),
        (edit_facts(dims={"width": -64}), r"bundle\.json: dims\.width is -64"),
        (edit_facts(dims={"layers": 10**9}), r"bundle\.json: dims\.layers is 1000000000, not 0 to 64"),
        (edit_facts(dims={"streamers": 10**30}), r"bundle\.json: dims\.streamers is 1"),
        (edit_facts(dims={"dropout": float("nan")}), r"bundle\.json: dims\.dropout is nan"),
        (edit_facts(segment_seconds=10**400), r"bundle\.json: .*get the bundle again"),
        (lambda bundle: (bundle / "bundle.json").write_text("[" * 100_000), r"bundle\.json: is not JSON"),
        (edit_facts(dims={"width": "wide"}), r"bundle\.json: .*get the bundle again"),
        (edit_facts(dims={"depth": 3}), r"bundle\.json: .*depth.*get the bundle again"),
        (edit_facts(profile=None), r"bundle\.json: profile is missing"),
        (edit_facts(streamers={"x": 5}), r"bundle\.json: streamer 'x' has index 5, the network knows 1 to 4"),
        (edit_facts(segment_seconds=-1), r"bundle\.json: segment_seconds is -1"),
        (lambda bundle: (bundle / "bundle.json").write_text("{"), r"bundle\.json: is not JSON"),
        (lambda bundle: (bundle / "bundle.json").unlink(), r"bundle\.json: cannot be read"),
        (lambda bundle: (bundle / "head.safetensors").unlink(), r"head\.safetensors: missing"),
        (truncate_head, r"head\.safetensors: damaged or of another bundle"),
        (garbage_head, r"head\.safetensors: is no safetensors file"),
        (edit_facts(dims={"width": 32}), r"head\.safetensors: .* says .*get the bundle again"),
        (edit_head(lambda weights: weights.pop(NORM)), r"head\.safetensors: .*decoder\.norm\.weight is missing"),
        (edit_head(lambda weights: weights.update(extra=torch.zeros(1))), r"extra is not in the network"),
        (edit_head(lambda weights: weights[NORM].fill_(float("inf"))), r"holds NaN or infinity"),
    ],
)
def test_every_fault_is_one_line_that_names_the_file(
    tmp_path: Path, damage: Callable[[Path], None], message: str
) -> None:
    save(tmp_path / "mine")
    damage(tmp_path / "mine")
    with pytest.raises(ModelError, match=message) as caught:
        load_bundle(tmp_path / "mine").network()
    assert "\n" not in str(caught.value)


def test_a_bundle_that_is_not_there_is_one_line() -> None:
    with pytest.raises(ModelError, match="nowhere: no such bundle; give a directory or one of"):
        load_bundle("nowhere")
