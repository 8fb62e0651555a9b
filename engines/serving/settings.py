"""How to serve, and what can be found wrong with it before a model is loaded."""

from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path

from kuaihl.engines.sinks.settings import SinkSettings
from kuaihl.models.errors import Remedy, UsageError

MAX_WAIT = 10.0  # seconds: a third of a segment

_PACKAGES = {"starlette": "starlette", "uvicorn": "uvicorn", "prometheus_client": "prometheus-client", "yaml": "pyyaml"}


@dataclass(frozen=True, kw_only=True)
class ServeSettings:
    """How to serve."""

    output: Path  # the folder of all run folders
    host: str = "127.0.0.1"
    port: int = 8750
    token: str | None = None  # of the API; needed if others can reach the host
    rooms_file: Path | None = None
    allow_host: tuple[str, ...] = ()  # names, addresses and networks that rooms may read beside public ones
    most_rooms: int = 500
    rooms_per_reader: int = 40  # that a process of its own reads; 0: this process reads all of them
    max_wait: float = MAX_WAIT  # seconds that a segment waits for its speech to be transcribed
    pull: str | None = None  # the URL of a stream that a hook announces, with fields
    grace: float = 20.0  # seconds that a room outlives its publisher
    recordings: Path | None = None  # the folder that a recorder writes into, whose webhook announces its files
    sinks: SinkSettings = field(default_factory=SinkSettings)  # the programs that are told what happens in every room


def check_packages() -> None:
    """Raise UsageError if a package of serving is missing."""
    missing = [name for module, name in _PACKAGES.items() if find_spec(module) is None]
    if missing:
        raise UsageError(f"serving needs {', '.join(missing)}: pip install 'kuaihl[serve]'")


def check_settings(settings: ServeSettings) -> None:
    """Raise UsageError for settings known to fail before a model is loaded."""
    from kuaihl.engines.serving.access import parse_allowed
    from kuaihl.engines.serving.gate import is_loopback
    from kuaihl.engines.serving.hooks import check_template
    from kuaihl.engines.serving.rooms_file import read_rooms_file

    if settings.token is None and not is_loopback(settings.host):
        raise UsageError(
            "others can reach it, so callers need a token",
            setting="host",
            value=settings.host,
            remedy=Remedy("name a file that holds one", {"token_file": None}),
        )
    parse_allowed(settings.allow_host)
    if settings.pull is not None:
        check_template(settings.pull)
    if settings.recordings is not None and not settings.recordings.is_dir():
        raise UsageError("is no folder", setting="recordings", value=str(settings.recordings))
    if settings.rooms_file is not None:
        read_rooms_file(settings.rooms_file)
