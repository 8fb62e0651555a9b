"""All that decides the result of training: the network's shape, the losses, the order of the data, the arithmetic.

Two runs of one plan on one data set on CPU give the same weights bit for bit, in one go or resumed. Imports no torch,
because commands read their options from here.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal, get_args

from kuaihl.models.dims import EDGE_DIMS, PAPER_DIMS, NetworkDims
from kuaihl.models.errors import Remedy, UsageError

if TYPE_CHECKING:
    from kuaihl.models.data.sample_rule import SampleRule
    from kuaihl.models.facts import DataSetFacts
    from kuaihl.models.features import TextSource
    from kuaihl.models.losses.objective import Objective

LEARNING_RATE = 5e-5  # of Adam, as in the paper, like the batch and the epochs
BATCH, EPOCHS = 48, 12
FINE_TUNING_RATE = 1e-4  # of Adam, for a network that starts from a trained one
PULL = 10.0  # of such a network, back to its start
PHD_BATCH, PHD_EPOCHS = 8, 20

Ablation = Literal["id", "text", "audio", "comments", "visual", "signals"]
Extra = Literal["signals"]
Precision = Literal["no", "fp16", "bf16"]
_PRECISIONS: tuple[Precision, ...] = get_args(Precision)


@dataclass(frozen=True)
class TrainingPlan:
    """The network, its material and its schedule; `batch` counts the windows of a step over all processes together."""

    dims: NetworkDims
    objective: "Objective"
    architecture: str = "kuaihl"
    text: "TextSource" = "both"  # which text vectors of the data set are read
    samples: "SampleRule" = "masked"  # which windows of live rooms are learned from
    epochs: int = EPOCHS
    batch: int = BATCH
    learning_rate: float = LEARNING_RATE
    seed: int = 0
    precision: Precision = "no"
    weight_decay: float = 0.0  # decoupled: the share of each weight removed per step, in learning rates
    start: str = ""  # SHA-256 of the head to start from; "" from scratch
    pull: float = 0.0  # the share of the way back to its start that each weight moves per step, in learning rates
    validate_every: int | Literal["epoch", "auto"] = "epoch"  # steps; or once per epoch, or by `network_size`
    judged_by: Literal["tau", "tau_per_room"] = "tau"  # picks the best network: tau over all segments, or per room
    patience: int | None = None  # validations in a row without a better tau before training stops; None: never
    report_every: int = 10  # steps


def batch_for(profile: str) -> int:
    """The paper's on that kind of data (supplement, section II); summaries, which the paper lacks, take KLive's."""
    return PHD_BATCH if profile == "phd" else BATCH


def epochs_for(profile: str) -> int:
    """The number of epochs, chosen as in `batch_for`."""
    return PHD_EPOCHS if profile == "phd" else EPOCHS


def text_without(without: Sequence[Ablation]) -> "TextSource":
    """The text vectors that leave out audio or comments, as asked (Table III). Raises UsageError for both."""
    if "audio" in without and "comments" in without:
        raise UsageError(
            "without audio and without comments no text is left",
            remedy=Remedy("leave out the text", {"without": "text"}),
        )
    return "comments" if "audio" in without else "speech" if "comments" in without else "both"


def dims_for(
    facts: "DataSetFacts",
    streamers: int,
    without: Sequence[Ablation] = (),
    beyond: Sequence[Extra] = (),
    **shape: int | None,
) -> NetworkDims:
    """The network that fits a data set's features: the profile's own, changed by the values in `shape`.

    The edge profile reads signals, if the data set has them, and has the second output. Other profiles, and any network
    without signals, are as in the paper, unless `beyond` asks for signals. `shape` may hold width, heads, layers,
    window, rooms. Raises ModelError for an impossible network.
    """
    read = "signals" not in without and facts.signals is not None and (facts.profile == "edge" or "signals" in beyond)
    given: dict[str, Any] = {name: value for name, value in shape.items() if value is not None}
    suited = EDGE_DIMS if facts.profile == "edge" else PAPER_DIMS
    return replace(
        suited,
        visual_width=facts.visual_width,
        text_width=facts.text_width,
        patches=facts.patches,
        streamers=streamers,
        use_id="id" not in without,
        use_text="text" not in without,
        use_visual="visual" not in without,
        signals=len(facts.signals.names) if read and facts.signals is not None else 0,
        interest=read,
        **given,
    )
