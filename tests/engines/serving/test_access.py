"""What a room may read: no local file, and nothing of the inner network that the operator has not named."""

import ipaddress
import socket
from pathlib import Path
from typing import Any

import pytest
from support.http_media import MediaServer, begin_stream
from support.serving import serving
from support.waiting import wait_until

from kuaihl.engines.ingest.opening import open_source
from kuaihl.engines.scoring.model import Model
from kuaihl.engines.serving.access import Refused, check_source, is_public, parse_allowed
from kuaihl.models.errors import SourceError, SourceUnavailable, UsageError

NOBODY = parse_allowed(())


def resolve_to(*addresses: str) -> Any:
    """A stand-in for the system's resolver: every name has these addresses."""

    def resolve(host: str, *_: object, **__: object) -> list[tuple[Any, ...]]:
        return [(socket.AF_INET, socket.SOCK_STREAM, 0, "", (address, 0)) for address in addresses]

    return resolve


@pytest.mark.parametrize(
    "url",
    [
        "/etc/passwd",
        "-",
        "file:///etc/passwd",
        "FILE:///etc/passwd",
        "concat:/etc/passwd|/etc/hosts",
        "pipe:0",
        "ftp://example.org/x.flv",
        "subfile,,start,0,end,9,,:/etc/passwd",
        "http+unix://%2Fvar%2Frun%2Fdocker.sock/x",
        "http://",
        "http:///etc/passwd",
        "http://example.org/ x",
        "http://example.org/\r\nHost: inner",
        "http://example.org\\@127.0.0.1/",
        "http://ex%61mple.org/",
        "http://[fe80::1%25eth0]/",
        "http://example.org:99999/",
        "http://exämple.org/",
        "srt://example.org:9000?mode=listener",
        "srt://example.org:9000?mode=listener&mode=caller",  # FFmpeg takes the first
        "srt://example.org:9000#?mode=rendezvous",  # and knows no fragment
        "http://example.org/" + "x" * 2_000,
    ],
)
def test_only_a_plain_url_of_a_live_protocol_is_a_source(url: str) -> None:
    with pytest.raises(Refused):
        check_source(url, NOBODY)


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1",
        "localhost",
        "0.0.0.0",
        "10.0.0.8",
        "172.16.3.4",
        "192.168.1.1",
        "169.254.169.254",
        "100.64.0.1",
        "224.0.0.1",
        "2130706433",  # 127.0.0.1 as one number
        "0x7f.1",
        "127.1",
        "user:pass@127.0.0.1",
        "[::1]",
        "[::]",
        "[fe80::1]",
        "[fd00::1]",
        "[::ffff:127.0.0.1]",
        "[64:ff9b::7f00:1]",  # 127.0.0.1 behind a NAT64
        "[2002:7f00:1::]",  # and in 6to4
        "[64:ff9b:1::7f00:1]",  # behind a NAT64 of the inner network
        "[::127.0.0.1]",
        "[::ffff:0:127.0.0.1]",
        "[fec0::1]",
        "[5f00::1]",
    ],
)
def test_no_address_of_the_inner_network_is_read(host: str) -> None:
    with pytest.raises((Refused, SourceUnavailable)):
        check_source(f"rtmp://{host}/live/x", NOBODY)


@pytest.mark.parametrize("text", ["2606:4700::1111", "::ffff:93.184.216.34", "64:ff9b::5db8:d822", "2002:5db8:d822::"])
def test_an_address_of_the_internet_is_read_in_each_notation(text: str) -> None:
    assert is_public(ipaddress.ip_address(text))


def test_every_address_of_a_name_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket, "getaddrinfo", resolve_to("93.184.216.34", "10.0.0.8"))
    with pytest.raises(Refused, match=r"10\.0\.0\.8"):
        check_source("http://two-faced.example/x.flv", NOBODY)
    monkeypatch.setattr(socket, "getaddrinfo", resolve_to("93.184.216.34"))
    assert check_source("http://public.example/x.flv", NOBODY)["max_redirects"] == "0"


def test_the_operator_names_hosts_addresses_and_networks(monkeypatch: pytest.MonkeyPatch) -> None:
    allowed = parse_allowed(("Media.Inner", "10.1.0.0/16", "[fd00::7]"))
    monkeypatch.setattr(socket, "getaddrinfo", resolve_to("10.0.0.8"))
    for url in ("rtmp://media.inner/live/x", "rtmp://MEDIA.inner/live/x", "rtmp://10.1.2.3/x", "srt://[fd00::7]:9/"):
        check_source(url, allowed)
    with pytest.raises(Refused):
        check_source("rtmp://other.inner/live/x", allowed)
    monkeypatch.setattr(socket, "getaddrinfo", resolve_to("10.1.2.3"))
    check_source("rtmp://other.inner/live/x", allowed)  # by its address
    for wrong in ("", "http://host", "a b"):
        with pytest.raises(UsageError):
            parse_allowed((wrong,))


def test_a_stranger_can_lead_nowhere_else(media: MediaServer, flv: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    """FFmpeg itself refuses the redirects and playlists of a host that is not trusted."""

    def redirect(handler: Any) -> None:
        handler.send_response(302)
        handler.send_header("Location", media.url("/inner.flv"))
        handler.end_headers()

    def playlist(handler: Any) -> None:
        begin_stream(handler, "application/vnd.apple.mpegurl")
        handler.wfile.write(f"#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\n{media.url('/inner.flv')}\n".encode())

    media.answers |= {"/redirect.flv": redirect, "/list.m3u8": playlist}
    media.live("/inner.flv", flv)
    options = {**check_source_as_public(media, monkeypatch)}
    for path, words in (("/redirect.flv", "leads elsewhere"), ("/list.m3u8", "a playlist.*the operator may allow")):
        with pytest.raises(SourceError, match=words):
            open_source(media.url(path), guard=lambda url: options).close()
    assert "/inner.flv" not in media.requests
    open_source(media.url("/inner.flv"), guard=lambda url: options).close()
    trusted = check_source(media.url("/list.m3u8"), parse_allowed(("127.0.0.1",)))
    with pytest.raises(SourceError):
        open_source(media.url("/redirect.flv"), guard=lambda url: trusted).close()
    assert media.requests.count("/inner.flv") == 1


def check_source_as_public(media: MediaServer, monkeypatch: pytest.MonkeyPatch) -> Any:
    with monkeypatch.context() as patch:
        patch.setattr(socket, "getaddrinfo", resolve_to("93.184.216.34"))
        return check_source("http://public.example/x.flv", NOBODY)


def test_a_source_is_checked_before_every_connection(media: MediaServer, flv: bytes) -> None:
    asked: list[str] = []

    def guard(url: str) -> dict[str, str]:
        asked.append(url)
        if len(asked) > 2:
            raise Refused(f"{url}: moved to the inner network")
        return {}

    from kuaihl.engines.ingest.live import ReconnectPolicy, live_packets

    url = media.live("/ann.flv", flv[: len(flv) // 2], flv[: len(flv) // 2])
    source = open_source(url, timeout=2, guard=guard)
    policy = ReconnectPolicy(tries=3, patience=2.0, first_delay=0.1)
    list(live_packets(source, policy=policy))
    assert len(asked) >= 2 and set(asked) == {url}
    assert media.requests.count("/ann.flv") <= 2


def test_the_api_reads_nothing_that_is_not_allowed(
    model: Model, media: MediaServer, flv: bytes, tmp_path: Path
) -> None:
    url = media.live("/ann.flv", flv, stall=True)
    with serving(model, tmp_path, allow_host=()) as client:
        answer = client.add("ann", url)
        assert answer.status == 403 and "127.0.0.1" in answer.json["detail"]
        assert not media.requests
    with serving(model, tmp_path, allow_host=("127.0.0.1",)) as client:
        assert client.add("ann", url).status == 201
        wait_until(lambda: client.scores("ann"))


def test_a_room_of_the_register_is_checked_again(model: Model, media: MediaServer, flv: bytes, tmp_path: Path) -> None:
    with serving(model, tmp_path) as client:
        client.add("ann", media.live("/ann.flv", flv, stall=True))
        wait_until(lambda: client.scores("ann"))
    with serving(model, tmp_path, allow_host=()) as client:
        room = wait_until(lambda: (one := client.get("/rooms/ann").json)["state"] == "failed" and one)
        assert "not a public address" in room["detail"]
