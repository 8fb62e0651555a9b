"""Events on a subject of a real NATS server, kept by a stream of JetStream."""

import asyncio
import json
import subprocess
from pathlib import Path

import nats
import pytest
from nats.js.api import RawStreamMsg
from support.cloud_events import make_event
from support.nats_server import nats_server
from support.ports import free_port
from support.waiting import wait_until

from kuaihl.engines.sinks.delivery import Retry, Unreachable
from kuaihl.engines.sinks.nats_subject import NatsSubject
from kuaihl.engines.sinks.settings import Sinks, SinkSettings
from kuaihl.engines.sinks.spool import Waiting
from kuaihl.models.errors import UsageError


def settings(url: str) -> SinkSettings:
    return SinkSettings(nats=url, timeout=2.0, retry=Retry(first=0.01, longest=0.05))


def make_stream(url: str) -> None:
    async def make() -> None:
        async with await nats.connect(url) as client:
            await client.jetstream().add_stream(name="rooms", subjects=["rooms.>"])

    asyncio.run(make())


def stored(url: str) -> list[RawStreamMsg]:
    async def read() -> list[RawStreamMsg]:
        async with await nats.connect(url) as client:
            manager = client.jetstream()
            count = (await manager.stream_info("rooms")).state.messages
            return [await manager.get_msg("rooms", number) for number in range(1, count + 1)]

    return asyncio.run(read())


def test_an_event_is_a_message_with_its_id_once(tmp_path: Path) -> None:
    with nats_server(tmp_path, free_port()) as url:
        make_stream(url)
        event = make_event(0, words="你好")
        sender = NatsSubject(f"{url}/rooms.live")
        for _ in range(2):  # as after a kill between a delivery and its record
            sender.send(Waiting(0, event.id, event.to_dict()))
        sender.close()
        (message,) = stored(url)
    assert message.subject == "rooms.live"
    assert json.loads(message.data or b"") == event.to_dict()
    assert message.headers == {"Nats-Msg-Id": event.id, "Content-Type": "application/cloudevents+json"}


def test_a_server_that_was_killed_gets_every_event_once(tmp_path: Path) -> None:
    port = free_port()
    with Sinks(settings(f"nats://127.0.0.1:{port}/rooms.live"), tmp_path / "run") as sinks:
        sinks(make_event(0))
        told: list[str] = []
        wait_until(lambda: told.extend(sinks.take_notices()) or told, "the notice")  # type: ignore[func-returns-value]
        assert "does not take events" in told[0] and "tried again" in told[0]
        with nats_server(tmp_path, port) as url:
            make_stream(url)
            wait_until(lambda: len(stored(url)) == 1, "the first event")
        sinks(make_event(1))
        with nats_server(tmp_path, port) as url:
            sinks(make_event(2))
            wait_until(lambda: len(stored(url)) == 3, "the others")
            ids = [json.loads(message.data or b"")["id"] for message in stored(url)]
    assert ids == [make_event(number).id for number in range(3)]


def test_a_wrong_password_is_told_without_being_shown(tmp_path: Path) -> None:
    port = free_port()
    with nats_server(tmp_path, port, "--user", "me", "--pass", "right"):
        wrong = SinkSettings(nats=f"nats://me:hunter2@127.0.0.1:{port}", patience=0.1, retry=Retry(first=0.01))
        with Sinks(wrong, tmp_path / "run") as sinks:
            sinks(make_event(0))
            sinks.close()
            told = " ".join(sinks.take_notices())
    assert "Authorization Violation" in told and "hunter2" not in told


def test_a_server_that_refuses_us_costs_no_sockets(tmp_path: Path) -> None:
    def count_files() -> int:
        return len(list(Path("/proc/self/fd").iterdir()))

    port, before = free_port(), count_files()
    with nats_server(tmp_path, port, "--user", "me", "--pass", "right"):
        sender, counts = NatsSubject(f"nats://me:wrong@127.0.0.1:{port}"), list[int]()
        for number in range(3):
            with pytest.raises(Unreachable):
                sender.send(Waiting(number, make_event(number).id, make_event(number).to_dict()))
            counts.append(count_files())
        sender.close()
    assert len(set(counts)) == 1 and count_files() == before


def test_tls_is_demanded_before_a_password_is_sent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    asked = ["-newkey", "rsa:2048", "-nodes", "-subj", "/CN=test", "-addext", "subjectAltName=IP:127.0.0.1"]
    files = ["-keyout", str(key), "-out", str(certificate)]
    subprocess.run(["openssl", "req", "-x509", *asked, *files], check=True, capture_output=True)
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    encrypted = ("--tls", "--tlscert", str(certificate), "--tlskey", str(key))
    users, event = ("--user", "me", "--pass", "right"), make_event(0)
    plain, reached = "the server does not encrypt", "no stream of JetStream"
    for login, options, words in (
        ("me:right@", users, plain),
        ("", (), plain),
        ("me:right@", users + encrypted, reached),
    ):
        port = free_port()
        with nats_server(tmp_path, port, *options):
            sender = NatsSubject(f"tls://{login}127.0.0.1:{port}/rooms.live")
            with pytest.raises(Unreachable, match=words):
                sender.send(Waiting(0, event.id, event.to_dict()))
            sender.close()


def test_a_subject_without_a_stream_is_told(tmp_path: Path) -> None:
    with nats_server(tmp_path, free_port()) as url:
        sender = NatsSubject(f"{url}/rooms.live")
        with pytest.raises(Unreachable, match=r"no stream of JetStream has the subject rooms\.live"):
            sender.send(Waiting(0, make_event(0).id, make_event(0).to_dict()))
        sender.close()


@pytest.mark.parametrize("url", ["http://host/x", "nats:///x", "nats://host/a..b", "nats://host/rooms.*"])
def test_an_address_that_is_none_is_refused_before_anything_is_scored(url: str) -> None:
    with pytest.raises(UsageError, match="nats"):
        SinkSettings(nats=url).check()
