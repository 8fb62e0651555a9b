"""Where results go: a folder, or with an address in an object store a folder on disk from which they are put there."""

from pathlib import Path

from kuaihl.engines.archive.names import stable_name
from kuaihl.engines.stores.urls import is_stored
from kuaihl.engines.weights.cache import cache_folder
from kuaihl.models.credentials import shown_source
from kuaihl.models.errors import UsageError


def place_on_disk(output: str, work: Path | None) -> Path:
    """The folder that is written into; for an address it is the same each time. Raises UsageError for other URLs."""
    if not is_stored(output):
        if "://" in output:
            raise UsageError("results go to a folder, or to s3://, gs:// or az://", setting="output", value=output)
        return Path(output)
    return work or cache_folder() / "stored" / stable_name(shown_source(output).rstrip("/"))
