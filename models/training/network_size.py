"""The size and regularisation of a network for a number of labels: for the edge profile. Imports no torch.

A choice of ours, from runs on simulated rooms (docs/training.md). With ten rooms every size is at its best within an
epoch or two; small ones get a little higher and stay there for longer.
"""

from dataclasses import dataclass

PROFILE = "profile"  # the profile's own size, regularised as in the paper
AUTO = "auto"


@dataclass(frozen=True)
class NetworkSize:
    """Shape and regularisation of a network that is trained from scratch."""

    name: str
    least_labels: int  # of the training split, from which on `auto` takes it
    width: int
    layers: int
    heads: int
    dropout: float
    id_dropout: float  # how often the streamer is hidden: a network memorises few rooms by their streamers
    weight_decay: float  # decoupled: the share of each weight removed per step, in learning rates


_SIZES = (
    NetworkSize("small", 0, 64, 1, 2, dropout=0.5, id_dropout=0.5, weight_decay=1.0),
    NetworkSize("medium", 3_000, 128, 2, 4, dropout=0.2, id_dropout=0.3, weight_decay=0.3),
    NetworkSize("large", 30_000, 256, 3, 4, dropout=0.1, id_dropout=0.1, weight_decay=0.0),
)
SIZE_NAMES = (AUTO, PROFILE, *(size.name for size in _SIZES))
LEARNING_RATE = 3e-4  # of Adam, for networks of these sizes


def size_named(name: str, labels: int) -> NetworkSize | None:
    """The size of that name, with `auto` by the number of labels; None for the profile's own."""
    if name == PROFILE:
        return None
    if name == AUTO:
        return [size for size in _SIZES if labels >= size.least_labels][-1]
    return next(size for size in _SIZES if size.name == name)


def validate_every_for(epoch_steps: int) -> int:
    """Four times per epoch, but at most every fifth step."""
    return max(5, epoch_steps // 4)


PATIENCE = 12  # validations without a better tau: three epochs
MOST_EPOCHS = 40  # if patience decides
