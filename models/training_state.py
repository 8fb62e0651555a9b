"""Where a training run stands, step, history and best weights, and how that goes to a checkpoint and comes back."""

from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Adam

from kuaihl.models.checkpoint import adam_tensors, load_checkpoint, restore, save_checkpoint
from kuaihl.models.errors import UsageError
from kuaihl.models.training_plan import TrainingPlan
from kuaihl.models.training_report import EpochReport


@dataclass
class TrainingState:
    """All that changes while training, but for weights and moments, which the network and Adam hold."""

    unreported: Tensor  # [TERMS] float64, sums since the last report; on the device, so that no step waits for it
    step: int = 0  # done; it tells the epoch, the order of the data and every random draw
    unreported_steps: int = 0
    total: float = 0.0  # sum of the totals reported since the last validation
    history: list[EpochReport] = field(default_factory=list)
    best_weights: dict[str, Tensor] = field(default_factory=dict)  # on the CPU
    best_quantiles: dict[str, float] = field(default_factory=dict)  # of that network's validation scores

    def out_of_patience(self, patience: int | None) -> bool:
        """Whether so many validations have passed since the best."""
        best = max((place for place, report in enumerate(self.history) if report.best), default=-1)
        return patience is not None and len(self.history) - 1 - best >= patience


def save_state(
    file: Path, state: TrainingState, network: nn.Module, adam: Adam, plan: TrainingPlan, windows: int, scaler: Any
) -> None:
    """Write a checkpoint of it all. `scaler` is the gradient scaler of fp16, else None. Raises ModelError."""
    tensors = {f"network.{name}": part for name, part in network.state_dict().items()}
    tensors |= {f"best.{name}": part for name, part in state.best_weights.items()}
    tensors |= adam_tensors(network, adam) | {"unreported": state.unreported}
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
    save_checkpoint(file, tensors, facts)


def load_state(
    file: Path, network: nn.Module, adam: Adam, plan: TrainingPlan, windows: int, scaler: Any, device: torch.device
) -> TrainingState:
    """Go back to where a checkpoint of the same plan stood; more epochs or patience may be asked for than before.

    Raises UsageError where plan or data are others, ModelError where the file is damaged.
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
            raise UsageError(
                f"{file}: was made with another {what}; resume with the options of before, or start over with --force"
            )
    if facts["windows"] != windows:
        raise UsageError(
            f"{file}: was made on {facts['windows']} windows, the data set now has {windows}; start over with --force"
        )
    restore(network, adam, checkpoint)
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
