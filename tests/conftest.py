"""Where the tests find media: what they make themselves, and the shared folder where it is there."""

from pathlib import Path

import pytest
from support.paths import SHARED


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
