"""A checkpoint: all that a training run needs to go on as if it had never stopped, in one safetensors file, no pickle.

Weights, Adam's moments and running sums are tensors; the position, the plan and the history are JSON in the file's
header. The position also fixes the order of the data and every random draw: each step seeds its own (`loop`).
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.optim import Adam

from kuaihl.models.atomic import write_atomic
from kuaihl.models.errors import ModelError, Remedy, UsageError
from kuaihl.models.json_text import parse_json
from kuaihl.models.training.plan import TrainingPlan
from kuaihl.models.training.report import EpochReport

if TYPE_CHECKING:
    from torch import Tensor
    from torch.nn import Module
    from torch.optim import Optimizer


_CHECKPOINT_FORMAT = 3
CHECKPOINT_FILE = "checkpoint.safetensors"
_START_OVER = Remedy("start over instead of resuming", {"force": True})


@dataclass(frozen=True)
class Checkpoint:
    """As read: `tensors` by name, all on the CPU, and `facts` as given."""

    file: Path
    tensors: Mapping[str, "Tensor"]
    facts: Mapping[str, Any]


def _save_checkpoint(file: Path, tensors: Mapping[str, "Tensor"], facts: Mapping[str, Any]) -> None:
    """Write both, whole or not at all. Raises ModelError if the file cannot be written."""
    from safetensors.torch import save

    header = {"format": str(_CHECKPOINT_FORMAT), "facts": json.dumps(facts, ensure_ascii=False)}
    data = save({name: part.detach().cpu().contiguous() for name, part in tensors.items()}, metadata=header)
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        write_atomic(file, data)
    except OSError as error:
        raise ModelError(
            f"{file}: cannot be written ({error.strerror}); free some space or choose another place"
        ) from error


def load_checkpoint(file: Path) -> Checkpoint:
    """Read a file of `_save_checkpoint`. Raises ModelError if it is damaged or of another version."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(str(file), framework="pt") as opened:
            header = opened.metadata() or {}
            tensors = {name: opened.get_tensor(name) for name in opened.keys()}  # noqa: SIM118 (no mapping)
        if header.get("format") != str(_CHECKPOINT_FORMAT):
            raise ModelError(
                f"{file}: checkpoint format {header.get('format')}, this kuaihl reads {_CHECKPOINT_FORMAT}"
            )
        return Checkpoint(file, tensors, parse_json(header["facts"]))
    except (OSError, SafetensorError, KeyError, ValueError) as error:
        raise ModelError(f"{file}: no usable checkpoint ({error})", remedy=_START_OVER) from error


def _adam_tensors(network: "Module", adam: "Optimizer") -> "dict[str, Tensor]":
    """Adam's step and moments, named after the parameter they belong to."""
    return {
        f"adam.{kind}.{name}": part
        for name, parameter in network.named_parameters()
        for kind, part in adam.state.get(parameter, {}).items()
    }


def _restore(network: "Module", adam: "Optimizer", checkpoint: Checkpoint) -> None:
    """Put weights and moments back in place. Raises ModelError if they belong to another network."""
    weights = {
        name.removeprefix("network."): part for name, part in checkpoint.tensors.items() if name.startswith("network.")
    }
    expected = network.state_dict()
    if weights.keys() != expected.keys() or any(weights[name].shape != expected[name].shape for name in weights):
        raise ModelError(f"{checkpoint.file}: its weights are of another network", remedy=_START_OVER)
    network.load_state_dict(weights)
    for name, parameter in network.named_parameters():
        moments = {kind: checkpoint.tensors.get(f"adam.{kind}.{name}") for kind in ("step", "exp_avg", "exp_avg_sq")}
        adam.state[parameter] = {
            # Adam counts its steps on the CPU, whatever the device of the weights.
            kind: part if kind == "step" else part.to(parameter.device)
            for kind, part in moments.items()
            if part is not None
        }


@dataclass
class TrainingState:
    """All that changes during training, except weights and moments, which the network and Adam hold."""

    unreported: Tensor  # [TERMS] float64, sums since the last report; on the device, so that no step waits for it
    step: int = 0  # done; it fixes the epoch, the order of the data and every random draw
    unreported_steps: int = 0
    total: float = 0.0  # sum of the totals reported since the last validation
    history: list[EpochReport] = field(default_factory=list)
    best_weights: dict[str, Tensor] = field(default_factory=dict)  # on the CPU
    best_quantiles: dict[str, float] = field(default_factory=dict)  # of that network's validation scores

    def out_of_patience(self, patience: int | None) -> bool:
        """Whether `patience` validations have passed since the best."""
        best = max((place for place, report in enumerate(self.history) if report.best), default=-1)
        return patience is not None and len(self.history) - 1 - best >= patience


def save_state(
    file: Path, state: TrainingState, network: nn.Module, adam: Adam, plan: TrainingPlan, windows: int, scaler: Any
) -> None:
    """Write a checkpoint of everything. `scaler` is the gradient scaler of fp16, else None. Raises ModelError."""
    tensors = {f"network.{name}": part for name, part in network.state_dict().items()}
    tensors |= {f"best.{name}": part for name, part in state.best_weights.items()}
    tensors |= _adam_tensors(network, adam) | {"unreported": state.unreported}
    facts = {
        "plan": asdict(plan),
        "windows": windows,
        "step": state.step,
        "unreported_steps": state.unreported_steps,
        "total": state.total,
        "history": [asdict(epoch) for epoch in state.history],
        "best_quantiles": state.best_quantiles,
        "scaler": scaler and scaler.state_dict(),
    }
    _save_checkpoint(file, tensors, facts)


def load_state(
    file: Path, network: nn.Module, adam: Adam, plan: TrainingPlan, windows: int, scaler: Any, device: torch.device
) -> TrainingState:
    """Return to the state in a checkpoint of the same plan; epochs and patience may be larger than before.

    Raises UsageError if plan or data differ, ModelError if the file is damaged.
    """
    checkpoint = load_checkpoint(file)
    facts = checkpoint.facts
    for name, value in asdict(plan).items():
        before = facts["plan"].get(name)
        if name not in ("epochs", "patience") and before != value:
            what = (
                next((f"{name} {key}" for key in value if before.get(key) != value[key]), name)
                if isinstance(value, dict)
                else name
            )
            raise UsageError(f"{file}: was made with another {what}; resume with the one of before", remedy=_START_OVER)
    if facts["windows"] != windows:
        raise UsageError(
            f"{file}: was made on {facts['windows']} windows, the data set now has {windows}", remedy=_START_OVER
        )
    _restore(network, adam, checkpoint)
    if scaler is not None:
        scaler.load_state_dict(facts["scaler"])
    return TrainingState(
        unreported=checkpoint.tensors["unreported"].to(device),
        step=facts["step"],
        unreported_steps=facts["unreported_steps"],
        total=facts["total"],
        history=[EpochReport(**epoch) for epoch in facts["history"]],
        best_weights={
            name.removeprefix("best."): part for name, part in checkpoint.tensors.items() if name.startswith("best.")
        },
        best_quantiles=facts["best_quantiles"],
    )
