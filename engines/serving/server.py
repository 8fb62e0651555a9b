"""The server: one model, all rooms, and the API over them, from their start until they are told to end."""

import resource
import secrets
import socket
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

from kuaihl.engines.encoders.scheduler import Scheduler, listeners_for
from kuaihl.engines.runtimes.device import set_threads
from kuaihl.engines.runtimes.shared_step import SharedStep
from kuaihl.engines.scoring.reading import OpenReading, read_here
from kuaihl.engines.serving.access import Allowed, check_source, host_of, parse_allowed
from kuaihl.engines.serving.leftovers import Leftovers
from kuaihl.engines.serving.readers import Readers
from kuaihl.engines.serving.settings import ServeSettings
from kuaihl.engines.sinks.settings import SinkSettings
from kuaihl.models.errors import KuaihlError, UsageError

if TYPE_CHECKING:
    import uvicorn

    from kuaihl.engines.scoring.model import Model
    from kuaihl.engines.serving.hub import Hub
    from kuaihl.engines.serving.metrics import Metrics
    from kuaihl.engines.serving.recordings import Recordings
    from kuaihl.engines.serving.room import House
    from kuaihl.engines.serving.room_spec import RoomSpec
    from kuaihl.engines.serving.rooms import Rooms

_DRAIN_SECONDS = 8.0  # for the rooms; a supervisor often allows 10 in all
_CLOSE_SECONDS = 1  # for answers under way
_STALL_SECONDS = 30.0  # after which a client that takes nothing is let go
_OPEN_FILES = 65_536  # at most; a room takes three, and two per receiver of events
_PATIENCE = 3.0  # seconds that the end of a broadcast waits for receivers; what is left is delivered later


@dataclass(frozen=True)
class _Parts:
    """What the server consists of, before its rooms."""

    model: "Model"
    settings: ServeSettings
    allowed: Allowed
    hub: "Hub"
    metrics: "Metrics"
    scheduler: Scheduler
    readers: Readers
    leftovers: Leftovers
    sinks: SinkSettings
    report: Callable[[str], None]


def serve(model: "Model", settings: ServeSettings, stop: threading.Event, report: Callable[[str], None]) -> None:
    """Serve until `stop` is set. A thread of a room that is inside FFmpeg may be left.

    Raises UsageError if the folder, the port or a setting cannot be used.
    """
    allowed = parse_allowed(settings.allow_host)
    _raise_open_files()
    with _listen(settings.host, settings.port) as listening:
        threads = set_threads(model.settings.threads)
        parts = _make_parts(model, settings, allowed, threads, report)
        set_threads(1)  # of each room: torch would give every one of their threads a pool of its own
        try:
            _serve_rooms(parts, listening, stop)
        except KuaihlError:
            parts.scheduler.close()
            parts.scheduler.join(_CLOSE_SECONDS)
            raise
        finally:
            parts.scheduler.close()
            parts.readers.close()
            set_threads(threads)


def _serve_rooms(parts: _Parts, listening: socket.socket, stop: threading.Event) -> None:
    """As `serve`, with all parts but the rooms."""
    from kuaihl.engines.serving.rooms import Rooms
    from kuaihl.engines.serving.rooms_file import RoomsFile

    settings, report = parts.settings, parts.report
    rooms = Rooms(partial(_make_house, parts), settings.output, most=settings.most_rooms)
    recordings, file = None, None
    try:
        parts.metrics.watch(rooms.all, parts.scheduler)
        recordings = _open_recordings(parts)
        if settings.rooms_file is not None:
            file = RoomsFile(settings.rooms_file, rooms, parts.model.encoders.check_language, report)
        if (number := rooms.restore()) > 0:
            report("1 room goes on" if number == 1 else f"{number} rooms go on")
        going_on = {room.folder for room in rooms.all() if room.folder is not None}
        if recordings is not None:
            going_on |= recordings.folders()
            recordings.start()
        parts.leftovers.start(settings.output, going_on)
        if file is not None:
            file.start()
        server, thread = _start_http(parts, rooms, recordings, listening, stop)
        report(f"serving on http://{_address(listening)}, rooms in {settings.output}")
        stop.wait()
        report("ending: the rooms score what they have read")
        _drain(parts, rooms, recordings, server, thread)
    finally:
        if file is not None:
            file.stop()
        parts.leftovers.stop()
        if recordings is not None:
            recordings.stop()
        rooms.stop()
        rooms.close()


def _make_parts(
    model: "Model", settings: ServeSettings, allowed: Allowed, threads: int, report: Callable[[str], None]
) -> _Parts:
    from kuaihl.engines.serving.hub import Hub
    from kuaihl.engines.serving.metrics import Metrics

    metrics = Metrics()
    patience = min(settings.sinks.patience, _PATIENCE)
    sinks = replace(settings.sinks, patience=patience, reader_patience=patience)
    return _Parts(
        model=replace(model, step=SharedStep(model.step, metrics.observe_stage)),
        settings=settings,
        allowed=allowed,
        hub=Hub(secrets.token_hex(4), metrics.count),
        metrics=metrics,
        scheduler=Scheduler(
            model.encoders,
            max_wait=settings.max_wait,
            listeners=listeners_for(model.device, threads),
            observe=metrics.observe_stage,
        ),
        readers=Readers(settings.rooms_per_reader),
        leftovers=Leftovers(sinks, report),
        sinks=sinks,
        report=report,
    )


def _open_recordings(parts: _Parts) -> "Recordings | None":
    """The recordings of a recorder, if the server has one."""
    from kuaihl.engines.serving.recordings import Desk, Recordings

    root = parts.settings.recordings
    if root is None:
        return None
    desk = Desk(parts.model, parts.scheduler, parts.sinks, ended=parts.leftovers.add, report=parts.report)
    return Recordings(root, parts.settings.output, desk)


def _drain(
    parts: _Parts,
    rooms: "Rooms",
    recordings: "Recordings | None",
    server: "uvicorn.Server",
    thread: threading.Thread,
) -> None:
    """End everything. What is not scored by then is lost, as after a kill."""
    parts.scheduler.hurry()
    rooms.stop()
    if recordings is not None:
        recordings.stop()
    ended = rooms.join(_DRAIN_SECONDS)
    parts.hub.close()
    server.should_exit = True
    thread.join(_CLOSE_SECONDS + 1.0)
    if not ended:
        parts.scheduler.close()
        rooms.join(0.5)
    if recordings is not None and not recordings.join(0.5):
        parts.scheduler.close()  # it goes on after its last segment the next time
        recordings.join(1.0)


def _make_house(parts: _Parts, note: Callable[[], None]) -> "House":
    from kuaihl.engines.serving.room import House

    return House(
        model=parts.model,
        encode=parts.scheduler.encode,
        publish=parts.hub.publish,
        reader=partial(_reader_for, parts),
        sinks=parts.sinks,
        folder=parts.settings.output,
        note=note,
        ended=parts.leftovers.add,
        report=parts.report,
    )


def _reader_for(parts: _Parts, spec: "RoomSpec") -> OpenReading:
    """What opens a room's source, after a check of each connection; what the operator named himself is trusted."""
    allowed = parts.allowed
    if spec.origin != "api":
        allowed = replace(allowed, hosts=allowed.hosts | {host_of(spec.url)})
    if parts.settings.rooms_per_reader:
        return partial(parts.readers.open, allowed=allowed)
    return partial(read_here, guard=partial(check_source, allowed=allowed))


def _start_http(
    parts: _Parts,
    rooms: "Rooms",
    recordings: "Recordings | None",
    listening: socket.socket,
    stop: threading.Event,
) -> "tuple[uvicorn.Server, threading.Thread]":
    import uvicorn

    from kuaihl.engines.serving.app import Service, make_app
    from kuaihl.engines.serving.gate import Gate
    from kuaihl.engines.serving.hooks import hook_routes, recorder_routes

    def why_not_ready() -> str | None:
        if stop.is_set():
            return "the server is ending"
        return "rooms are scored late or without their speech" if parts.scheduler.is_behind else None

    settings = parts.settings
    check_language = parts.model.encoders.check_language
    service = Service(rooms, parts.hub, parts.metrics, parts.allowed, check_language, why_not_ready)
    hooks = [] if settings.pull is None else hook_routes(rooms, settings.pull, settings.grace, parts.report)
    if recordings is not None:
        hooks += recorder_routes(recordings)
    hosts = {settings.host.lower(), "localhost", "127.0.0.1", "::1"}
    config = uvicorn.Config(
        Gate(make_app(service, hooks), settings.token, hosts),
        log_config=None,
        access_log=False,  # it would show the token of hooks
        server_header=False,
        http="h11",
        ws="none",
        lifespan="off",
        timeout_graceful_shutdown=_CLOSE_SECONDS,
    )
    server = uvicorn.Server(config)
    # Outside the main thread it leaves signals to the command.
    thread = threading.Thread(target=server.run, args=([listening],), name="kuaihl-http", daemon=True)
    thread.start()
    return server, thread


def _listen(host: str, port: int) -> socket.socket:
    """A socket that listens. Raises UsageError if the address cannot be used."""
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        listening = socket.create_server((host, port), family=family, backlog=256)
    except (OSError, UnicodeError) as error:
        reason = (getattr(error, "strerror", None) or str(error)).partition(" (while ")[0]
        raise UsageError(f"cannot listen on {host}:{port} ({reason}); choose another address") from error
    if sys.platform == "linux":  # its connections inherit it
        listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, int(_STALL_SECONDS * 1000))
    return listening


def _raise_open_files() -> None:
    """Let this process, and those that it starts, open as many files as the system allows them."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _OPEN_FILES if hard == resource.RLIM_INFINITY else min(hard, _OPEN_FILES)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def _address(listening: socket.socket) -> str:
    host, port = listening.getsockname()[:2]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
