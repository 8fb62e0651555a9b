"""Files and folders that appear whole or not at all: they are written beside their place, then moved there."""

import os
import secrets
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory


def write_atomic(path: Path, content: str | bytes) -> None:
    """Write bytes, or text as UTF-8. A reader sees the old file or the new one, even after a crash.

    Raises OSError, which the caller puts into words. Nothing is then left beside the place.
    """
    data = content.encode("utf-8", "replace") if isinstance(content, str) else content
    beside = path.with_name(f".{secrets.token_hex(6)}.part")  # short: a name may be as long as the system allows
    try:
        with beside.open("xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)
    except BaseException:
        beside.unlink(missing_ok=True)
        raise


def remove_torn(folder: Path) -> None:
    """Remove what a killed process left beside its place; nobody else may be writing into the folder."""
    for beside in folder.glob(".*.part"):
        beside.unlink(missing_ok=True)


def fill_folder(folder: Path, fill: Callable[[Path], None], *, replace: bool) -> None:
    """Let `fill` write into a new folder, then move it to `folder` and create the parents that are missing.

    An existing folder is replaced if `replace` is set. Otherwise it stays, since another process was first. Raises
    OSError and the errors of `fill`; the old folder is then in its place.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=folder.parent, prefix=f".{folder.name}-", ignore_cleanup_errors=True) as workshop:
        new, old = Path(workshop) / "new", Path(workshop) / "old"
        new.mkdir()
        fill(new)
        try:
            if replace and folder.exists():
                folder.rename(old)
            new.rename(folder)
        except OSError:
            if replace or not folder.is_dir():
                raise
        finally:
            if old.exists() and not folder.exists():
                old.rename(folder)
