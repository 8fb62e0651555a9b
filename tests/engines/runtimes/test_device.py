"""The one place where the device is chosen: what is here is taken, what is not is refused in one line."""

import pytest
import torch

from kuaihl.engines.runtimes.device import choose_device, set_threads
from kuaihl.models.errors import UsageError


@pytest.mark.parametrize("device", ["cuda:99", "cuda:x", "cpu:0", "tpu", "", "CPU"])
def test_a_device_that_is_not_there_is_refused(device: str) -> None:
    with pytest.raises(UsageError, match="give auto") as caught:
        choose_device(device)
    assert (caught.value.setting, caught.value.value) == ("device", device)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("cards", "apple", "chosen"),
    [
        (0, False, {"auto": "cpu", "cpu": "cpu", "cuda": None, "cuda:0": None, "mps": None}),
        (2, False, {"auto": "cuda", "cpu": "cpu", "cuda": "cuda", "cuda:1": "cuda:1", "cuda:2": None, "mps": None}),
        (0, True, {"auto": "cpu", "cuda": None, "mps": "mps"}),
    ],
)
def test_what_is_here_is_taken(
    cards: int, apple: bool, chosen: dict[str, str | None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: cards > 0)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: cards)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: apple)
    for device, expected in chosen.items():
        if expected is not None:
            assert choose_device(device) == expected
            continue
        with pytest.raises(UsageError, match="give auto or cpu"):
            choose_device(device)


def test_threads_are_those_asked_for_or_all_there_are() -> None:
    before = torch.get_num_threads()
    try:
        assert set_threads(1) == torch.get_num_threads() == 1
        assert set_threads(None) == torch.get_num_threads() >= 1
    finally:
        torch.set_num_threads(before)
