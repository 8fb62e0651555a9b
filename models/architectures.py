"""Every network that can be trained, by name; all take features of segments and return one logit per segment.

    forward(visual [B, S, P, d_v], text [B, S, d_t], streamer [B], valid [B, S] or None) -> logits [B, S]
    training_losses(objective, batch) -> LossTerms

A network that reads counts takes them as well: forward(…, valid, sparse [B, S, 10]). One that reads signals takes
those: forward(…, valid, signals [B, S, k]). "kuaihl" is the paper's own and "linear" comes from no paper. The others
are the systems of its Table I, and the ID-based method of its supplement (docs/baselines.md).
"""

from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, cast

from kuaihl.models.dims import NetworkDims
from kuaihl.models.errors import ModelError

if TYPE_CHECKING:
    from torch import nn


@dataclass(frozen=True)
class _Architecture:
    """The place of a network, and the facts that a reader of a table needs."""

    title: str
    paper: str
    module: str  # imported only when the network is built, since it needs torch
    class_name: str
    causal: bool  # no score depends on a later segment if `NetworkDims.causal` is set
    streams: bool = False  # has `start` and `step`, so that scoring can run it
    reads_signals: bool = False  # `forward` also takes signals if its dims say so
    reads_counts: bool = False  # `forward` also takes sparse rows of IDs and counts, which no stream carries
    closed_form: bool = False  # fitted in one step by `linear_training`, without `training_losses`


ARCHITECTURES = {
    "kuaihl": _Architecture(
        "KuaiHL",
        "A Multimodal Transformer for Live Streaming Highlight Prediction, ICME 2024",
        "kuaihl.models.network.kuaihl",
        "KuaiHL",
        causal=True,
        streams=True,
        reads_signals=True,
    ),
    "antpivot": _Architecture(
        "AntPivot",
        "Livestream Highlight Detection via Hierarchical Attention Mechanism, 2022",
        "kuaihl.models.baselines.antpivot",
        "AntPivot",
        causal=True,
    ),
    "adaptive-h-fcsn": _Architecture(
        "Adaptive-H-FCSN",
        "Adaptive Video Highlight Detection by Learning from User History, ECCV 2020",
        "kuaihl.models.baselines.adaptive_h_fcsn",
        "AdaptiveHFCSN",
        causal=True,
    ),
    "pr-net": _Architecture(
        "PR-Net",
        "PR-Net: Preference Reasoning for Personalized Video Highlight Detection, ICCV 2021",
        "kuaihl.models.baselines.pr_net",
        "PRNet",
        causal=True,
    ),
    "pac-net": _Architecture(
        "PAC-Net",
        "PAC-Net: Highlight Your Video via History Preference Modeling, ECCV 2022",
        "kuaihl.models.baselines.pac_net",
        "PACNet",
        causal=True,
    ),
    "showme": _Architecture(
        "ShowMe",
        "Show Me What I Like: Detecting User-Specific Video Highlights Using Content-Based Multi-Head Attention, "
        "ACM Multimedia 2022",
        "kuaihl.models.baselines.showme",
        "ShowMe",
        causal=True,
    ),
    "linear": _Architecture(
        "Linear",
        "none: ridge regression on the last segments",
        "kuaihl.models.network.linear",
        "LaggedLinear",
        causal=True,
        streams=True,
        reads_signals=True,
        closed_form=True,
    ),
    "id-counts": _Architecture(
        "ID-based, counts",
        "A Multimodal Transformer for Live Streaming Highlight Prediction, ICME 2024, supplement, section II",
        "kuaihl.models.baselines.id_counts",
        "IdCounts",
        causal=True,
        reads_counts=True,
    ),
}


def build_network(name: str, dims: NetworkDims) -> "nn.Module":
    """A network of that architecture with fresh weights. Raises ModelError if the name is unknown."""
    if name not in ARCHITECTURES:
        raise ModelError(f"{name}: no such architecture; there are {', '.join(ARCHITECTURES)}")
    found = ARCHITECTURES[name]
    return cast("nn.Module", getattr(import_module(found.module), found.class_name)(dims))
