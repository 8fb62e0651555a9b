"""What a server tells Prometheus: rooms, segments, scores, lags, stages and events."""

import time
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, Counter, Histogram
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from kuaihl.engines.serving.room import STATES, Room
from kuaihl.engines.serving.room_events import RoomEvent

if TYPE_CHECKING:
    from kuaihl.engines.encoders.scheduler import Scheduler

_LAGS = (0.1, 0.25, 0.5, 1.0, 2.0, 3.0, 5.0, 7.5, 10.0, 15.0, 20.0, 30.0, 60.0)  # seconds
_STAGES = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)


class Metrics:
    """The counters of one server, in a registry of their own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._segments = Counter("kuaihl_segments", "Segments scored.", registry=self.registry)
        self._lag = Histogram(
            "kuaihl_lag_seconds",
            "From the moment that a segment was complete to its score.",
            buckets=_LAGS,
            registry=self.registry,
        )
        self._stages = Histogram(
            "kuaihl_stage_seconds",
            "One run of a stage: a batch of pictures or words, one segment's speech, one step of the head.",
            ["stage"],
            buckets=_STAGES,
            registry=self.registry,
        )
        self._events = Counter("kuaihl_events", "Faults of streams, and changes of highlights.", ["kind"],
                               registry=self.registry)  # fmt: skip

    def observe_stage(self, stage: str, seconds: float) -> None:
        """Count one run of a stage."""
        self._stages.labels(stage).observe(seconds)

    def count(self, event: RoomEvent) -> None:
        """Count an event."""
        if event.kind == "segment.scored":
            self._segments.inc()
            self._lag.observe(max(time.time() - float(event.data["wall_time"]), 0.0))
        elif event.kind != "run.finished":
            self._events.labels(str(event.data["kind"])).inc()

    def watch(self, rooms: Callable[[], list[Room]], scheduler: "Scheduler") -> None:
        """Also report the rooms and the queues, as they are when somebody asks."""
        self.registry.register(_Present(rooms, scheduler))


class _Present(Collector):
    """Gauges that are read when they are asked for."""

    def __init__(self, rooms: Callable[[], list[Room]], scheduler: "Scheduler") -> None:
        self._rooms, self._scheduler = rooms, scheduler

    def collect(self) -> Iterator[Metric]:
        rooms = self._rooms()
        yield _gauge(
            "kuaihl_rooms",
            "Rooms by state.",
            "state",
            ((state, sum(room.state == state for room in rooms)) for state in STATES),
        )
        live = ((room.spec.id, room.last.score) for room in rooms if room.state == "live" and room.last is not None)
        yield _gauge("kuaihl_score", "The last score of a room that is live.", "room", live)
        yield _gauge("kuaihl_queue_depth", "Segments that wait.", "stage", self._scheduler.depths().items())


def _gauge(name: str, help_text: str, label: str, values: Iterable[tuple[str, float]]) -> Metric:
    family = GaugeMetricFamily(name, help_text, labels=[label])
    for one, value in values:
        family.add_metric([one], value)
    return family
