"""The invariants of DESIGN section 5."""

from dataclasses import replace

import pytest
import torch
from support.small_network import SMALL, run_steps, small_network, stream
from torch.utils.flop_counter import FlopCounterMode

from kuaihl.models.dims import EDGE_DIMS, HISTORY_ITEMS, PAPER_DIMS, NetworkDims
from kuaihl.models.errors import ModelError
from kuaihl.models.network.kuaihl import KuaiHL
from kuaihl.models.network.stream_state import StreamState

RECEPTIVE_FIELD = 2 * SMALL.window - 1  # segments: the decoder looks back n latents, the oldest of which looks back n


@pytest.fixture(autouse=True)
def _no_gradients(request: pytest.FixtureRequest):
    with torch.set_grad_enabled("gradient" in request.node.name):
        yield


@pytest.mark.parametrize("segments", [5, 12])  # one window, and a sequence that is read in blocks
def test_a_later_segment_never_changes_an_earlier_score(segments: int) -> None:
    network = small_network()
    visual, text = stream(SMALL, segments)
    streamer = torch.tensor([2])
    scores = network(visual, text, streamer)
    for changed in range(segments):
        for other_visual, other_text in ((visual.clone(), text), (visual, text.clone())):
            (other_visual if other_visual is not visual else other_text)[:, changed] += 3.0
            moved = network(other_visual, other_text, streamer) != scores
            assert not moved[0, :changed].any()
            assert moved[0, changed]


@pytest.mark.parametrize("dims", [SMALL, EDGE_DIMS], ids=["small", "edge"])
def test_steps_give_the_scores_of_the_whole_sequence(dims: NetworkDims) -> None:
    network = small_network(dims) if dims is SMALL else small_network(dims, streamers=4)
    visual, text = stream(dims, 66, rooms=2)
    streamer = torch.tensor([0, 3])
    whole = network(visual, text, streamer).sigmoid()
    assert whole.std() > 1e-3  # the comparison means something
    torch.testing.assert_close(run_steps(network, visual, text, streamer), whole, atol=1e-5, rtol=0)


def test_words_are_read_by_a_perceptron_of_two_layers() -> None:
    network, (_, text) = small_network(), stream(SMALL, 4)
    first, second, norm = (network.text[place] for place in (0, 2, 3))
    hidden = text @ first.weight.T + first.bias
    hidden = hidden * 0.5 * (1 + torch.erf(hidden / 2**0.5))  # GELU
    token = hidden @ second.weight.T + second.bias
    token = (token - token.mean(-1, keepdim=True)) / (token.var(-1, correction=0, keepdim=True) + norm.eps).sqrt()
    torch.testing.assert_close(network.text(text), token * norm.weight + norm.bias, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("text_layers", [1, 3])
def test_steps_give_the_scores_of_the_whole_sequence_with_as_many_layers_for_words(text_layers: int) -> None:
    network = small_network(text_layers=text_layers)
    visual, text = stream(SMALL, 12)
    streamer = torch.tensor([1])
    whole = network(visual, text, streamer).sigmoid()
    torch.testing.assert_close(run_steps(network, visual, text, streamer), whole, atol=1e-5, rtol=0)


def test_nothing_older_than_twice_the_window_matters() -> None:
    network = small_network()
    visual, text = stream(SMALL, 30)
    streamer = torch.tensor([1])
    scores = network(visual, text, streamer)[0]
    visual[:, 8] += 3.0
    moved = (network(visual, text, streamer)[0] != scores).nonzero().squeeze(1).tolist()
    assert moved == list(range(8, 8 + RECEPTIVE_FIELD))


def test_scores_do_not_depend_on_the_position_in_the_stream() -> None:
    network = small_network()
    visual, text = stream(SMALL, 20)
    before_visual, before_text = stream(SMALL, 37, seed=9)
    streamer = torch.tensor([1])
    early = run_steps(network, visual, text, streamer)
    late = run_steps(
        network, torch.cat([before_visual, visual], dim=1), torch.cat([before_text, text], dim=1), streamer
    )
    full = RECEPTIVE_FIELD - 1  # from here on the window holds none of what came before
    torch.testing.assert_close(late[:, 37 + full :], early[:, full:], atol=1e-6, rtol=0)


def test_a_state_has_one_size_for_ever() -> None:
    network = small_network()
    visual, text = stream(SMALL, 40)
    state = network.start(torch.tensor([1]))
    sizes = {len(state.to_bytes())}
    for segment in range(40):
        network.step(state, visual[:, segment], text[:, segment])
        sizes.add(len(state.to_bytes()))
    assert len(sizes) == 1
    assert state.position == 40


def test_a_step_costs_the_same_however_long_the_stream() -> None:
    network = small_network()
    visual, text = stream(SMALL, 60)
    state, costs = network.start(torch.tensor([1])), set()
    for segment in range(60):
        with FlopCounterMode(display=False) as counter:
            network.step(state, visual[:, segment], text[:, segment])
        costs.add(counter.get_total_flops())
    assert len(costs) == 1
    assert costs.pop() > 0


def test_a_state_that_was_saved_and_read_goes_on_to_the_same_scores() -> None:
    network = small_network()
    visual, text = stream(SMALL, 20)
    state, reread = network.start(torch.tensor([2])), None
    for segment in range(20):
        score = network.step(state, visual[:, segment], text[:, segment]).score
        if reread is not None:
            assert torch.equal(network.step(reread, visual[:, segment], text[:, segment]).score, score)
        if segment == 7:
            reread = StreamState.from_bytes(state.to_bytes())
            assert reread.position == 8


def test_streams_of_different_ages_step_together() -> None:
    network = small_network()
    visual, text = stream(SMALL, 20, rooms=2)
    alone = run_steps(network, visual, text, torch.tensor([1, 2]))
    young, old = network.start(torch.tensor([2])), network.start(torch.tensor([1]))
    for segment in range(9):
        network.step(old, visual[:1, segment], text[:1, segment])
    both = StreamState(*(torch.cat(parts) for parts in zip(old.inputs(), young.inputs(), strict=True)))
    for segment in range(11):
        places = torch.tensor([9 + segment, segment])
        scores = network.step(both, visual[[0, 1], places], text[[0, 1], places]).score
        torch.testing.assert_close(scores, alone[[0, 1], places], atol=1e-6, rtol=0)


def test_a_saved_state_stays_as_it_was_when_the_stream_goes_on() -> None:
    network = small_network()
    visual, text = stream(SMALL, 1)
    state = network.start(torch.tensor([2]))
    saved = state.tensors()
    before = {name: part.clone() for name, part in saved.items()}
    network.step(state, visual[:, 0], text[:, 0])
    assert all(torch.equal(saved[name], part) for name, part in before.items())
    assert not torch.equal(state.tokens, saved["tokens"])


@pytest.mark.parametrize("data", [b"", b"not a state", bytes(100)])
def test_a_damaged_state_is_one_line(data: bytes) -> None:
    with pytest.raises(ModelError, match="stream state is damaged"):
        StreamState.from_bytes(data)


def test_a_state_of_another_format_is_refused() -> None:
    parts = small_network().start(torch.tensor([0])).tensors()
    with pytest.raises(ModelError, match="format 7"):
        StreamState.from_tensors(parts | {"format": torch.tensor(7)})
    with pytest.raises(ModelError, match="latents missing"):
        StreamState.from_tensors({name: part for name, part in parts.items() if name != "latents"})


def test_rooms_of_a_batch_do_not_touch_each_other() -> None:
    network = small_network()
    visual, text = stream(SMALL, 12, rooms=3)
    streamers = torch.tensor([0, 1, 2])
    together = network(visual, text, streamers)
    for room in range(3):
        alone = network(visual[room : room + 1], text[room : room + 1], streamers[room : room + 1])
        torch.testing.assert_close(alone[0], together[room], atol=1e-5, rtol=0)


def test_padding_changes_no_score_and_no_score_is_nan() -> None:
    network = small_network()
    visual, text = stream(SMALL, 12)
    streamer = torch.tensor([1])
    valid = torch.arange(12)[None] >= 4  # four segments of padding in front
    padded = network(visual, text, streamer, valid)
    torch.testing.assert_close(padded[:, 4:], network(visual[:, 4:], text[:, 4:], streamer), atol=1e-5, rtol=0)
    assert padded.isfinite().all()


def test_a_gradient_flows_to_every_parameter() -> None:
    network = small_network()
    visual, text = stream(SMALL, 7, rooms=5)
    network(visual, text, torch.arange(5)).square().sum().backward()
    for name, parameter in network.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.abs().max() > 1e-7, name


def test_the_streamer_matters_and_without_id_it_does_not() -> None:
    visual, text = stream(SMALL, 6)
    one, other = torch.tensor([1]), torch.tensor([2])
    network = small_network()
    assert not torch.equal(network(visual, text, one), network(visual, text, other))
    blind = small_network(use_id=False)
    assert torch.equal(blind(visual, text, one), blind(visual, text, other))


def test_in_training_the_id_is_hidden_at_its_rate_and_the_unknown_streamer_learns() -> None:
    network = small_network(id_dropout=0.1, dropout=0.0).train()
    known = network.streamer_vector(torch.tensor([3] * 20_000))
    unknown = network.streamer_vector(torch.tensor([0]))
    hidden = (known == unknown).all(dim=1).float().mean()
    assert hidden == pytest.approx(0.1, abs=0.01)


@pytest.mark.parametrize(("switch", "ignored"), [("use_text", "text"), ("use_visual", "visual")])
def test_an_ablated_modality_is_not_read(switch: str, ignored: str) -> None:
    network = small_network(**{switch: False})
    visual, text = stream(SMALL, 12)
    scores = network(visual, text, torch.tensor([1]))
    other = {"visual": visual, "text": text} | {ignored: torch.zeros_like(visual if ignored == "visual" else text)}
    assert torch.equal(network(**other, streamer=torch.tensor([1])), scores)
    torch.testing.assert_close(run_steps(network, visual, text, torch.tensor([1])), scores.sigmoid())


def test_phd_mode_sees_the_future_and_reads_a_history() -> None:
    network = small_network(causal=False, history_width=8)
    visual, text = stream(SMALL, 12)
    history = torch.randn(1, HISTORY_ITEMS, 8)
    scores = network(visual, text, history)
    visual[:, 3] += 3.0
    assert network(visual, text, history)[0, 0] != scores[0, 0]
    assert not torch.equal(network(visual, text, history + 1.0), network(visual, text, history))
    with pytest.raises(ModelError, match="cannot follow a stream"):
        network.start(history)


def test_a_history_is_a_set_of_tokens_that_has_no_order_and_no_padding() -> None:
    network = small_network(causal=False, history_width=8)
    visual, text = stream(SMALL, 12)
    history = torch.randn(1, HISTORY_ITEMS, 8)
    history[:, 3:] = 0.0
    scores = network(visual, text, history)
    elsewhere = torch.zeros_like(history)
    elsewhere[:, [17, 4, 9]] = history[:, :3]
    torch.testing.assert_close(network(visual, text, elsewhere), scores)
    one_alone = history.clone()
    one_alone[:, 1:] = 0.0
    assert not torch.allclose(network(visual, text, one_alone), scores)
    same_mean = history.clone()  # the mean is not what is read
    same_mean[:, 0], same_mean[:, 1] = history[:, 0] + 1.0, history[:, 1] - 1.0
    assert not torch.allclose(network(visual, text, same_mean), scores)


def test_a_user_without_history_is_the_unknown_one() -> None:
    network = small_network(causal=False, history_width=8)
    tokens, there = network.history(torch.zeros(1, HISTORY_ITEMS, 8))
    assert there.tolist() == [[True] + [False] * (HISTORY_ITEMS - 1)]
    assert torch.equal(tokens[0, 0], network.history.unknown)
    known, _ = network.history(torch.ones(1, HISTORY_ITEMS, 8))
    assert not torch.equal(known[0, 0], network.history.unknown)


def test_in_training_every_tenth_user_is_unknown() -> None:
    network = small_network(causal=False, history_width=8, id_dropout=0.1).train()
    tokens, there = network.history(torch.ones(20_000, HISTORY_ITEMS, 8))
    unknown = there.sum(dim=1) == 1
    assert 0.09 < unknown.float().mean() < 0.11
    assert (tokens[unknown, 0] == network.history.unknown).all()


def test_without_the_id_a_history_is_not_read() -> None:
    network = small_network(causal=False, use_id=False)
    visual, text = stream(SMALL, 12)
    one, other = (network(visual, text, torch.full((1, HISTORY_ITEMS, 8), value)) for value in (0.0, 1.0))
    assert torch.equal(one, other)


def test_dims_that_cannot_be_are_refused() -> None:
    with pytest.raises(ModelError, match="not a multiple"):
        replace(SMALL, heads=3)
    with pytest.raises(ModelError, match="0 layers read no text"):
        replace(SMALL, text_layers=0)
    with pytest.raises(ModelError, match="nothing is left to read"):
        replace(SMALL, use_text=False, use_visual=False)


def test_the_edge_head_is_under_15_megabytes_and_the_paper_network_has_the_published_shape() -> None:
    edge = sum(parameter.numel() for parameter in KuaiHL(EDGE_DIMS).parameters())
    assert edge * 4 < 15e6
    assert (PAPER_DIMS.width, PAPER_DIMS.heads, PAPER_DIMS.layers, PAPER_DIMS.window) == (512, 8, 3, 20)
    assert PAPER_DIMS.tokens == 148
