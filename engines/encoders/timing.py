"""Where the time goes: seconds spent in each stage of the pipeline, added up over segments and rooms."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field


@dataclass
class StageTimes:
    """Wall seconds by stage, in the order in which stages first ran, and the media time they were spent on."""

    seconds: dict[str, float] = field(default_factory=dict)
    segments: int = 0
    media_seconds: float = 0.0

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Count the time of a `with` block for the stage `name`. Overlapping stages each count in full."""
        start = time.perf_counter()
        try:
            yield
        finally:
            self.seconds[name] = self.seconds.get(name, 0.0) + time.perf_counter() - start

    def shares(self) -> dict[str, float]:
        """Each stage's share of the sum of all stages, in [0, 1]."""
        total = sum(self.seconds.values())
        return {name: spent / total if total else 0.0 for name, spent in self.seconds.items()}

    def report(self) -> list[str]:
        """One readable line per stage: seconds, share, and how many times real time it reaches."""
        shares = self.shares()
        return [
            f"{name:<8} {spent:8.2f} s  {shares[name]:4.0%}  {self.media_seconds / spent:8.0f}x real time"
            for name, spent in self.seconds.items()
            if spent > 0
        ]
