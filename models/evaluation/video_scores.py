"""Scores of videos other than live rooms: PHD's targets and summarisation's videos in, a score per frame out.

Their networks read a video with a fully visible mask and give the frame's own score, not the next one's. PHD's read it
in stretches of 192 frames, with the user's history in place of the streamer's id.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from kuaihl.models.dims import HISTORY_ITEMS, UNKNOWN_STREAMER, NetworkDims

if TYPE_CHECKING:
    from kuaihl.models.data.phd import PhdSet
    from kuaihl.models.data.summary_h5 import SummaryVideo


@dataclass(frozen=True)
class ScoredTarget:
    """A PHD target video of F frames."""

    user: str
    video: str
    scores: NDArray[np.float64]  # [F] in (0, 1)
    labels: NDArray[np.float64]  # [F], 1 in a highlight, else 0


def score_targets(network: nn.Module, data: "PhdSet") -> Iterator[ScoredTarget]:
    """Score every target on the network's own device. Raises DataError naming video and frame."""
    device = next(network.parameters()).device
    network.eval()
    for number, target in enumerate(data.targets):
        found = data.gather(data.stretches_of(number))
        with torch.inference_mode():
            logits = network(
                _move_to(device, found.visual).float(),
                _move_to(device, found.text).float(),
                _move_to(device, found.history),
                _move_to(device, found.frame_valid),
            )  # [stretches, 192]
        scores = torch.sigmoid(logits).double().cpu().numpy()[found.frame_valid]
        yield ScoredTarget(target.user, target.video, scores, found.labels[found.frame_valid].astype(np.float64))


def score_videos(network: nn.Module, videos: "Iterable[SummaryVideo]") -> Iterator[NDArray[np.float64]]:
    """A score for each sampled frame [T] of each video, which the network reads whole."""
    device = next(network.parameters()).device
    network.eval()
    dims = cast(NetworkDims, network.dims)
    for video in videos:
        visual = _move_to(device, video.features)[None, :, None]  # [1, T, 1, d]
        text = visual.new_zeros(1, len(video.features), dims.text_width)
        who = torch.tensor([UNKNOWN_STREAMER], device=device)
        if dims.history_width:
            who = visual.new_zeros(1, HISTORY_ITEMS, dims.history_width)  # nobody's history is known here
        with torch.inference_mode():
            logits = network(visual, text, who, None)[0]
        yield torch.sigmoid(logits).double().cpu().numpy()


def _move_to(device: torch.device, array: NDArray[np.generic]) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(array)).to(device)
