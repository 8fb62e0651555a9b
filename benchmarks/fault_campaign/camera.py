"""A streamer who can be told to misbehave: a process that sends prepared media to an RTMP server as a camera would.

What the camera shows is fixed by the clock: `epoch + m` is the moment of media time m, whoever is watching. The stamps
that go with it are what the faults change.
"""

import time
from contextlib import suppress
from dataclasses import dataclass
from hashlib import blake2b
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import av
from support.rtmp_server import make_broadcast

LENGTH = 120.0  # seconds of prepared media, over and over: longer than any memory of repeated packets
TELLING_BYTES = 64
_RETRY_SECONDS = 0.3


def prepare(folder: Path) -> list[Path]:
    """Two broadcasts of other headers, both as long as LENGTH."""
    made = [folder / f"look{number}.flv" for number in range(2)]
    make_broadcast(made[0], seconds=LENGTH)
    make_broadcast(made[1], seconds=LENGTH, tone=550, size="192x108")
    return made


def digest(packet: "av.Packet[Any]") -> bytes:
    return blake2b(packet, digest_size=12).digest()


def index(paths: list[Path]) -> dict[bytes, float]:
    """Digest to media time, for packets that occur once in all the media."""
    times: dict[bytes, float] = {}
    twice: set[bytes] = set()
    for path in paths:
        for shot in _read(path).shots:
            if shot.packet.size >= TELLING_BYTES:
                key = digest(shot.packet)
                twice |= {key} & times.keys()
                times[key] = shot.time
    return {key: at for key, at in times.items() if key not in twice}


@dataclass(frozen=True)
class Shot:
    """A packet and its media time in seconds."""

    time: float
    packet: Any
    opens: bool  # a picture that can be the first


@dataclass(frozen=True)
class Look:
    """One prepared broadcast; the container stays open, for its streams are templates."""

    container: Any
    shots: list[Shot]


def _read(path: Path) -> Look:
    container = av.open(str(path))
    shots = []
    for packet in container.demux():
        if packet.size and packet.dts is not None:
            opens = packet.stream.type == "video" and packet.is_keyframe
            shots.append(Shot(packet.dts * float(packet.time_base), packet, opens))
    shots = [shot for shot in shots if shot.time < LENGTH]  # the sound goes on into the next round
    return Look(container, sorted(shots, key=lambda shot: shot.time))


class _Camera:
    """The process's state: where in the media it is, and with which stamps it sends."""

    def __init__(self, control: Connection, paths: list[Path], epoch: float) -> None:
        self.control, self.epoch = control, epoch
        self.looks = [_read(path) for path in paths]
        self.look, self.next = self.looks[0], 0  # the next shot, counted through all rounds of the media
        self.url = ""
        self.output: Any = None
        self.streams: dict[str, Any] = {}
        self.offset = 0.0  # stamp less media time
        self.restarts = True  # stamps begin at 0 with each connection
        self.waits = False  # the first shot must be one that opens
        self.silent_until = 0.0  # media time before which nothing is sent
        self.retry_at = 0.0

    def now(self) -> float:
        return time.monotonic() - self.epoch

    def time_of(self, number: int) -> float:
        rounds, rest = divmod(number, len(self.look.shots))
        return rounds * LENGTH + self.look.shots[rest].time

    def skip_to_now(self) -> None:
        """Forget what the camera saw while nothing could be sent."""
        rounds = int(self.now() // LENGTH)
        self.next = rounds * len(self.look.shots)
        while self.time_of(self.next) < self.now():
            self.next += 1
        self.waits = True

    def run(self) -> None:
        while True:
            due = max(self.time_of(self.next), self.silent_until) if self.output else self.retry_at
            if self.control.poll(min(max(due - self.now(), 0.0), 0.5)):
                command, *arguments = self.control.recv()
                if command == "end":
                    self.leave()
                    return
                getattr(self, command)(*arguments)
            elif self.output is None and self.url and self.now() >= self.retry_at:
                self.connect()
            elif self.output is not None and self.now() >= due:
                self.send()

    def publish(self, url: str, look: int, stamp: float | None) -> None:
        """Send to `url`, with stamps from `stamp` on; None: as they would have gone on."""
        self.leave()
        self.url, self.look, self.restarts = url, self.looks[look], stamp is not None
        self.first_stamp = stamp or 0.0
        self.connect()

    def leave(self) -> None:
        self.url = ""
        self.drop()

    def drop(self) -> None:
        output, self.output = self.output, None
        if output is not None:
            with suppress(av.FFmpegError, OSError):
                output.close()

    def connect(self) -> None:
        self.retry_at = self.now() + _RETRY_SECONDS
        try:
            output = av.open(self.url, "w", format="flv", timeout=2.0, options={"flvflags": "no_duration_filesize"})
            self.streams = {
                stream.type: output.add_stream_from_template(stream) for stream in self.look.container.streams
            }
            output.start_encoding()
        except (av.FFmpegError, OSError):
            return
        self.output = output
        self.skip_to_now()

    def send(self) -> None:
        shot = self.look.shots[self.next % len(self.look.shots)]
        at = self.time_of(self.next)
        self.next += 1
        if self.waits:
            if not shot.opens:
                return
            self.waits = False
            if self.restarts:
                self.offset, self.restarts = self.first_stamp - at, False
            self.control.send(at)
        packet = av.Packet(bytes(shot.packet))
        packet.stream, packet.time_base = self.streams[shot.packet.stream.type], shot.packet.time_base
        packet.pts = packet.dts = round((at + self.offset) / float(packet.time_base))
        packet.duration, packet.is_keyframe = shot.packet.duration, shot.packet.is_keyframe
        try:
            self.output.mux_one(packet)
        except (av.FFmpegError, OSError):
            self.drop()
            self.restarts, self.first_stamp = True, 0.0

    def jump(self, seconds: float) -> None:
        """Stamps leap ahead from here on, with no picture missing."""
        self.offset += seconds
        self.waits = True

    def pause(self, seconds: float) -> None:
        """Nothing for a while; the stamps go on as if no time had passed."""
        self.silent_until = self.now() + seconds
        self.offset -= seconds
        while self.time_of(self.next) < self.silent_until:
            self.next += 1
        self.waits = True

    def freeze(self, seconds: float) -> None:
        """Nothing for a while, then all of it at once."""
        self.silent_until = self.now() + seconds


def run_camera(control: Connection, paths: list[Path], epoch: float) -> None:
    """The process: obeys the commands on `control`, and tells on it the media time of every beginning."""
    _Camera(control, paths, epoch).run()
