"""A softmax over all tokens is what its parts say together."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from kuaihl.models.network.attention_state import (
    MASKED,
    AttentionState,
    attend,
    attend_on_cpu,
    merge_states,
    softmax_state,
)

ROOMS, HEADS, WIDTH = 3, 2, 8


def drawn(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def at_once(asked: Tensor, tokens: Tensor, bias: Tensor) -> Tensor:
    return (asked @ tokens.mT + bias).softmax(dim=2) @ tokens


def plain(asked: Tensor, tokens: Tensor, bias: Tensor) -> AttentionState:
    """What is exported, and runs on a GPU."""
    return softmax_state(asked @ tokens.mT + bias, tokens)


ways = pytest.mark.parametrize("way", [attend, plain, attend_on_cpu])


@ways
@pytest.mark.parametrize("cuts", [(4,), (1, 7, 9)])  # one token alone is a part, too
def test_parts_together_are_attention_to_all(
    way: Callable[[Tensor, Tensor, Tensor], AttentionState], cuts: tuple[int, ...]
) -> None:
    asked, tokens = drawn(ROOMS, HEADS, WIDTH), drawn(ROOMS, 12, WIDTH, seed=1)
    bias = 3 * drawn(ROOMS, HEADS, 12, seed=2)
    parts = [
        way(asked, some, some_bias)
        for some, some_bias in zip(tokens.tensor_split(cuts, 1), bias.tensor_split(cuts, 2), strict=True)
    ]
    assert {part.out.shape for part in parts} == {asked.shape}
    torch.testing.assert_close(merge_states(parts), at_once(asked, tokens, bias), atol=1e-6, rtol=1e-6)


@ways
def test_a_part_that_is_all_hidden_weighs_nothing(
    way: Callable[[Tensor, Tensor, Tensor], AttentionState],
) -> None:
    asked, tokens = drawn(ROOMS, HEADS, WIDTH), drawn(ROOMS, 5, WIDTH, seed=1)
    seen = attend(asked, tokens)
    hidden = way(asked, 100 * tokens, torch.full((ROOMS, HEADS, 5), MASKED))
    assert torch.equal(merge_states([seen, hidden]), seen.out)


@ways
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_stays_half_and_close(
    way: Callable[[Tensor, Tensor, Tensor], AttentionState], dtype: torch.dtype
) -> None:
    asked, tokens, bias = drawn(ROOMS, HEADS, WIDTH), drawn(ROOMS, 12, WIDTH, seed=1), drawn(ROOMS, HEADS, 12, seed=2)
    whole = way(asked, tokens, bias)
    half = way(asked.to(dtype), tokens.to(dtype), bias.to(dtype))
    for ours, theirs in ((half.out, whole.out), (half.lse, whole.lse)):
        assert ours.dtype == dtype
        torch.testing.assert_close(ours.float(), theirs, atol=0.05, rtol=0.02)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
def test_large_logits_neither_overflow_nor_vanish(dtype: torch.dtype) -> None:
    logits = torch.tensor([[[900.0, 900.0, MASKED]]], dtype=dtype)
    found = softmax_state(logits, torch.tensor([[[1.0], [3.0], [5.0]]], dtype=dtype))
    assert found.out.item() == 2
    assert found.lse.item() == pytest.approx(900.7, abs=4)  # 4: bfloat16 has eight bits


def test_parts_of_parts_are_parts() -> None:
    asked, tokens = drawn(ROOMS, HEADS, WIDTH), drawn(ROOMS, 6, WIDTH, seed=1)
    pairs = [attend(asked, pair) for pair in tokens.split(2, dim=1)]
    found = softmax_state(torch.stack([each.lse for each in pairs], 2), torch.stack([each.out for each in pairs], 2))
    expected = attend(asked, tokens)
    torch.testing.assert_close(found.out, expected.out)
    torch.testing.assert_close(found.lse, expected.lse)
