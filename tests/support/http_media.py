"""A media server for tests that misbehaves on demand: each path leads to a function that writes the answer by hand."""

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import count
from pathlib import Path

Answer = Callable[[BaseHTTPRequestHandler], None]


class MediaServer:
    """Answers on a free loopback port; `answers` maps a path to its function, `released` ends those that stall."""

    def __init__(self) -> None:
        self.answers: dict[str, Answer] = {}
        self.requests: list[str] = []
        self.released = threading.Event()
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                server.requests.append(self.path)
                answer = server.answers.get(self.path)
                if answer is None:
                    self.send_error(404)
                    return
                try:
                    answer(self)
                except (BrokenPipeError, ConnectionResetError):
                    self.close_connection = True

            def log_message(self, format: str, *args: object) -> None:
                pass

        self.httpd = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.httpd.daemon_threads = True

    def url(self, path: str) -> str:
        return f"http://127.0.0.1:{self.httpd.server_address[1]}{path}"

    def file(self, path: str, media: Path, kind: str = "video/x-flv") -> str:
        """Serve a whole file, with its length."""
        self.answers[path] = lambda handler: send_file(handler, media.read_bytes(), kind)
        return self.url(path)

    def live(self, path: str, *parts: bytes, stall: bool = False) -> str:
        """Serve http-flv, without a length; connection k receives `parts[k]`, and later ones the last part again.

        Then the connection closes, or with `stall` stays open and silent.
        """
        left = list(parts)

        def answer(handler: BaseHTTPRequestHandler) -> None:
            begin_stream(handler)
            handler.wfile.write(left.pop(0) if len(left) > 1 else left[0])
            handler.wfile.flush()
            if stall:
                self.released.wait(60)

        self.answers[path] = answer
        return self.url(path)

    def grown(self, path: str, playlist: Path) -> str:
        """Serve a live playlist and its pieces: the last comes after it was asked for twice, and its end after four."""
        url, asked, lines = self.folder(path, playlist.parent), count(), playlist.read_text("utf-8").splitlines()
        last = max(number for number, line in enumerate(lines) if line.startswith("#EXTINF"))

        def answer(handler: BaseHTTPRequestHandler) -> None:
            number = next(asked)
            there = lines[:last] if number < 2 else lines[: last + 2] if number < 4 else lines
            send_file(handler, "\n".join([*there, ""]).encode(), "application/vnd.apple.mpegurl")

        self.answers[f"{path}/{playlist.name}"] = answer
        return f"{url}/{playlist.name}"

    def folder(self, path: str, directory: Path) -> str:
        """Serve every file of a directory under `path`/, in its state at the time of the request."""
        for media in directory.iterdir():
            kind = "application/vnd.apple.mpegurl" if media.suffix == ".m3u8" else "video/mp2t"
            self.file(f"{path}/{media.name}", media, kind)
        return self.url(path)


def begin_stream(handler: BaseHTTPRequestHandler, kind: str = "video/x-flv") -> None:
    handler.send_response(200)
    handler.send_header("Content-Type", kind)
    handler.end_headers()
    handler.close_connection = True


def send_file(handler: BaseHTTPRequestHandler, data: bytes, kind: str) -> None:
    first = int((handler.headers.get("Range") or "bytes=0-").removeprefix("bytes=").split("-")[0])
    handler.send_response(206 if "Range" in handler.headers else 200)
    handler.send_header("Content-Type", kind)
    handler.send_header("Accept-Ranges", "bytes")
    handler.send_header("Content-Range", f"bytes {first}-{len(data) - 1}/{len(data)}")
    handler.send_header("Content-Length", str(len(data) - first))
    handler.end_headers()
    handler.wfile.write(data[first:])


@contextmanager
def media_server() -> Iterator[MediaServer]:
    server = MediaServer()
    thread = threading.Thread(target=server.httpd.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.released.set()
        server.httpd.shutdown()
        server.httpd.server_close()
        thread.join(2)


@contextmanager
def silent_server() -> Iterator[int]:
    """The port of a server that accepts every connection and never sends a byte."""
    listener = socket.create_server(("127.0.0.1", 0))
    accepted: list[socket.socket] = []

    def accept() -> None:
        while True:
            try:
                accepted.append(listener.accept()[0])
            except OSError:
                return

    thread = threading.Thread(target=accept, daemon=True)
    thread.start()
    try:
        yield int(listener.getsockname()[1])
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join(2)
        for connection in accepted:
            connection.close()
