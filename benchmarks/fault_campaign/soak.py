"""Soak: one server follows 50 rooms while a publisher is killed every ten seconds, and each comes back.

The rooms come and go by the hooks of a real nginx. A webhook receives the events of all rooms, and must have been told
what the run folders hold, once. Each kill must be an event of its room, and no room may begin another run.
"""

import json
import random
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from serving_rooms.server import Server
from support.event_receiver import Receiver, event_receiver
from support.paths import EXAMPLES
from support.rtmp_server import HookedServer, free_port

from fault_campaign.result import Figure, Plan, Result

ROOMS = 50
SEGMENT_SECONDS = 30.0
EVERY_SECONDS = 10.0
LONGEST_AWAY = 15.0  # below the server's grace of 20 s
ON_AIR_SECONDS = 5.0  # before which nobody is killed again: two kills in a row would last for longer than the grace
NEAR_SECONDS = 3.0  # between a kill and the time of its event
_RECENT = 5  # segments: one may have come late, but hardly all
END_SECONDS = 60.0  # within which the rooms have ended once their publishers have left
MAX_GROWTH, MAX_THREADS = 0.05, 10.0  # of memory, as a share; threads
OPTIONS = ("--asr", "none", "--threads", "1")


@dataclass
class Broadcasts:
    """Fifty publishers, and which of them were killed when."""

    server: HookedServer
    chance: random.Random
    publishing: dict[str, Any] = field(default_factory=dict)  # the process of each room's publisher
    returns: dict[str, float] = field(default_factory=dict)  # the moment at which a killed one comes back
    began: dict[str, float] = field(default_factory=dict)  # the moment at which each one came, or came back
    kills: list[tuple[str, float]] = field(default_factory=list)  # the room, and the wall clock

    def publish(self, name: str) -> None:
        self.publishing[name] = self.server.publish(EXAMPLES / "demo.flv", name, "hooked")
        self.began[name] = time.monotonic()

    def kill_one(self) -> None:
        """Any one that has been on air for a while."""
        latest = time.monotonic() - ON_AIR_SECONDS
        on_air = {name for name, began in self.began.items() if began <= latest}
        name = self.chance.choice(sorted(on_air - self.returns.keys()))
        self.publishing[name].kill()
        self.publishing[name].wait()
        self.kills.append((f"hooked__{name}", time.time()))
        self.returns[name] = time.monotonic() + self.chance.uniform(1.0, LONGEST_AWAY)

    def wait_until(self, deadline: float) -> None:
        """Let those come back whose time it is."""
        while (now := time.monotonic()) < deadline:
            for name in [name for name, at in self.returns.items() if at <= now]:
                del self.returns[name]
                self.publish(name)
            time.sleep(min(0.1, deadline - now))


@dataclass(frozen=True)
class Load:
    """What the server took at one moment."""

    memory_mb: float  # without files: the share of a library changes as other processes come and go
    threads: int


def run(plan: Plan) -> Result:
    """Kill `plan.faults` publishers, one every ten seconds."""
    port = free_port()
    with event_receiver() as told:
        options = [*OPTIONS, "--pull", f"rtmp://127.0.0.1:{port}/{{app}}/{{stream}}", "--webhook", told.url]
        server = Server(plan.folder / "rooms", options)
        nginx = HookedServer(plan.folder, f"http://127.0.0.1:{server.port}/hooks/nginx-rtmp")
        nginx.port = port
        try:
            nginx.start()
            broadcasts = Broadcasts(nginx, random.Random(plan.seed))
            loads = _soak(broadcasts, server, plan.faults)
            live = sum(room["state"] == "live" for room in server.get("/rooms")["rooms"])
            ended_at = time.time()
            for publisher in broadcasts.publishing.values():
                publisher.terminate()
            _wait_for_the_end(server)
        finally:
            nginx.stop()
            server.stop()
        return _judge(plan.folder / "rooms", broadcasts.kills, told, loads, live, ended_at)


def _soak(broadcasts: Broadcasts, server: Server, faults: int) -> list[Load]:
    """The loads, one per kill."""
    began, loads = time.monotonic(), []
    for number in range(ROOMS):
        broadcasts.wait_until(began + number * SEGMENT_SECONDS / ROOMS)
        broadcasts.publish(f"r{number}")
    began += 2 * SEGMENT_SECONDS
    for number in range(faults):
        broadcasts.wait_until(began + number * EVERY_SECONDS)
        broadcasts.kill_one()
        loads.append(Load(server.memory_mb("Pss_Anon"), server.threads()))
        print(
            f"{number + 1:4d} kills, {loads[-1].memory_mb:6.0f} MB, {loads[-1].threads} threads, "
            f"{len(server.events)} events",
            flush=True,
        )
    broadcasts.wait_until(time.monotonic() + LONGEST_AWAY + SEGMENT_SECONDS)
    return loads


def _wait_for_the_end(server: Server) -> None:
    deadline = time.monotonic() + END_SECONDS
    while time.monotonic() < deadline and any(room["state"] != "ended" for room in server.get("/rooms")["rooms"]):
        time.sleep(0.5)


@dataclass
class Found:
    """What all run folders and all events together say."""

    segments: int = 0
    missing: int = 0
    twice: int = 0
    short: int = 0  # rooms whose last segment was not that of the end
    runs: int = 0
    unseen: int = 0  # kills without an event
    kinds: Counter[str] = field(default_factory=Counter)
    untold: int = 0
    told_wrongly: int = 0
    failures: list[str] = field(default_factory=list)


def _judge(
    folder: Path, kills: list[tuple[str, float]], told: Receiver, loads: list[Load], live: int, ended_at: float
) -> Result:
    found, rooms = Found(), sorted(one for one in folder.iterdir() if one.name.startswith("hooked__"))
    expected: Counter[tuple[str, str, object]] = Counter()
    for room in rooms:
        for run_folder in (one for one in room.iterdir() if (one / "scores.jsonl").exists()):
            found.runs += 1
            scores, events = (_lines(run_folder / name) for name in ("scores.jsonl", "events.jsonl"))
            _count(found, room.name, scores, events, [at for name, at in kills if name == room.name], ended_at)
            expected.update(_to_be_told(room.name, scores, events))
    received = Counter(_key(event) for event in told.taken)
    found.untold = sum((expected - received).values())
    found.told_wrongly = sum((received - expected).values())
    ids = Counter(event["id"] for event in told.taken)
    quarter = max(len(loads) // 4, 1)
    warm, last = _memory(loads[quarter : 2 * quarter]), _memory(loads[-quarter:])
    figures = (
        Figure("rooms live after the last kill", live),
        Figure("rooms lost", ROOMS - min(live, len(rooms)), "", 0),
        Figure("runs beyond one per room", found.runs - ROOMS, "", 0),
        Figure("segments", found.segments),
        Figure("segment numbers missing", found.missing, "", 0),
        Figure("segment numbers twice", found.twice, "", 0),
        Figure("rooms whose scores end early", found.short, "", 0),
        Figure("kills without an event in their room", found.unseen, "", 0),
        *(Figure(f"events: {kind}", count) for kind, count in sorted(found.kinds.items())),
        Figure("events told to the webhook", len(told.taken)),
        Figure("events not told", found.untold, "", 0),
        Figure("events told that are in no run folder", found.told_wrongly, "", 0),
        Figure("ids told twice", sum(count - 1 for count in ids.values()), "", 0),
        Figure("memory once warm, at rest", round(warm[0], 1), "MB"),
        Figure("memory at the end, at rest", round(last[0], 1), "MB", round(warm[0] * (1 + MAX_GROWTH), 1)),
        Figure("memory once warm, at most", round(warm[1], 1), "MB"),
        Figure("memory at the end, at most", round(last[1], 1), "MB", round(warm[1] * (1 + MAX_GROWTH), 1)),
        Figure("threads once warm", loads[quarter].threads),
        Figure("threads at the end, fewest of the last ten", min(one.threads for one in loads[-10:]), "",
               max(one.threads for one in loads[quarter : 2 * quarter]) + MAX_THREADS),
    )  # fmt: skip
    return Result(len(kills), len(kills) - found.unseen, figures, tuple(found.failures))


def _count(
    found: Found,
    room: str,
    scores: list[dict[str, Any]],
    events: list[dict[str, Any]],
    kills: list[float],
    ended_at: float,
) -> None:
    numbers = [line["segment"] for line in scores]
    found.segments += len(numbers)
    found.twice += len(numbers) - len(set(numbers))
    found.missing += len(set(range(numbers[0], numbers[-1] + 1)) - set(numbers)) + numbers[0]
    began = _zero_of(scores, ended_at)
    if scores[-1]["end"] < ended_at - began - NEAR_SECONDS:
        found.short += 1
        there = f"{scores[-1]['end']:.1f} s of {ended_at - began:.1f}"
        found.failures.append(f"{room}: ends at {there}, kills at {[round(at - began, 1) for at in kills]}")
    faults = [one for one in events if "time" in one]
    found.kinds.update(one["kind"] for one in events)
    for at in kills:
        place = at - _zero_of(scores, at)
        near = (
            one
            for one in faults
            if one["kind"] != "eof"
            and one["time"] - NEAR_SECONDS <= place <= (one.get("until") or one["time"]) + NEAR_SECONDS
        )
        if next(near, None) is None:
            found.unseen += 1
            found.failures.append(f"{room}: a kill at {place:.1f} s without an event")


def _zero_of(scores: list[dict[str, Any]], at: float) -> float:
    """The moment of the room's 0 s, as its latest segments before `at` show it: some come late, as the first does."""
    before = [line for line in scores if line["wall_time"] < at] or scores[:1]
    return min(line["wall_time"] - line["end"] for line in before[-_RECENT:])


def _memory(loads: list[Load]) -> tuple[float, float]:
    """At rest and at most, in MB: the limits of the lowest and the highest tenth.

    A batch in work takes tens of MB, in about half of all moments: a median would be with it or without it by chance.
    """
    found = sorted(load.memory_mb for load in loads)
    return found[len(found) // 10], found[-1 - len(found) // 10]


def _lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()] if path.exists() else []


def _to_be_told(room: str, scores: list[dict[str, Any]], events: list[dict[str, Any]]) -> list[tuple[str, str, object]]:
    """The events that a run folder calls for."""
    keys: list[tuple[str, str, object]] = [(room, "segment.scored", line["segment"]) for line in scores]
    for one in events:
        if one["kind"].startswith("highlight_"):
            keys.append((room, one["kind"].replace("_", "."), one["start"]))
        elif one["kind"] != "delivery":
            keys.append((room, f"stream.event {one['kind']}", one["time"]))
    return [*keys, (room, "run.finished", None)]


def _key(event: dict[str, Any]) -> tuple[str, str, object]:
    kind, data = event["type"].removeprefix("kuaihl."), event["data"]
    if kind == "stream.event":
        return data["room"], f"{kind} {data['kind']}", data["time"]
    place = {"segment.scored": "segment", "run.finished": ""}.get(kind, "start")
    return data["room"], kind, data.get(place)
