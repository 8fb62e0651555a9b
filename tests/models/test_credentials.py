"""What is shown of an address: everything but its user, password, query and keys."""

import logging
import pickle
import random
import string
import traceback
from collections.abc import Callable
from pathlib import Path

import pytest

from kuaihl.engines.archive.names import source_stem
from kuaihl.engines.ingest.opening import open_source
from kuaihl.models.credentials import mask_credentials, shown_source
from kuaihl.models.errors import KuaihlError, Remedy, SourceError

HEX, BASE36 = "0123456789abcdef", string.ascii_lowercase + string.digits
BASE62 = string.ascii_letters + string.digits
Draw = Callable[[str, int], str]


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("rtmps://user:secret@host:1935/live/room?key=secret#secret", "rtmps://host:1935/live/room"),
        ("rtmp://secret@host", "rtmp://host"),
        ("rtmp://user:se/cret@host/live/room", "rtmp://host/live/room"),
        ("rtmp://user:se?c#ret@host/live", "rtmp://host/live"),
        ("rtmp://user:se@cret@host/live", "rtmp://host/live"),
        ("http://[::1]:80/a.flv?secret", "http://[::1]:80/a.flv"),
        ("https://cdn.example/hdnts=exp=1~hmac=secret/index.m3u8", "https://cdn.example/***/index.m3u8"),
        ("https://cdn.example/index.m3u8;jsessionid=secret", "https://cdn.example/***"),
        ("https://cdn.example/live/9f86d081884c7d65.flv", "https://cdn.example/live/***.flv"),
        ("rtmp://host/live/my_stream_key", "rtmp://host/live/***"),
        ("https://host/@name/watch", "https://host/@name/watch"),
        ("http:/user:secret@host/list.txt", "http:/host/list.txt"),  # what a path library makes of a URL
        ("s3://KEY:secret@bucket/room.flv", "s3://bucket/room.flv"),
        ("s3://bucket/day=1/9f86d081884c7d65.flv", "s3://bucket/day=1/9f86d081884c7d65.flv"),  # names, not keys
        (
            "https://b.s3.amazonaws.com/a.flv?X-Amz-Credential=secret&X-Amz-Signature=secret",
            "https://b.s3.amazonaws.com/a.flv",
        ),
        ("a b?c.flv", "a b?c.flv"),
        ("file:///a/b?c=d", "file:///a/b?c=d"),
        ("-", "-"),
    ],
)
def test_a_source_is_shown_without_credentials(name: str, shown: str) -> None:
    assert shown_source(name) == shown
    assert shown_source(shown) == shown


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("Error opening 'rtmp://u:secret@h/k?x=secret': refused", "Error opening 'rtmp://h/k': refused"),
        ("rtmp://u:secret@h/k?secret: no answer; wait", "rtmp://h/k: no answer; wait"),
        ("http:/u:secret@h/x: no such file", "http:/h/x: no such file"),
        ("one (http://h/a?secret), and rtmp://secret@h/b.", "one (http://h/a), and rtmp://h/b."),
        ("/data/a?b.flv: 12:/5, C:/x?y", "/data/a?b.flv: 12:/5, C:/x?y"),
    ],
)
def test_every_url_in_a_text_is_masked_and_the_rest_stays(text: str, masked: str) -> None:
    assert mask_credentials(text) == masked
    assert mask_credentials(masked) == masked


# The shapes of keys: what platforms give to broadcasters, and digests and tokens in paths.
SHAPES: dict[str, Callable[[Draw], str]] = {
    "Twitch": lambda draw: f"live_{draw(string.digits, 9)}_{draw(BASE62, 30)}",
    "YouTube": lambda draw: "-".join(draw(BASE36, 4) for _ in range(5)),
    "Facebook": lambda draw: f"FB-{draw(string.digits, 15)}-0-{draw(BASE62, 16)}",
    "Kick": lambda draw: f"sk_us-west-2_{draw(BASE62, 12)}_{draw(BASE62, 30)}",
    "UUID": lambda draw: "-".join(draw(HEX, length) for length in (8, 4, 4, 4, 12)),
    "digest": lambda draw: draw(HEX, 32),
    "half a digest": lambda draw: draw(HEX, 16),
    "token": lambda draw: draw(BASE62, 22),
    "short token": lambda draw: draw(BASE62, 16),
}


@pytest.mark.parametrize("shape", SHAPES)
def test_a_key_in_a_path_is_masked(shape: str) -> None:
    random_ = random.Random(7)
    keys = [SHAPES[shape](lambda of, length: "".join(random_.choices(of, k=length))) for _ in range(2000)]
    shown = sum(key in shown_source(f"rtmp://host/live/{key}") for key in keys)
    assert shown <= 0.02 * len(keys)  # one that looks like a word or a number cannot be told from a room's name


@pytest.mark.parametrize(
    "part",
    [
        *("room", "room1", "MyRoom2024", "stream-1234567890", "live_8178490_2500", "douyin_7312345678901234567"),
        *("20241126T120000Z", "room_2024-01-02", "8178490", "21452505.flv", "master.m3u8", "chunklist_w1234567.m3u8"),
        *("camera-2", "1080p60fps", "720p_main", "v1.5", "late-night-show", "直播间"),
    ],
)
def test_the_name_of_a_room_is_shown(part: str) -> None:
    assert shown_source(f"http://host/app/{part}") == f"http://host/app/{part}"


def test_an_error_shows_no_credentials_wherever_they_stand_in_it() -> None:
    url = "rtmp://user:secret@host/live/room?token=secret"
    error = KuaihlError(
        f"{url}: no answer", setting="source", value=url, remedy=Remedy(f"try {url}", command="score", arguments=(url,))
    ).within(url)
    again = pickle.loads(pickle.dumps(error))  # a worker sends it to its parent
    for one in (error, again):
        assert "secret" not in str(one) + repr(one)
        assert "rtmp://host/live/room: no answer" in str(one)


@pytest.mark.parametrize("scheme", ["rtmp", "http"])
def test_a_source_that_cannot_be_opened_shows_no_credentials_in_its_traceback(scheme: str) -> None:
    with pytest.raises(SourceError) as caught:  # nothing listens on port 9
        open_source(f"{scheme}://user:secret@127.0.0.1:9/live/secret-key?token=secret of two words", timeout=2)
    shown = "".join(traceback.format_exception_only(caught.value.__cause__)) + str(caught.value)
    assert "secret" not in shown
    assert "two words" not in shown
    assert f"{scheme}://127.0.0.1:9/live/***: no connection" in shown


def test_a_log_shows_no_credentials_in_lines_and_tracebacks(tmp_path: Path) -> None:
    from kuaihl_cli.terminal.log import start_log

    before = logging.root.handlers[:], logging.root.level
    try:
        start_log(tmp_path / "run.log", "debug")
        logging.getLogger("other").warning("asked %s", "https://user:secret@host/x?secret")
        try:
            raise OSError("https://secret@host/y")
        except OSError:
            logging.getLogger("other").debug("traceback", exc_info=True)
    finally:
        for handler in logging.root.handlers:
            handler.close()
        logging.root.handlers, logging.root.level = before
        logging.captureWarnings(False)
    log = (tmp_path / "run.log").read_text(encoding="utf-8")
    assert "secret" not in log
    assert "https://host/x" in log and "https://host/y" in log


@pytest.mark.parametrize(
    ("source", "name"),
    [
        ("rtmp://user:secret@host/live/room?x=/secret", "room"),
        ("rtmp://host/live/live_123456789_AbCdEfGhIjKlMnOpQrStUvWxYz1234", "live"),
        ("rtmp://secret@host", "host"),
        ("http://host/app/9f86d081884c7d65.flv", "app"),
        ("a?b.flv", "a_b"),
        ("dir/what?/x.flv", "x"),
    ],
)
def test_no_folder_is_named_after_a_key(source: str, name: str) -> None:
    assert source_stem(source) == name
