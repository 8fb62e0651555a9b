"""Where the tests find media: what they make themselves, and the shared folder where it is there."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from support.http_media import MediaServer, media_server
from support.paths import SHARED
from support.rtmp_server import RtmpServer, rtmp_server

if TYPE_CHECKING:
    from support.s3_server import S3Server


@pytest.fixture(scope="session")
def shared_media() -> Path:
    folder = SHARED / "media"
    if not folder.is_dir():
        pytest.skip("the shared folder with real media is not here")
    return folder


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for what is encoded once for many tests."""
    return tmp_path_factory.mktemp("media")


@pytest.fixture(scope="session")
def _s3_server() -> "Iterator[S3Server]":
    from support.s3_server import s3_server

    with s3_server() as server:
        yield server


@pytest.fixture
def s3(_s3_server: "S3Server", monkeypatch: pytest.MonkeyPatch) -> "S3Server":
    """An S3 server that the environment leads to; its objects stay for the session, so each test has its own prefix."""
    from kuaihl.engines.stores import store

    for name, value in _s3_server.variables.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(store, "_RETRIES", 1)
    store._open_bucket.cache_clear()
    _s3_server.sent.clear()
    _s3_server.asked.clear()
    _s3_server.refuse = lambda _method, _path: None
    return _s3_server


@pytest.fixture
def http() -> Iterator[MediaServer]:
    with media_server() as server:
        yield server


@pytest.fixture
def rtmp(tmp_path: Path) -> Iterator[RtmpServer]:
    with rtmp_server(tmp_path) as server:
        yield server
