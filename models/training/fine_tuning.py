"""Training that starts from a trained network: its weights are taken over and held near where they began.

Every step pulls each weight back to its start by a share of the distance. This is L2-SP (Li, Grandvalet, Davoine,
Explicit Inductive Bias for Transfer Learning with Convolutional Networks, ICML 2018). Freezing the lower layers was not
chosen. A head of simulated rooms reads drawn pictures in its lower layers, and real rooms must change those first.
"""

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from kuaihl.models.bundle import Bundle
from kuaihl.models.dims import UNKNOWN_STREAMER, NetworkDims
from kuaihl.models.errors import ModelError, Remedy
from kuaihl.models.facts import DataSetFacts
from kuaihl.models.network.kuaihl import KuaiHL

_WITHOUT = Remedy("give another bundle to begin with, or none", {"from": None})


def check_start(bundle: Bundle, facts: DataSetFacts) -> None:
    """Raise ModelError if a network on that data set cannot start from the bundle."""
    if bundle.architecture != "kuaihl":
        raise ModelError(
            f"{bundle.path}: is of architecture {bundle.architecture}, and a training begins with one of kuaihl",
            remedy=_WITHOUT,
        )
    for role in ("vision", "text"):
        theirs, ours = (
            {(one.name, one.sha256) for one in encoders if one.role == role}
            for encoders in (bundle.encoders, facts.encoders)
        )
        if theirs != ours:
            names = [", ".join(sorted(name for name, _ in each)) or "none" for each in (theirs, ours)]
            raise ModelError(
                f"{bundle.path}: reads {role} of {names[0]}, the data set has it of {names[1]}; "
                "build the data set with the bundle's encoders",
                remedy=_WITHOUT,
            )
    widths = (bundle.dims.visual_width, bundle.dims.text_width), (facts.visual_width, facts.text_width)
    if widths[0] != widths[1]:
        raise ModelError(
            f"{bundle.path}: reads features {widths[0]} wide, the data set's are {widths[1]}", remedy=_WITHOUT
        )


def begin_from(source: KuaiHL, dims: NetworkDims) -> tuple[KuaiHL, set[str]]:
    """A network of `dims` with all that it shares with `source`, and the names of its modules that begin afresh.

    Every streamer begins as the unknown one. Raises ModelError if a shared part has another shape.
    """
    network = KuaiHL(dims)
    old, new = source.state_dict(), network.state_dict()
    unknown = old["streamer.weight"][UNKNOWN_STREAMER]
    taken = {"streamer.weight": unknown.expand_as(new["streamer.weight"])} if "streamer.weight" in new else {}
    for name in new.keys() & old.keys() - taken.keys():
        if old[name].shape != new[name].shape:
            raise ModelError(
                f"{name} is {list(old[name].shape)} in the network to start from, not {list(new[name].shape)}"
            )
        taken[name] = old[name]
    with torch.no_grad():
        network.load_state_dict(new | taken)
    return network, {_module_of(name) for name in new.keys() - taken.keys()}


def _module_of(name: str) -> str:
    """The module of a weight's name: signals, or decoder.interest."""
    first, *rest = name.split(".")
    return f"{first}.{rest[0]}" if first == "decoder" else first


@torch.no_grad()
def pull_back(network: nn.Module, anchor: Mapping[str, Tensor], share: float) -> None:
    """Move every weight back to the anchor by that share of the way, weights by name: after each step of Adam."""
    for name, part in network.named_parameters():
        part.lerp_(anchor[name], share)
