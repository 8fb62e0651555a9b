"""Live: an RTMP stream that is broken in every way comes back, whole and on the wall clock.

A camera process sends to a real nginx, a gate process stands between nginx and the viewer, and this process is the
viewer: ingest and segmenter, without models. Each packet's bytes tell when the camera saw it, so that every figure is
measured against the camera and not against the stamps.
"""

import itertools
import math
import multiprocessing
import random
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

from support.rtmp_server import RtmpServer, rtmp_server

from fault_campaign.camera import LENGTH, TELLING_BYTES, digest, index, prepare, run_camera
from fault_campaign.gate import run_gate
from fault_campaign.result import Figure, Plan, Result
from kuaihl.engines.ingest.live import ReconnectPolicy, live_packets
from kuaihl.engines.ingest.packets import TimedPacket
from kuaihl.engines.runtimes.heap import give_back_freed_memory
from kuaihl.engines.segmenter.segmenter import segments
from kuaihl.engines.types import Event

SEGMENT_SECONDS = 2.0
TIMEOUT = 2.0  # seconds of silence after which the viewer gives a connection up
SETTLED_SECONDS = 2.0  # of media after a fault, before it is judged and the next one comes
BACK_SECONDS = 40.0  # the longest wait for a return
WARM_FAULTS, WARM_SHARE = 10, 0.25  # whichever is later: by then caches and allocators have filled
REST_SECONDS = 10.0
MAX_DRIFT, MAX_LOST = 0.5, 1.0  # seconds
MAX_GROWTH, MAX_THREADS = 8.0, 2.0  # MB; threads: a decoder of pictures has two, and the last one may still be there


@dataclass(frozen=True)
class Seen:
    """A packet that came out: the camera's time of it, the stream's time, and when it came."""

    seen_at: float
    time: float
    at: float


@dataclass
class Viewer:
    """The live stream as it comes out, on a thread of its own."""

    url: str
    times: dict[bytes, float]  # digest to media time within a round
    epoch: float
    recent: deque[Seen] = field(default_factory=lambda: deque(maxlen=6000))
    events: Counter[str] = field(default_factory=Counter)
    twice: int = 0
    indices: list[int] = field(default_factory=list)
    stop: threading.Event = field(default_factory=threading.Event)
    failure: str = ""

    def start(self) -> threading.Thread:
        thread = threading.Thread(target=self.run, name="viewer", daemon=True)
        thread.start()
        return thread

    def run(self) -> None:
        try:
            stream = live_packets(self.url, timeout=TIMEOUT, policy=ReconnectPolicy(), stop=self.stop)
            for segment in segments(self.watched(stream), segment_seconds=SEGMENT_SECONDS):
                self.indices.append(segment.index)
                give_back_freed_memory()  # as the encoders' stage does after each batch
        except Exception as error:  # whatever it is, it ends the campaign and is told
            self.failure = f"{type(error).__name__}: {error}"

    def watched(self, stream: Iterator[TimedPacket | Event]) -> Iterator[TimedPacket | Event]:
        known: deque[tuple[str, float]] = deque(maxlen=8000)
        held: set[tuple[str, float]] = set()
        for item in stream:
            if isinstance(item, Event):
                self.events[item.kind] += 1
            elif item.packet.size >= TELLING_BYTES and (at := self.times.get(digest(item.packet))) is not None:
                now = time.monotonic()
                at += LENGTH * round((now - self.epoch - at) / LENGTH)  # a packet is never half a round old
                key = (item.kind, at)
                self.twice += key in held
                if len(known) == known.maxlen:
                    held.discard(known[0])
                known.append(key)
                held.add(key)
                self.recent.append(Seen(at, item.decode_time, now))
            yield item


@dataclass
class Stage:
    """All that a fault can act on."""

    server: RtmpServer
    camera: Any  # the ends of the pipes to the two processes
    gate: Any
    epoch: float
    chance: random.Random
    look: int = 0

    def wait(self, low: float, high: float) -> float:
        seconds = self.chance.uniform(low, high)
        time.sleep(seconds)
        return seconds

    def publish(self, stamp: float | None) -> None:
        self.camera.send(("publish", self.server.url("room"), self.look, stamp))

    def began(self) -> float:
        """The media time of the camera's latest beginning."""
        at = -1.0
        while self.camera.poll(0.0 if at >= 0 else 10.0):
            at = self.camera.recv()
        return at


def kill_server(stage: Stage) -> None:
    stage.server.kill()
    stage.wait(0.3, 4.0)
    stage.server.start()
    stage.began()


def reset_connection(stage: Stage) -> None:
    stage.gate.send(("reset",))


def close_connection(stage: Stage) -> None:
    stage.gate.send(("close",))


def refuse_for_a_while(stage: Stage) -> None:
    stage.gate.send(("refuse", True))
    stage.wait(1.0, 6.0)
    stage.gate.send(("refuse", False))


def darken_briefly(stage: Stage) -> None:
    stage.gate.send(("darken", True))
    stage.wait(0.5, TIMEOUT - 0.5)
    stage.gate.send(("darken", False))


def darken_for_long(stage: Stage) -> None:
    stage.gate.send(("darken", True))
    stage.wait(TIMEOUT + 1.0, TIMEOUT + 6.0)
    stage.gate.send(("darken", False))


def restart_stamps(stage: Stage) -> None:
    """Within the viewer's connection: nginx keeps it while publishers change."""
    stage.camera.send(("leave",))
    stage.wait(0.0, TIMEOUT - 0.5)
    stage.publish(0.0)
    stage.began()


def restart_stamps_unseen(stage: Stage) -> None:
    stage.gate.send(("refuse", True))
    stage.camera.send(("leave",))
    stage.wait(0.5, 4.0)
    stage.publish(0.0)
    stage.began()
    stage.gate.send(("refuse", False))


def restart_stamps_twice(stage: Stage) -> None:
    """The second time after so little media that the stamps hardly step back."""
    restart_stamps(stage)
    stage.wait(0.1, 1.5)
    restart_stamps(stage)


def publish_again_ahead(stage: Stage) -> None:
    stage.camera.send(("leave",))
    stage.wait(0.0, TIMEOUT - 0.5)
    stage.publish(stage.chance.uniform(2_000.0, 9_000.0))
    stage.began()


def jump_ahead(stage: Stage) -> None:
    stage.camera.send(("jump", stage.chance.choice((3.0, 20.0, 190.0, 290.0, 1000.0))))
    stage.began()


def pause(stage: Stage) -> None:
    """The stamps go on afterwards as if nothing had been."""
    stage.camera.send(("pause", stage.chance.uniform(1.0, TIMEOUT - 0.4)))
    stage.began()


def stay_away(stage: Stage) -> None:
    """The publisher is away for longer than the viewer waits."""
    stage.camera.send(("leave",))
    stage.wait(TIMEOUT + 1.0, TIMEOUT + 7.0)
    stage.publish(stage.chance.choice((0.0, None)))
    stage.began()


def freeze(stage: Stage) -> None:
    """Then all of the missing comes at once."""
    seconds = stage.chance.uniform(0.5, TIMEOUT - 0.5)
    stage.camera.send(("freeze", seconds))
    time.sleep(seconds)


def change_header(stage: Stage) -> None:
    stage.look = 1 - stage.look
    stage.publish(stage.chance.choice((0.0, None)))
    stage.began()


def throttle(stage: Stage) -> None:
    stage.gate.send(("throttle", 6_000))  # bytes per second, well below the stream's
    stage.wait(1.0, 4.0)
    stage.gate.send(("throttle", None))


FAULTS: tuple[Callable[[Stage], None], ...] = (
    kill_server, reset_connection, close_connection, refuse_for_a_while, darken_briefly, darken_for_long,
    restart_stamps, restart_stamps_twice, restart_stamps_unseen, publish_again_ahead, jump_ahead, pause, stay_away,
    freeze, change_header, throttle,
)  # fmt: skip


@dataclass(frozen=True)
class Outcome:
    """One fault: seconds of media lost that the server had, and the clock's distance from the wall clock."""

    fault: str
    is_back: bool
    lost: float
    drift: float


def run(plan: Plan) -> Result:
    """Force `plan.faults` live faults, kind after kind, each set of kinds in an order of its own."""
    chance = random.Random(plan.seed)
    kinds = [kind for _ in range(plan.faults) for kind in chance.sample(FAULTS, len(FAULTS))][: plan.faults]
    paths = prepare(plan.folder)
    times = index(paths)
    with rtmp_server(plan.folder) as server:
        epoch = time.monotonic()
        camera, camera_process = _spawn(run_camera, paths, epoch)
        gate, gate_process = _spawn(run_gate, server.port)
        try:
            url = server.url("room").replace(f":{server.port}/", f":{gate.recv()}/")
            stage = Stage(server, camera, gate, epoch, chance)
            stage.publish(0.0)
            stage.began()
            return _force(kinds, stage, Viewer(url, times, epoch))
        finally:
            for control, process in ((camera, camera_process), (gate, gate_process)):
                control.send(("end",))
                process.join(5)
                process.kill()


def _spawn(target: Callable[..., None], *arguments: object) -> tuple[Any, Any]:
    """A process with a pipe to it."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=target, args=(theirs, *arguments), daemon=True)
    process.start()
    return ours, process


def _force(kinds: list[Callable[[Stage], None]], stage: Stage, viewer: Viewer) -> Result:
    thread = viewer.start()
    _wait_for(viewer, time.monotonic() - stage.epoch + SETTLED_SECONDS + 2.0)
    base = _lag(viewer)
    outcomes: list[Outcome] = []
    memory = threads = 0.0
    for number, kind in enumerate(kinds, start=1):
        outcomes.append(_try_one(kind, stage, viewer, base))
        print(_words(number, outcomes[-1]), flush=True)
        if number == min(max(WARM_FAULTS, math.ceil(len(kinds) * WARM_SHARE)), len(kinds)):
            memory, threads = _memory(), _threads()
        if not thread.is_alive():
            break
    memory_end, threads_end = _memory(), _threads()
    viewer.stop.set()
    thread.join(20)
    return _judge(outcomes, viewer, (memory, memory_end), (threads, threads_end))


def _try_one(kind: Callable[[Stage], None], stage: Stage, viewer: Viewer, base: float) -> Outcome:
    while stage.camera.poll():
        stage.camera.recv()
    forced_at = time.monotonic() - stage.epoch
    kind(stage)
    over_at = time.monotonic() - stage.epoch
    is_back = _wait_for(viewer, over_at + SETTLED_SECONDS)
    time.sleep(0.5)
    return Outcome(kind.__name__, is_back, _lost(viewer, forced_at, over_at), _lag(viewer) - base)


def _wait_for(viewer: Viewer, until: float) -> bool:
    """Whether what the camera saw at `until` comes out in time."""
    deadline = time.monotonic() + BACK_SECONDS
    while time.monotonic() < deadline:
        if viewer.recent and viewer.recent[-1].seen_at >= until:
            return True
        time.sleep(0.05)
    return False


def _lag(viewer: Viewer) -> float:
    """How far the stream's clock is ahead of the camera's, in the last packets."""
    last = list(viewer.recent)[-40:]
    return median(seen.time - seen.seen_at for seen in last) if last else 0.0


def _lost(viewer: Viewer, forced_at: float, over_at: float) -> float:
    """Seconds of media that were sent before the fault or after it, and did not come out."""
    seen = sorted(one.seen_at for one in list(viewer.recent) if one.seen_at > forced_at - SETTLED_SECONDS)
    holes = [
        (a, b) for a, b in itertools.pairwise(seen) if b - a > 0.25
    ]  # packets that cannot be told leave small ones
    return sum(max(b - a - max(min(b, over_at) - max(a, forced_at), 0.0), 0.0) for a, b in holes)


def _memory() -> float:
    """Resident memory in MB of 1,000,000 bytes."""
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmRSS"))
    return int(line.split()[1]) * 1024 / 1e6


def _threads() -> int:
    """The fewest within REST_SECONDS: an attempt that was given up ends with its own time-out."""
    counts = []
    for _ in range(round(REST_SECONDS)):
        counts.append(len(list(Path("/proc/self/task").iterdir())))
        time.sleep(1.0)
    return min(counts)


def _words(number: int, one: Outcome) -> str:
    back = "back" if one.is_back else "NOT BACK"
    return f"{number:4d} {one.fault:22s} {back}, lost {one.lost:4.1f} s, drift {one.drift:+5.2f} s, {_memory():.0f} MB"


def _judge(
    outcomes: list[Outcome], viewer: Viewer, memory: tuple[float, float], threads: tuple[float, float]
) -> Result:
    expected = range(len(viewer.indices))
    failures = [f"{one.fault}: not back" for one in outcomes if not one.is_back]
    failures += [viewer.failure] if viewer.failure else []
    drifts, lost = [abs(one.drift) for one in outcomes], [one.lost for one in outcomes]
    figures = (
        Figure("segments", len(viewer.indices)),
        Figure("segment numbers missing or twice", len(set(viewer.indices) ^ set(expected)), "", 0),
        Figure("seconds lost that the server had, most per fault", round(max(lost), 2), "s"),
        Figure("seconds lost that the server had, median", round(median(lost), 2), "s"),
        Figure(
            "segments lost that the server had, beyond 1 s per fault",
            sum(int(max(one - MAX_LOST, 0.0) / SEGMENT_SECONDS) for one in lost),
            "",
            0,
        ),
        Figure("packets twice", viewer.twice, "", 0),
        Figure("drift, most", round(max(drifts), 2), "s", MAX_DRIFT),
        Figure("drift, median", round(median(drifts), 2), "s"),
        Figure("drift at the end", round(drifts[-1], 2), "s", MAX_DRIFT),
        Figure("memory once warm", round(memory[0], 1), "MB"),
        Figure("memory at the end", round(memory[1], 1), "MB", round(memory[0] + MAX_GROWTH, 1)),
        Figure("threads once warm", threads[0]),
        Figure("threads at the end", threads[1], "", threads[0] + MAX_THREADS),
        *(Figure(f"events: {kind}", count) for kind, count in sorted(viewer.events.items())),
    )
    return Result(len(outcomes), sum(one.is_back for one in outcomes), figures, tuple(failures))
