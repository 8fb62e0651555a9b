"""What is each baseline's own; what holds for all is in test_architectures."""

from dataclasses import replace

import pytest
import torch
from support.small_network import SMALL, stream
from torch import Tensor

from kuaihl.models.baselines.adaptive_h_fcsn import AdaptiveHFCSN
from kuaihl.models.baselines.pac_net import PACNet, average_logits, mini_histories
from kuaihl.models.baselines.pr_net import PRNet
from kuaihl.models.baselines.showme import ShowMe
from kuaihl.models.batch import Batch
from kuaihl.models.dims import HISTORY_ITEMS
from kuaihl.models.losses.objective import Objective

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
    fused = [made.fuse(*made.inputs.liked(found)) for found in (history(one), history(other), history(one, other))]
    assert not torch.allclose(fused[2], (fused[0] + fused[1]) / 2, atol=1e-3)
    twice = made.fuse(*made.inputs.liked(history(one, one)))
    torch.testing.assert_close(twice, fused[0])


def test_pac_net_deals_the_history_out_to_four_parts() -> None:
    liked = torch.tensor([1.0, 2.0, 9.0, 3.0, 4.0, 7.0]).view(1, 6, 1)
    there = torch.tensor([[True, True, False, True, True, True]])
    parts, filled = mini_histories(liked, there)  # 1, 2, 3, 4, and 7 to the first again
    assert parts.flatten().tolist() == [(1 + 7) / 2, 2, 3, 4]
    assert filled.tolist() == [[True] * 4]
    parts, filled = mini_histories(liked[:, :2], there[:, :2])
    assert parts.flatten().tolist() == [1, 2, 0, 0]
    assert filled.tolist() == [[True, True, False, False]]


def test_pac_net_averages_the_scores_of_its_classifiers() -> None:
    logits = torch.logit(torch.tensor([0.2, 0.6, 0.9, 0.9])).view(1, 1, 4)
    score = torch.sigmoid(average_logits(logits, torch.tensor([[True, True, False, False]])))
    torch.testing.assert_close(score, torch.tensor([[0.4]]))
    assert bool(average_logits(torch.full((1, 1, 4), 200.0), torch.ones(1, 4, dtype=torch.bool)).isfinite())


def test_pac_net_with_two_parts_is_the_mean_of_what_it_is_with_each() -> None:
    torch.manual_seed(0)
    made = PACNet(PHD).eval()
    visual, text = stream(PHD, 12)
    one, other = torch.randn(7), torch.randn(7)
    scores = [torch.sigmoid(made(visual, text, who)) for who in (history(one), history(other), history(one, other))]
    torch.testing.assert_close(scores[2], (scores[0] + scores[1]) / 2)


def test_pac_net_hides_nothing_of_the_window_in_training() -> None:
    torch.manual_seed(0)
    made = PACNet(PLAIN)
    visual, text = stream(PLAIN, 12)
    torch.testing.assert_close(
        made.train()(visual, text, torch.tensor([1])), made.eval()(visual, text, torch.tensor([1]))
    )


def test_pr_net_has_one_embedding_of_no_highlight_for_all_users() -> None:
    torch.manual_seed(0)
    made = PRNet(PLAIN).eval()
    visual, text = stream(PLAIN, 12)
    one, other = (made.nearness(visual, text, torch.tensor([who]), None) for who in (1, 2))
    assert torch.equal(one[..., 1], other[..., 1])
    assert not torch.allclose(one[..., 0], other[..., 0])


def test_pr_net_weighs_highlights_by_their_likeness_to_each_segment() -> None:
    made = PRNet(PLAIN)
    made.generic.data.zero_()
    x, liked = 40 * torch.eye(16)[None, :2], 40 * torch.eye(16)[None, :3]  # segments 0 and 1 are as highlights 0 and 1
    preference = made.preference(x, liked, torch.tensor([[True, True, True]]))
    torch.testing.assert_close(preference, x)
    alone = made.preference(x, liked, torch.tensor([[False, False, True]]))  # nothing else is there to be alike
    torch.testing.assert_close(alone, (liked[:, 2:] / 2).expand(-1, 2, -1))  # half, the rest of a generic zero


@pytest.mark.parametrize("silent", ["last_score", "skip_score"])
def test_adaptive_h_fcsn_adapts_both_its_last_features_and_its_skip(silent: str) -> None:
    torch.manual_seed(0)
    made = AdaptiveHFCSN(PLAIN).eval()
    torch.nn.init.zeros_(getattr(made, silent).weight)
    visual, text = stream(PLAIN, 12)
    one, other = (made(visual, text, torch.tensor([who])) for who in (1, 2))
    assert not torch.allclose(one, other)


def test_t_ain_gives_the_features_the_deviation_and_mean_that_the_history_asks_for() -> None:
    made = AdaptiveHFCSN(replace(PLAIN, causal=False))
    x, there = torch.randn(1, 16, 50), torch.ones(1, 1, 50)
    adapted = made.adapted(x, there, torch.full((1, 16, 1), 2.0), torch.full((1, 16, 1), -1.0))
    torch.testing.assert_close(adapted.mean(dim=2), torch.full((1, 16), -1.0))
    torch.testing.assert_close(adapted.std(dim=2, correction=0), torch.full((1, 16), 3.0), rtol=1e-4, atol=0)


def test_adaptive_h_fcsn_encodes_highlights_and_not_their_mean_alone() -> None:
    torch.manual_seed(0)
    made = AdaptiveHFCSN(PHD).eval()
    one, other = torch.randn(7), torch.randn(7)
    encoded = [made.history(*made.inputs.liked(who)) for who in (history(one), history(other), history(one, other))]
    assert not torch.allclose(encoded[2], (encoded[0] + encoded[1]) / 2, atol=1e-4)
    torch.testing.assert_close(made.history(*made.inputs.liked(history(one, one))), encoded[0])
