"""The network against its reference, `efficientnet_lite_pytorch` 0.1.0, which gave the numbers below."""

from collections.abc import Mapping

import numpy as np
import pytest
import torch
from torch import Tensor

from kuaihl.engines.encoders.vision import read_tensors
from kuaihl.engines.weights.catalog import VISION_EDGE
from kuaihl.engines.weights.resolve import find_on_this_machine, resolve
from kuaihl.models.backbones.efficientnet_lite import (
    IMAGE_SIZE,
    EfficientNetLite2,
    from_state_dict,
    package_names,
    same_padding,
    timm_names,
)
from kuaihl.models.errors import ModelError

MILITARY_UNIFORM = 652  # ImageNet's number


@pytest.fixture(scope="module")
def published() -> dict[str, Tensor]:
    if find_on_this_machine(VISION_EDGE)[0] == "missing":
        pytest.skip("the edge extra is not installed")
    return read_tensors(resolve(VISION_EDGE))


@pytest.fixture(scope="module")
def network(published: dict[str, Tensor]) -> EfficientNetLite2:
    return from_state_dict(published)


@pytest.fixture(scope="module")
def waves() -> Tensor:
    """An image that can be made again anywhere: [1, 3, 260, 260]."""
    return torch.sin(torch.arange(3 * IMAGE_SIZE**2) * 0.01).reshape(1, 3, IMAGE_SIZE, IMAGE_SIZE)


@torch.inference_mode()
def test_logits_and_features_equal_the_reference(network: EfficientNetLite2, waves: Tensor) -> None:
    logits = network.classify(waves)[0]
    expected = torch.tensor([-0.731884, 0.584808, -0.884146, -1.751238, -0.164422, 0.015220])
    torch.testing.assert_close(logits[:6], expected, atol=1e-3, rtol=0)
    assert logits.topk(3).indices.tolist() == [916, 549, 446]
    features = network(waves)[0]
    assert features.shape == (1280, 9, 9)
    assert float(features.mean()) == pytest.approx(0.089662, abs=1e-4)
    assert float(features[5, 8, 8]) == pytest.approx(0.128823, abs=1e-3)


@torch.inference_mode()
def test_a_photograph_is_recognised(network: EfficientNetLite2) -> None:
    cbook = pytest.importorskip("matplotlib.cbook")
    image_module = pytest.importorskip("PIL.Image")
    with cbook.get_sample_data("grace_hopper.jpg") as file:  # Admiral Hopper in uniform
        image = image_module.open(file).convert("RGB").resize((IMAGE_SIZE, IMAGE_SIZE))
    pixels = torch.from_numpy(np.asarray(image).copy()).permute(2, 0, 1)[None].float() / 127.5 - 1
    assert int(network.classify(pixels).argmax()) == MILITARY_UNIFORM


@torch.inference_mode()
def test_folding_batch_norms_changes_nothing(
    published: dict[str, Tensor], network: EfficientNetLite2, waves: Tensor
) -> None:
    folded = from_state_dict(published).fold()
    assert not any(isinstance(module, torch.nn.BatchNorm2d) for module in folded.modules())
    torch.testing.assert_close(folded(waves), network(waves), atol=1e-3, rtol=0)


@torch.inference_mode()
def test_both_published_layouts_give_the_same_network(
    published: dict[str, Tensor], network: EfficientNetLite2, waves: Tensor
) -> None:
    theirs = as_timm_names_them(published)
    assert len(theirs) == len(published) == 386
    torch.testing.assert_close(from_state_dict(theirs)(waves), network(waves), atol=0, rtol=0)


def as_timm_names_them(published: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {
        f"{timm}.{leaf}": published[f"{package}.{leaf}"]
        for (_, timm, leaves), (_, package, _) in zip(sorted(timm_names()), sorted(package_names()), strict=True)
        for leaf in leaves
    }


def test_other_weights_are_refused_in_one_line(published: dict[str, Tensor]) -> None:
    for wrong in ({}, {"_conv_stem.weight": torch.zeros(1)}, published | {"_fc.bias": torch.zeros(7)}):
        with pytest.raises(ModelError) as caught:
            from_state_dict(wrong)
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("size", "kernel", "stride", "expected"),
    [
        (260, 3, 2, (0, 1)),
        (65, 5, 2, (2, 2)),
        (130, 3, 2, (0, 1)),
        (17, 5, 2, (2, 2)),
        (9, 3, 1, (1, 1)),
        (9, 1, 1, (0, 0)),
    ],
)
def test_padding_is_tensorflows(size: int, kernel: int, stride: int, expected: tuple[int, int]) -> None:
    assert same_padding(size, kernel, stride) == expected
