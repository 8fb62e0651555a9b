"""The cache folder of derived files; each entry is whole or absent."""

import os
from collections.abc import Callable
from pathlib import Path

from kuaihl.models.atomic import fill_folder
from kuaihl.models.errors import ModelError


def cache_folder() -> Path:
    """The folder for derived files: $KUAIHL_CACHE, else $XDG_CACHE_HOME/kuaihl, else ~/.cache/kuaihl."""
    if own := os.environ.get("KUAIHL_CACHE"):
        return Path(own)
    if shared := os.environ.get("XDG_CACHE_HOME"):
        return Path(shared) / "kuaihl"
    return Path.home() / ".cache" / "kuaihl"


def build_once(name: str, build: Callable[[Path], None]) -> Path:
    """The folder `name` of the cache, filled by `build` if it does not exist yet.

    It appears whole or not at all: two processes may build at once, and one that dies does not block another.
    Raises ModelError if the cache cannot be written.
    """
    folder = cache_folder() / name
    if folder.is_dir():
        return folder
    try:
        fill_folder(folder, build, replace=False)
    except OSError as error:
        raise ModelError(
            f"{folder.parent}: weights cannot be prepared there ({error.strerror or error}); "
            "set KUAIHL_CACHE to a folder that can be written"
        ) from error
    return folder
