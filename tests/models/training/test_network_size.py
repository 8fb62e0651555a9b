"""How large a network so many labels carry."""

import pytest

from kuaihl.models.training.network_size import size_named, validate_every_for


@pytest.mark.parametrize(
    ("labels", "name"), [(0, "small"), (2_999, "small"), (3_000, "medium"), (29_999, "medium"), (30_000, "large")]
)
def test_auto_follows_the_labels(labels: int, name: str) -> None:
    size = size_named("auto", labels)
    assert size is not None and size.name == name


def test_a_size_that_is_asked_for_does_not_and_the_profile_s_own_is_none() -> None:
    small = size_named("small", 10**6)
    assert small is not None and (small.width, small.layers) == (64, 1)
    assert size_named("profile", 0) is None


@pytest.mark.parametrize(("epoch_steps", "every"), [(3, 5), (40, 10), (834, 208)])
def test_validation_comes_four_times_an_epoch_or_every_five_steps(epoch_steps: int, every: int) -> None:
    assert validate_every_for(epoch_steps) == every
