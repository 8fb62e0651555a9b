"""AntPivot: text alone, in chunks of time; boundary labels, and the dynamic programming against all ways there are."""

from dataclasses import replace
from itertools import pairwise, product

import numpy as np
import pytest
import torch
from support.small_network import SMALL, stream

from kuaihl.models.baselines.antpivot import AntPivot, join_gates
from kuaihl.models.baselines.antpivot_spans import cut_spans, find_boundaries
from kuaihl.models.errors import ModelError


def network(**changes: object) -> AntPivot:
    torch.manual_seed(0)
    return AntPivot(replace(SMALL, dropout=0.0, **changes)).eval()  # type: ignore[arg-type]


def test_it_reads_text_alone_whatever_there_is() -> None:
    made = network()
    visual, text = stream(SMALL, 12)
    nobody = torch.tensor([0])
    scores = made(visual, text, nobody)
    assert torch.equal(made(torch.randn_like(visual), text, nobody), scores)
    assert not torch.equal(made(visual, torch.randn_like(text), nobody), scores)
    assert not any("visual" in name for name, _ in made.named_parameters())
    with pytest.raises(ModelError, match="antpivot reads text alone"):
        network(use_text=False)


def test_twenty_segments_make_five_chunks_of_four() -> None:
    assert network(window=20).chunk == 4


def heard(made: AntPivot, segments: int, changed: int) -> list[int]:
    """Whose scores change when the words of one segment do, where far pivots are as near as any."""
    for among in made.double().among:
        torch.nn.init.zeros_(among.attention.distance_bias)
    visual, text = (features.double() for features in stream(SMALL, segments))
    before = made(visual, text, torch.tensor([0]))
    text[:, changed] += 9.0
    return (made(visual, text, torch.tensor([0])) != before)[0].nonzero().flatten().tolist()


def test_a_score_depends_on_two_windows_at_most_and_on_nothing_later() -> None:
    made = network(window=20)
    assert heard(made, 70, 25) == list(range(25, 25 + 16 + 16 + 4))  # four chunks back, as many again, a chunk
    without_pivots = network(window=20)
    for among in without_pivots.among:  # pivots that do not hear one another
        torch.nn.init.zeros_(among.attention.out.weight)
    assert heard(without_pivots, 70, 25) == list(range(25, 25 + 2 * 4 - 1))  # its chunk, and in round two another


def test_with_a_fully_visible_mask_pivots_are_heard_on_both_sides() -> None:
    assert heard(network(window=16, causal=False), 16, 7) == list(range(16))


def test_the_score_is_the_geometric_mean_of_both_gates() -> None:
    first, second = torch.tensor([0.0, 2.0, -3.0]), torch.tensor([0.0, -1.0, -30.0])
    expected = (torch.sigmoid(first) * torch.sigmoid(second)).sqrt()
    torch.testing.assert_close(torch.sigmoid(join_gates(first, second)), expected)
    assert bool(join_gates(torch.tensor(40.0), torch.tensor(40.0)).isfinite())


def test_a_span_ends_where_labels_fall_below_their_mean() -> None:
    labels = torch.tensor([[0.1, 0.8, 0.9, 0.8, 0.1, 0.1, 0.7, 0.1]])  # mean 0.45
    ends, known = find_boundaries(labels, torch.ones(1, 8, dtype=torch.bool))
    assert ends.tolist() == [[0, 1, 0, 1, 0, 0, 1, 0]]
    assert known.tolist() == [[False] + [True] * 6 + [False]]


def test_beside_a_label_that_does_not_count_no_boundary_is_known() -> None:
    labels = torch.tensor([[0.0, 1.0, 1.0, 1.0, 0.0, 0.0]])
    counted = torch.tensor([[True, True, True, True, False, True]])
    ends, known = find_boundaries(labels, counted)
    assert known.tolist() == [[False, True, True, False, False, False]]
    assert ends[known].tolist() == [1, 0]


def test_spans_are_cut_where_the_boundary_head_says_and_segments_are_inside() -> None:
    boundary = [0.1, 0.9, 0.1, 0.1, 0.9, 0.1, 0.1]
    inside = [0.1, 0.9, 0.9, 0.9, 0.9, 0.1, 0.1]
    assert cut_spans(boundary, inside) == [(1, 4)]


def test_a_stream_may_end_with_a_highlight_and_may_have_none() -> None:
    assert cut_spans([0.1, 0.1, 0.9, 0.2, 0.9], [0.0, 0.0, 0.9, 0.9, 0.9]) == [(2, 4)]
    assert cut_spans([0.5] * 4, [0.5] * 4) == []
    assert cut_spans([0.9], [0.9]) == []


@pytest.mark.parametrize("seed", range(20))
def test_spans_are_those_of_the_best_of_all_ways(seed: int) -> None:
    draw = np.random.default_rng(seed)
    boundary, inside = draw.random(7), draw.random(7)

    def scaled(x: np.ndarray) -> np.ndarray:
        return (x - x.min()) / (x.max() - x.min())

    value = {
        "S": scaled(boundary),
        "E": scaled(boundary),
        "I": scaled(inside) * scaled(1 - boundary),
        "O": scaled(1 - inside) * scaled(1 - boundary),
    }
    follows = {"S": "IE", "I": "IE", "E": "SO", "O": "SO"}
    ways = [
        way
        for way in product("SEIO", repeat=7)
        if way[0] in "SO" and way[-1] in "EO" and all(b in follows[a] for a, b in pairwise(way))
    ]
    best = max(ways, key=lambda way: sum(value[state][i] for i, state in enumerate(way)))
    expected = list(
        zip(
            [i for i, state in enumerate(best) if state == "S"],
            [i for i, state in enumerate(best) if state == "E"],
            strict=True,
        )
    )
    assert cut_spans(boundary.tolist(), inside.tolist()) == expected


def test_the_network_tells_spans_of_every_room() -> None:
    visual, text = stream(SMALL, 30, rooms=2)
    found = network().spans(visual, text)
    assert len(found) == 2
    assert all(0 <= first < last < 30 for room in found for first, last in room)
