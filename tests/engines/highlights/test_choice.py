"""A choice of highlights: how many, how long, with how much media around them."""

import random
from dataclasses import replace
from itertools import pairwise

import pytest
from support.curves import random_stream, with_loudness

from kuaihl.engines.highlights.choice import Choice
from kuaihl.engines.highlights.choose import choose_highlights
from kuaihl.engines.highlights.curve import gap_edges
from kuaihl.models.errors import UsageError


@pytest.mark.parametrize("seed", range(40))
def test_any_choice_on_any_curve_keeps_its_promises(seed: int) -> None:
    chance = random.Random(seed)
    scored = random_stream(seed, interest=chance.random() < 0.5)
    least = chance.choice([0.0, 5.0, 20.0])
    if chance.random() < 0.7:
        scored = with_loudness(scored, lambda time: chance.choice([-40.0, -25.0, -10.0]))
    plain = Choice(
        boundaries=chance.choice(["loudness", "sentences", "segments"]),
        top=chance.choice([None, 3]),
        per_hour=chance.choice([None, 4.0]),
        length=(least, chance.choice([30.0, 200.0])),
    )
    padded = replace(plain, padding=(chance.choice([0.0, 7.0]), chance.choice([0.0, 50.0])), overlap=False)
    cores, highlights = choose_highlights(scored, plain), choose_highlights(scored, padded)
    assert [one.score for one in highlights] == [one.score for one in cores]
    for core, one in zip(cores, highlights, strict=True):
        assert one.start <= core.start and core.end <= one.end
        assert core.start - one.start <= padded.padding[0] + 1e-6 and one.end - core.end <= padded.padding[1] + 1e-6
        assert scored[0].start <= one.start and one.end <= max(two.end for two in scored)
        assert not any(one.start + 1e-6 < edge < one.end - 1e-6 for edge in gap_edges(scored))
    for before, after in pairwise(highlights):
        assert before.end <= after.start + 1e-6


@pytest.mark.parametrize(
    ("name", "value"),
    [("length", (30.0, 10.0)), ("length", (0.0, 0.0)), ("length", (10.0, float("inf"))), ("padding", (-1.0, 0.0)),
     ("padding", (0.0, float("nan"))), ("per_hour", 0.0), ("per_hour", float("nan"))],
)  # fmt: skip
def test_what_no_highlight_can_meet_is_refused_before_anything_is_scored(name: str, value: object) -> None:
    with pytest.raises(UsageError) as caught:
        Choice(**{name: value})  # type: ignore[arg-type]
    assert caught.value.setting == name
