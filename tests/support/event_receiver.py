"""An HTTP server for tests that receives webhooks, and answers as it is told."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from support.waiting import wait_until


@dataclass
class Received:
    """A request: what it said, and how it was answered."""

    headers: dict[str, str]  # names in lower case
    body: bytes
    path: str
    status: int

    @property
    def event(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.body)
        return found


@dataclass
class Receiver:
    """Answers with the next of `answers`, then with 204; an answer is a status or a status with headers."""

    url: str = ""
    answers: list[int | tuple[int, dict[str, str]]] = field(default_factory=list)
    requests: list[Received] = field(default_factory=list)
    hang: threading.Event = field(default_factory=threading.Event)  # while it is clear, nothing is answered

    @property
    def taken(self) -> list[dict[str, Any]]:
        """The events that were answered with success."""
        return [one.event for one in self.requests if 200 <= one.status < 300]

    def wait_for(self, count: int) -> list[dict[str, Any]]:
        wait_until(lambda: len(self.taken) >= count, f"{count} events")
        return self.taken


@contextmanager
def event_receiver(port: int = 0) -> Iterator[Receiver]:
    receiver = Receiver()
    receiver.hang.set()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            receiver.hang.wait(30)
            answer = receiver.answers.pop(0) if receiver.answers else 204
            status, headers = answer if isinstance(answer, tuple) else (answer, {})
            said = {name.lower(): value for name, value in self.headers.items()}
            receiver.requests.append(Received(said, body, self.path, status))
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            pass

    class Server(ThreadingHTTPServer):
        def handle_error(self, request: object, client_address: object) -> None:
            pass  # a client that gave up waiting

    server = Server(("127.0.0.1", port), Handler)
    server.daemon_threads = True
    receiver.url = f"http://127.0.0.1:{server.server_address[1]}/hook"
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
    try:
        yield receiver
    finally:
        receiver.hang.set()
        server.shutdown()
        server.server_close()
