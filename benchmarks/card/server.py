"""A server's turn: a segment of each of many rooms, encoded in batches, then one step of the head for all of them.

The rooms' segments are recorded: pictures of noise in the memory of the host, and the demonstration's comments as
words. The first form is kuaihl's own encoders, whose features pass through the host. In the second the features stay on
the card, and the pictures come shrunk, as a worker beside the decoder would hand them over.
"""

import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from card.encoders import TEXT_FILE, VISION_FILE
from card.head import AS_SHIPPED
from card.measure import Row, Setting, release, skipped, synchronize, time_call
from kuaihl.engines.encoders.profiles import EDGE, load_one
from kuaihl.engines.encoders.text import TextEncoder
from kuaihl.engines.encoders.vision import VisionEncoder
from kuaihl.engines.runtimes.torch_runtime import open_torch
from kuaihl.engines.types import FRAMES_PER_SEGMENT
from kuaihl.models.network.kuaihl import KuaiHL

COMMENTS = Path(__file__).parents[2] / "examples" / "demo.comments.xml"
_PART = "server's turn"
_SEGMENT_SECONDS = 30
_FRAMES_AT_ONCE, _TEXTS_AT_ONCE = 192, 256
_ROOMS = (64, 512)
_THROUGH_HOST = 64  # rooms of the first form, whose pictures are shrunk on one thread


@torch.no_grad()
def server_rows(setting: Setting, weights: Path | None) -> Iterator[Row]:
    """Both forms, with the rooms that one card could follow in real time. Needs the published weights' tokenizer."""
    try:
        vision, text = _load(setting, weights)
    except Exception as error:
        yield skipped(_PART, "all forms", 0, error)
        return
    torch.manual_seed(0)
    network = KuaiHL(AS_SHIPPED).eval().to(setting.device)
    forms: list[tuple[str, Callable[..., dict[str, float]], tuple[int, ...]]] = [
        ("features through the host", _turn_through_host, (2,) if setting.dry else (_THROUGH_HOST,)),
        ("features stay on the card", _turn_on_card, (2,) if setting.dry else _ROOMS),
    ]
    for what, turn, numbers in forms:
        for number in numbers:
            try:
                yield _turn_row(what, turn, number, (vision, text, network), setting)
            except Exception as error:
                yield skipped(_PART, what, number, error)
            release()


def _turn_row(what: str, turn: Callable[..., Any], number: int, networks: tuple[Any, ...], setting: Setting) -> Row:
    recorded = _record(number, what, networks, setting)
    spent: list[dict[str, float]] = []
    taken = time_call(lambda: spent.append(turn(recorded, *networks, setting)), setting)
    last = spent[-1]
    shares = ", ".join(f"{stage} {seconds / sum(last.values()):.0%}" for stage, seconds in last.items())
    rooms = number * _SEGMENT_SECONDS / taken
    return Row(_PART, what, number, taken, note=f"{rooms:,.0f} rooms in real time; {shares}")


def _load(setting: Setting, weights: Path | None) -> tuple[VisionEncoder, TextEncoder]:
    """kuaihl's encoders, in fp16 on a card. Raises ModelError without weights."""
    opener = open_torch(setting.device, "fp32" if setting.dry else "fp16")
    device = str(setting.device)

    def where(file: str) -> Path | None:
        return weights / file if weights and (weights / file).is_file() else None

    vision, _ = load_one(EDGE.vision, where(VISION_FILE), EDGE.load_vision, opener, device)
    text, _ = load_one(EDGE.text, where(TEXT_FILE), EDGE.load_text, opener, device)
    return vision, text


def _record(number: int, what: str, networks: tuple[Any, ...], setting: Setting) -> dict[str, Any]:
    """A segment of each room."""
    vision, _, network = networks
    draw = np.random.default_rng(0)
    lines = re.findall(r">([^<]+)</d>", COMMENTS.read_text(encoding="utf-8"))
    said = [" ".join(draw.choice(lines, 12)) for _ in range(number)]
    written = [list(draw.choice(lines, 6)) for _ in range(number)]
    size = vision.settings.size
    shape = (360, 640, 3) if "host" in what else (3, size, size)
    pictures = draw.integers(0, 255, (FRAMES_PER_SEGMENT * number, *shape), np.uint8)
    shrunk = torch.from_numpy(pictures)
    if setting.device.type == "cuda":
        shrunk = shrunk.pin_memory()
    state = network.start(torch.zeros(number, dtype=torch.int64, device=setting.device))
    signals = torch.randn(number, network.dims.signals, device=setting.device)
    return {
        "pictures": pictures,
        "shrunk": shrunk,
        "said": said,
        "written": written,
        "state": state,
        "signals": signals,
    }


class _Watch:
    """Seconds by stage; it waits for the card at the end of each."""

    def __init__(self, device: torch.device) -> None:
        self.device, self.spent, self.began = device, dict[str, float](), time.perf_counter()

    def stage(self, name: str) -> None:
        synchronize(self.device)
        now = time.perf_counter()
        self.spent[name] = self.spent.get(name, 0.0) + now - self.began
        self.began = now


def _turn_through_host(
    recorded: dict[str, Any], vision: VisionEncoder, text: TextEncoder, network: KuaiHL, setting: Setting
) -> dict[str, float]:
    watch = _Watch(setting.device)
    pictures = recorded["pictures"]
    visual = vision.encode([pictures[i : i + FRAMES_PER_SEGMENT] for i in range(0, len(pictures), FRAMES_PER_SEGMENT)])
    watch.stage("vision")
    words = text.encode(recorded["said"], recorded["written"])
    watch.stage("text")
    features = (torch.from_numpy(each).to(setting.device).float() for each in (visual, words))
    network.step(recorded["state"], *features, recorded["signals"]).score.cpu()
    watch.stage("head")
    return watch.spent


def _turn_on_card(
    recorded: dict[str, Any], vision: VisionEncoder, text: TextEncoder, network: KuaiHL, setting: Setting
) -> dict[str, float]:
    watch = _Watch(setting.device)
    shrunk: Tensor = recorded["shrunk"]
    seen = [
        vision.runtime.run(pictures.to(setting.device, non_blocking=True))[0]
        for pictures in shrunk.split(_FRAMES_AT_ONCE)
    ]
    visual = torch.cat(seen).reshape(len(recorded["said"]), vision.patches, vision.width)
    watch.stage("vision")
    rows = [text.make_row(said, " ".join(written)) for said, written in zip(
        recorded["said"], recorded["written"], strict=True)]  # fmt: skip
    watch.stage("tokenizer")
    order = sorted(range(len(rows)), key=lambda i: len(rows[i][0]))
    words = torch.empty(len(rows), text.width, device=setting.device)
    for first in range(0, len(order), _TEXTS_AT_ONCE):
        some = order[first : first + _TEXTS_AT_ONCE]
        words[torch.tensor(some, device=setting.device)] = text.runtime.run(*text.prepare([rows[i] for i in some]))[0]
    watch.stage("text")
    network.step(recorded["state"], visual, words, recorded["signals"]).score.cpu()
    watch.stage("head")
    return watch.spent
