"""A softmax over all tokens is what its parts say together."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from kuaihl.models.network.attention_state import HIDDEN, PartialAttention, attend, fused, merged, pooled

ROOMS, HEADS, WIDTH = 3, 2, 8


def drawn(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def at_once(asked: Tensor, tokens: Tensor, bias: Tensor) -> Tensor:
    return (asked @ tokens.mT + bias).softmax(dim=2) @ tokens


def plain(asked: Tensor, tokens: Tensor, bias: Tensor) -> PartialAttention:
    """What is exported, and runs on a GPU."""
    return pooled(asked @ tokens.mT + bias, tokens)


ways = pytest.mark.parametrize("way", [attend, plain, fused])


@ways
@pytest.mark.parametrize("cuts", [(4,), (1, 7, 9)])  # one token alone is a part, too
def test_parts_together_are_attention_to_all(
    way: Callable[[Tensor, Tensor, Tensor], PartialAttention], cuts: tuple[int, ...]
) -> None:
    asked, tokens = drawn(ROOMS, HEADS, WIDTH), drawn(ROOMS, 12, WIDTH, seed=1)
    bias = 3 * drawn(ROOMS, HEADS, 12, seed=2)
    parts = [
        way(asked, some, some_bias)
        for some, some_bias in zip(tokens.tensor_split(cuts, 1), bias.tensor_split(cuts, 2), strict=True)
    ]
    assert {part.mean.shape for part in parts} == {asked.shape}
    torch.testing.assert_close(merged(parts), at_once(asked, tokens, bias), atol=1e-6, rtol=1e-6)


@ways
def test_a_part_that_is_all_hidden_weighs_nothing(
    way: Callable[[Tensor, Tensor, Tensor], PartialAttention],
) -> None:
    asked, tokens = drawn(ROOMS, HEADS, WIDTH), drawn(ROOMS, 5, WIDTH, seed=1)
    seen = attend(asked, tokens)
    hidden = way(asked, 100 * tokens, torch.full((ROOMS, HEADS, 5), HIDDEN))
    assert torch.equal(merged([seen, hidden]), seen.mean)


@ways
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_stays_half_and_close(
    way: Callable[[Tensor, Tensor, Tensor], PartialAttention], dtype: torch.dtype
) -> None:
    asked, tokens, bias = drawn(ROOMS, HEADS, WIDTH), drawn(ROOMS, 12, WIDTH, seed=1), drawn(ROOMS, HEADS, 12, seed=2)
    whole = way(asked, tokens, bias)
    half = way(asked.to(dtype), tokens.to(dtype), bias.to(dtype))
    for ours, theirs in ((half.mean, whole.mean), (half.weight, whole.weight)):
        assert ours.dtype == dtype
        torch.testing.assert_close(ours.float(), theirs, atol=0.05, rtol=0.02)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
def test_large_logits_neither_overflow_nor_vanish(dtype: torch.dtype) -> None:
    logits = torch.tensor([[[900.0, 900.0, HIDDEN]]], dtype=dtype)
    found = pooled(logits, torch.tensor([[[1.0], [3.0], [5.0]]], dtype=dtype))
    assert found.mean.item() == 2
    assert found.weight.item() == pytest.approx(900.7, abs=4)  # 4: bfloat16 has eight bits


def test_parts_of_parts_are_parts() -> None:
    asked, tokens = drawn(ROOMS, HEADS, WIDTH), drawn(ROOMS, 6, WIDTH, seed=1)
    pairs = [attend(asked, pair) for pair in tokens.split(2, dim=1)]
    found = pooled(torch.stack([each.weight for each in pairs], 2), torch.stack([each.mean for each in pairs], 2))
    expected = attend(asked, tokens)
    torch.testing.assert_close(found.mean, expected.mean)
    torch.testing.assert_close(found.weight, expected.weight)
