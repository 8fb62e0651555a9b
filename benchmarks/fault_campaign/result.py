"""The contract of a part: a module of this folder with `run(plan: Plan) -> Result`. Its first line is shown.

A part forces `plan.faults` faults, keeps its files in `plan.folder`, and draws all chance from `plan.seed`.
"""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Plan:
    """What a part is asked to do."""

    faults: int
    seed: int
    folder: Path  # empty, and removed afterwards


@dataclass(frozen=True)
class Figure:
    """One measured quantity, and the limit it must not pass; None if it is only told."""

    name: str
    value: float
    unit: str = ""
    limit: float | None = None

    @property
    def kept(self) -> bool:
        return self.limit is None or self.value <= self.limit


@dataclass(frozen=True)
class Result:
    """What a part found: how many faults it forced, how many were survived, its figures, a line per failure."""

    tried: int
    survived: int
    figures: tuple[Figure, ...] = ()
    failures: tuple[str, ...] = ()

    @property
    def passed(self) -> bool:
        return self.tried == self.survived and not self.failures and all(figure.kept for figure in self.figures)
