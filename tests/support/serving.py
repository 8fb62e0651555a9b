"""A server of rooms in this process, on a free port, and a client that speaks to it."""

import http.client
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from support.waiting import wait_until

from kuaihl.engines.encoders.encode import encode
from kuaihl.engines.scoring.model import Model
from kuaihl.engines.scoring.reading import OpenReading
from kuaihl.engines.serving.room import House
from kuaihl.engines.serving.room_spec import RoomSpec
from kuaihl.engines.serving.server import serve
from kuaihl.engines.serving.settings import ServeSettings
from kuaihl.engines.sinks.settings import SinkSettings


class Answer(NamedTuple):
    status: int
    headers: dict[str, str]  # names in lower case
    text: str

    @property
    def json(self) -> Any:
        return json.loads(self.text)


class ServerSent(NamedTuple):
    id: str
    kind: str
    data: dict[str, Any]


class Client:
    """Calls one server."""

    def __init__(self, port: int, token: str | None = None) -> None:
        self.port = port
        self.headers = {} if token is None else {"Authorization": f"Bearer {token}"}
        self.lines: list[str] = []  # what the server has said

    def call(self, method: str, path: str, body: Any = None, **headers: str) -> Answer:
        """`body` is sent as JSON, bytes and text as they are."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        given = {**self.headers, **{name.replace("_", "-"): value for name, value in headers.items()}}
        if body is not None and not isinstance(body, str | bytes):
            body, given = json.dumps(body), {"Content-Type": "application/json", **given}
        try:
            connection.request(method, path, body, given)
            answer = connection.getresponse()
            names = {name.lower(): value for name, value in answer.getheaders()}
            return Answer(answer.status, names, answer.read().decode())
        finally:
            connection.close()

    def get(self, path: str, **headers: str) -> Answer:
        return self.call("GET", path, **headers)

    def add(self, room: str, url: str, **more: Any) -> Answer:
        return self.call("POST", "/rooms", {"id": room, "url": url, **more})

    def scores(self, room: str, after: int = -1) -> list[dict[str, Any]]:
        """The lines of scores so far; none of a room that is not there yet."""
        found: list[dict[str, Any]] = self.get(f"/rooms/{room}/scores?after={after}").json.get("scores", [])
        return found

    @contextmanager
    def follow(self, path: str, last_id: str | None = None) -> Iterator[Iterator[ServerSent]]:
        """The server-sent events of a path, as they come."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        connection.request("GET", path, headers=self.headers | ({"Last-Event-ID": last_id} if last_id else {}))
        answer = connection.getresponse()
        assert answer.status == 200 and answer.getheader("content-type", "").startswith("text/event-stream")
        try:
            yield _parse_events(answer)
        finally:
            connection.close()


def _parse_events(answer: http.client.HTTPResponse) -> Iterator[ServerSent]:
    fields: dict[str, str] = {}
    while line := answer.readline():
        name, _, value = line.decode().rstrip("\n").partition(": ")
        if name:
            fields[name] = value
        elif "data" in fields:
            yield ServerSent(fields.get("id", ""), fields["event"], json.loads(fields["data"]))
            fields = {}


def make_house(
    model: Model, folder: Path, reader: Callable[[RoomSpec], OpenReading], note: Callable[[], None] = lambda: None
) -> House:
    """What rooms share, for rooms without a server; nobody is told anything."""
    return House(
        model=model,
        encode=encode,
        publish=lambda event: None,
        reader=reader,
        sinks=SinkSettings(),
        folder=folder,
        note=note,
        ended=lambda folder: None,
        report=lambda line: None,
    )


@contextmanager
def serving(model: Model, folder: Path, **settings: Any) -> Iterator[Client]:
    """A server whose rooms lie in `folder`; it reads them itself, also from this machine, unless told otherwise."""
    settings = {"port": 0, "allow_host": ("127.0.0.0/8",), "rooms_per_reader": 0} | settings
    lines: list[str] = []
    stop, failures = threading.Event(), list[BaseException]()

    def run() -> None:
        try:
            serve(model, ServeSettings(output=folder, **settings), stop, lines.append)
        except BaseException as error:
            failures.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    try:
        told = wait_until(lambda: failures or [line for line in lines if line.startswith("serving on ")])[0]
        if isinstance(told, BaseException):
            raise told
        client = Client(int(told.split(",")[0].rpartition(":")[2]), settings.get("token"))
        client.lines = lines
        wait_until(lambda: client.get("/healthz").status == 200)
        yield client
    finally:
        stop.set()
        thread.join(20)
        assert not thread.is_alive()
    assert not failures, failures
