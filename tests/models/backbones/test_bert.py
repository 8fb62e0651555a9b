"""BERT against the one of transformers, on small random configurations of the same class."""

import pytest
import torch
from torch import Tensor

from kuaihl.models.backbones.bert import BertDims, dims_from_config, from_state_dict
from kuaihl.models.errors import ModelError

transformers = pytest.importorskip("transformers")


@pytest.fixture(scope="module")
def reference() -> "transformers.BertModel":
    torch.manual_seed(0)
    config = transformers.BertConfig(
        vocab_size=99,
        hidden_size=32,
        num_hidden_layers=3,
        num_attention_heads=4,
        intermediate_size=64,
        max_position_embeddings=40,
        initializer_range=0.3,
    )
    return transformers.BertModel(config, add_pooling_layer=False).eval()


@pytest.fixture(scope="module")
def dims(reference: "transformers.BertModel") -> BertDims:
    return dims_from_config(reference.config.to_dict())


def padded_batch() -> tuple[Tensor, Tensor, Tensor]:
    torch.manual_seed(1)
    mask = torch.arange(20)[None, :] < torch.tensor([20, 7, 1])[:, None]
    return torch.randint(0, 99, (3, 20)), torch.randint(0, 2, (3, 20)), mask


@torch.inference_mode()
def test_it_equals_the_one_of_transformers(reference: "transformers.BertModel", dims: BertDims) -> None:
    ids, types, mask = padded_batch()
    expected = reference(input_ids=ids, token_type_ids=types, attention_mask=mask.long()).last_hidden_state
    found = from_state_dict(dims, reference.state_dict())(ids, types, mask)
    torch.testing.assert_close(found[mask], expected[mask], atol=1e-5, rtol=1e-5)


@torch.inference_mode()
def test_older_names_and_a_prefix_are_understood(reference: "transformers.BertModel", dims: BertDims) -> None:
    older = {
        "bert."
        + name.replace("LayerNorm.weight", "LayerNorm.gamma").replace("LayerNorm.bias", "LayerNorm.beta"): tensor
        for name, tensor in reference.state_dict().items()
    }
    batch = padded_batch()
    one, other = from_state_dict(dims, reference.state_dict()), from_state_dict(dims, older)
    torch.testing.assert_close(one(*batch), other(*batch), atol=0, rtol=0)


def test_weights_that_do_not_fit_are_refused_in_one_line(reference: "transformers.BertModel", dims: BertDims) -> None:
    state = reference.state_dict()
    wrong = {**state, "embeddings.LayerNorm.weight": torch.zeros(5)}
    for tensors in ({}, wrong):
        with pytest.raises(ModelError) as caught:
            from_state_dict(dims, tensors)
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "config", [{}, {"model_type": "roberta"}, {"model_type": "bert", "hidden_act": "relu"}, {"model_type": "bert"}]
)
def test_another_config_is_refused(config: dict[str, str]) -> None:
    with pytest.raises(ModelError, match="config"):
        dims_from_config(config)
