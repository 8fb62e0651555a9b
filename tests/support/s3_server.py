"""A real S3 server (moto) on a loopback port, with a door before it that counts, refuses and breaks off on demand."""

import threading
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote
from urllib.request import Request, urlopen

import obstore
from obstore.store import ObjectStore, from_url

BUCKET = "archive"
KEY_ID, SECRET, TOKEN = "AKIATESTKEYID0000001", "s3cr3tAccessKeyOfTheTests", "t0kenOfASession"

Refuse = Callable[[str, str], int | None]  # the status to refuse a method and path with, if any


@dataclass
class S3Server:
    """`sent` has the bytes of each object that went out, `asked` the number of requests of each method."""

    endpoint: str
    sent: Counter[str] = field(default_factory=Counter)
    asked: Counter[str] = field(default_factory=Counter)
    refuse: Refuse = lambda _method, _path: None

    def url(self, key: str = "") -> str:
        return f"s3://{BUCKET}/{key}"

    def put(self, key: str, content: bytes) -> str:
        """Put an object past our own code; returns its address."""
        obstore.put(self._client, key, content)
        return self.url(key)

    def get(self, key: str) -> bytes:
        return bytes(obstore.get(self._client, key).bytes())

    def keys(self, prefix: str) -> list[str]:
        return [one["path"] for page in obstore.list(self._client, prefix) for one in page]

    @property
    def _client(self) -> ObjectStore:
        return from_url(
            self.url(), access_key_id=KEY_ID, secret_access_key=SECRET, endpoint=self.endpoint, region="us-east-1",
            client_options={"allow_http": True},
        )  # fmt: skip

    @property
    def variables(self) -> dict[str, str]:
        """What a client needs in its environment."""
        return {
            "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_ACCESS_KEY_ID": KEY_ID,
            "AWS_SECRET_ACCESS_KEY": SECRET,
            "AWS_SESSION_TOKEN": TOKEN,
            "AWS_REGION": "us-east-1",
        }


@contextmanager
def s3_server() -> Iterator[S3Server]:
    from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
    from werkzeug.serving import WSGIRequestHandler, make_server

    class Quiet(WSGIRequestHandler):
        protocol_version = "HTTP/1.1"  # connections are kept, as by S3

        def log(self, *_: object) -> None:
            pass

    moto = DomainDispatcherApplication(create_backend_app)

    def door(environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
        method, path = environ["REQUEST_METHOD"], unquote(environ["PATH_INFO"])
        server.asked[method] += 1
        status = server.refuse(method, path)
        if status is not None:  # S3 repeats key and token in the answer to a wrong one
            said = f"<Error><Code>InvalidToken</Code><AWSAccessKeyId>{KEY_ID}</AWSAccessKeyId><T>{TOKEN}</T></Error>"
            start(f"{status} Refused", [("Content-Length", str(len(said))), ("Content-Type", "application/xml")])
            return [said.encode()]
        answer = list(moto(environ, start))
        if method == "GET":
            server.sent[path.removeprefix(f"/{BUCKET}/")] += sum(map(len, answer))
        return answer

    httpd = make_server("127.0.0.1", 0, door, threaded=True, request_handler=Quiet)
    server = S3Server(f"http://127.0.0.1:{httpd.server_port}")
    thread = threading.Thread(target=httpd.serve_forever, daemon=True)
    thread.start()
    try:
        with urlopen(Request(f"{server.endpoint}/{BUCKET}", method="PUT")):
            yield server
    finally:
        httpd.shutdown()
        thread.join(5)
        httpd.server_close()
