"""A broadcast, a server of media and a small model, which the tests of rooms share."""

from collections.abc import Iterator

import pytest
from support.http_media import MediaServer, media_server
from support.rtmp_server import make_broadcast
from support.small_model import small_model

from kuaihl.engines.scoring.model import Model


@pytest.fixture(scope="session")
def flv(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """Twelve seconds of a test card."""
    return make_broadcast(tmp_path_factory.mktemp("broadcast") / "room.flv", seconds=12.0).read_bytes()


@pytest.fixture
def media() -> Iterator[MediaServer]:
    with media_server() as server:
        yield server


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory) -> Model:
    return small_model(tmp_path_factory.mktemp("bundle"))
