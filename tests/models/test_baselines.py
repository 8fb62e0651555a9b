"""What is each baseline's own; what holds for all is in test_architectures."""

from dataclasses import replace

import torch
from small_network import SMALL, stream
from torch import Tensor

from kuaihl.models.baselines.showme import ShowMe
from kuaihl.models.batch import Batch
from kuaihl.models.network_dims import HISTORY_ITEMS
from kuaihl.models.objective import Objective

PLAIN = replace(SMALL, dropout=0.0, id_dropout=0.0)
PHD = replace(PLAIN, causal=False, history_width=7)


def history(*highlights: Tensor) -> Tensor:
    """One user's, [1, HISTORY_ITEMS, 7]."""
    found = torch.zeros(1, HISTORY_ITEMS, 7)
    for place, highlight in enumerate(highlights):
        found[0, place] = highlight
    return found


def test_showme_learns_the_level_of_streamers_that_no_sample_compares() -> None:
    torch.manual_seed(0)
    made = ShowMe(PLAIN).train()
    visual, text = stream(PLAIN, 10, rooms=2)
    labels = torch.tensor([[0.2], [0.8]]).expand(2, 10)  # the same throughout a sample: no pair to rank
    there = torch.ones(2, 10, dtype=torch.bool)
    batch = Batch(visual, text, torch.tensor([1, 2]), labels, there, there)
    adam = torch.optim.Adam(made.parameters(), lr=1e-2)
    for _ in range(100):
        adam.zero_grad()
        terms = made.training_losses(Objective(), batch)
        assert terms.pair == 0
        terms.total.backward()
        adam.step()
    scores = torch.sigmoid(made(visual, text, batch.streamer, there)).mean(dim=1)
    torch.testing.assert_close(scores, torch.tensor([0.2, 0.8]), atol=0.05, rtol=0)


def test_showme_weighs_highlights_by_their_content() -> None:
    torch.manual_seed(0)
    made = ShowMe(PHD).eval()
    one, other = torch.randn(7), torch.randn(7)
    fused = [made.fused(*made.inputs.liked(found)) for found in (history(one), history(other), history(one, other))]
    assert not torch.allclose(fused[2], (fused[0] + fused[1]) / 2, atol=1e-3)
    twice = made.fused(*made.inputs.liked(history(one, one)))
    torch.testing.assert_close(twice, fused[0])
