"""The server: one model, all rooms, and the API over them, from their start until they are told to end."""

import secrets
import socket
import sys
import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from kuaihl.engines.encoders.scheduler import Scheduler, listeners_for
from kuaihl.engines.runtimes.device import set_threads
from kuaihl.engines.runtimes.shared_step import SharedStep
from kuaihl.engines.serving.access import Allowed, check_source, host_of, parse_allowed
from kuaihl.engines.serving.leftovers import Leftovers
from kuaihl.engines.serving.settings import ServeSettings
from kuaihl.engines.sinks.settings import SinkSettings
from kuaihl.models.errors import KuaihlError, UsageError

if TYPE_CHECKING:
    import uvicorn

    from kuaihl.engines.ingest.source import Guard
    from kuaihl.engines.scoring.model import Model
    from kuaihl.engines.serving.hub import Hub, Sink
    from kuaihl.engines.serving.metrics import Metrics
    from kuaihl.engines.serving.recordings import Recordings
    from kuaihl.engines.serving.room import House
    from kuaihl.engines.serving.room_spec import RoomSpec
    from kuaihl.engines.serving.rooms import Rooms

_SWITCH_SECONDS = 5e-4  # for which a room's thread keeps Python's lock from the encoders; 5 ms is the usual
_DRAIN_SECONDS = 8.0  # for the rooms; a supervisor often allows 10 in all
_CLOSE_SECONDS = 1  # for answers under way
_PATIENCE = 3.0  # seconds that the end of a broadcast waits for receivers; what is left is delivered later


def serve(
    model: "Model",
    settings: ServeSettings,
    stop: threading.Event,
    report: Callable[[str], None],
    sinks: "Sequence[Sink]" = (),
) -> bool:
    """Serve until `stop` is set; whether no thread of a room is left then. `sinks` are told every event of every room.

    Raises UsageError if the folder, the port or a setting cannot be used.
    """
    from kuaihl.engines.serving.hub import Hub
    from kuaihl.engines.serving.metrics import Metrics
    from kuaihl.engines.serving.rooms import Rooms
    from kuaihl.engines.serving.rooms_file import RoomsFile

    allowed = parse_allowed(settings.allow_host)
    listening = _listen(settings.host, settings.port)
    metrics = Metrics()
    hub = Hub(secrets.token_hex(4), (metrics.count, *sinks))
    threads = set_threads(model.settings.threads)
    scheduler = Scheduler(
        model.encoders,
        max_wait=settings.max_wait,
        listeners=listeners_for(model.device, threads),
        observe=metrics.observe_stage,
    )
    told = replace(settings.sinks, patience=min(settings.sinks.patience, _PATIENCE))
    leftovers = Leftovers(told, report)
    shared = replace(model, step=SharedStep(model.step, metrics.observe_stage))
    set_threads(1)  # of each room: torch would give every one of their threads a pool of its own
    usual = sys.getswitchinterval()
    sys.setswitchinterval(_SWITCH_SECONDS)
    try:
        rooms = Rooms(
            lambda note: _make_house(shared, settings, allowed, scheduler, hub, told, leftovers, note, report),
            settings.output,
            most=settings.most_rooms,
        )
    except KuaihlError:
        listening.close()
        scheduler.close()
        set_threads(threads)
        sys.setswitchinterval(usual)
        raise
    metrics.watch(rooms.all, scheduler)
    recordings = _open_recordings(settings, shared, scheduler, told, leftovers, report)
    file = RoomsFile(settings.rooms_file, rooms, report) if settings.rooms_file is not None else None
    server: uvicorn.Server | None = None
    try:
        if (number := rooms.restore()) > 0:
            report(f"{number} rooms go on")
        going_on = {room.folder for room in rooms.all() if room.folder is not None}
        if recordings is not None:
            going_on |= recordings.folders()
            recordings.start()
        leftovers.start(settings.output, going_on)
        if file is not None:
            file.start()
        server, thread = _start_http(
            settings, allowed, rooms, recordings, hub, metrics, scheduler, listening, stop, report
        )
        report(f"serving on http://{_address(listening)}, rooms in {settings.output}")
        stop.wait()
        report("ending: the rooms score what they have read")
        return _drain(rooms, recordings, scheduler, hub, server, thread)
    finally:
        if file is not None:
            file.stop()
        leftovers.stop()
        if recordings is not None:
            recordings.stop()
        rooms.stop()
        scheduler.close()
        rooms.close()
        listening.close()
        set_threads(threads)
        sys.setswitchinterval(usual)


def _open_recordings(
    settings: ServeSettings,
    model: "Model",
    scheduler: Scheduler,
    told: SinkSettings,
    leftovers: Leftovers,
    report: Callable[[str], None],
) -> "Recordings | None":
    """The recordings of a recorder, if the server has one."""
    from kuaihl.engines.serving.recordings import Desk, Recordings

    if settings.recordings is None:
        return None
    desk = Desk(model=model, scheduler=scheduler, sinks=told, ended=leftovers.add, report=report)
    return Recordings(settings.recordings, settings.output, desk)


def _drain(
    rooms: "Rooms",
    recordings: "Recordings | None",
    scheduler: Scheduler,
    hub: "Hub",
    server: "uvicorn.Server",
    thread: threading.Thread,
) -> bool:
    """End everything; whether no thread of a room is left. What is not scored by then is lost, as after a kill."""
    scheduler.hurry()
    rooms.stop()
    if recordings is not None:
        recordings.stop()
    ended = rooms.join(_DRAIN_SECONDS)
    hub.close()
    server.should_exit = True
    thread.join(_CLOSE_SECONDS + 1.0)
    if not ended:
        scheduler.close()
        ended = rooms.join(0.5)
    if recordings is not None and not recordings.join(0.5):
        scheduler.close()  # it goes on after its last segment the next time
        ended = recordings.join(1.0) and ended
    return ended


def _make_house(
    model: "Model",
    settings: ServeSettings,
    allowed: Allowed,
    scheduler: Scheduler,
    hub: "Hub",
    told: SinkSettings,
    leftovers: Leftovers,
    note: Callable[[], None],
    report: Callable[[str], None],
) -> "House":
    from kuaihl.engines.serving.room import House

    return House(
        model=model,
        encode=scheduler.encode,
        publish=hub.publish,
        guard=lambda spec: _guard_for(spec, allowed),
        sinks=told,
        folder=settings.output,
        note=note,
        ended=leftovers.add,
        report=report,
    )


def _guard_for(spec: "RoomSpec", allowed: Allowed) -> "Guard":
    """The check before every connection of a room; what the operator named himself is trusted."""
    if spec.origin != "api":
        allowed = replace(allowed, hosts=allowed.hosts | {host_of(spec.url)})
    return lambda url: check_source(url, allowed)


def _start_http(
    settings: ServeSettings,
    allowed: Allowed,
    rooms: "Rooms",
    recordings: "Recordings | None",
    hub: "Hub",
    metrics: "Metrics",
    scheduler: Scheduler,
    listening: socket.socket,
    stop: threading.Event,
    report: Callable[[str], None],
) -> "tuple[uvicorn.Server, threading.Thread]":
    import uvicorn

    from kuaihl.engines.serving.app import Service, make_app
    from kuaihl.engines.serving.gate import Gate
    from kuaihl.engines.serving.hooks import hook_routes, recorder_routes

    def why_not_ready() -> str | None:
        if stop.is_set():
            return "the server is ending"
        return "rooms are scored late or without their speech" if scheduler.is_behind else None

    service = Service(rooms, hub, metrics, allowed, why_not_ready)
    hooks = [] if settings.pull is None else hook_routes(rooms, settings.pull, settings.grace, report)
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
        return socket.create_server((host, port), family=family, backlog=256)
    except (OSError, UnicodeError) as error:
        reason = getattr(error, "strerror", None) or error
        raise UsageError(f"cannot listen on {host}:{port} ({reason}); choose another address") from error


def _address(listening: socket.socket) -> str:
    host, port = listening.getsockname()[:2]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
