"""Events in a Redis stream: XADD, with the stream cut at its oldest end."""

from typing import TYPE_CHECKING

from kuaihl.engines.sinks.delivery import Refused, Unreachable
from kuaihl.engines.sinks.spool import Waiting
from kuaihl.models.credentials import shown_source
from kuaihl.models.errors import UsageError, reason_of

if TYPE_CHECKING:
    from redis import Redis

KEPT = 100_000  # entries of the stream, about


class RedisStream:
    """A stream of a Redis server."""

    def __init__(self, url: str, stream: str, *, timeout: float = 10.0, kept: int = KEPT) -> None:
        """Raises UsageError for an address that is none, or without the package."""
        self.name = f"{shown_source(url)} stream {stream}"
        self._stream, self._kept = stream, kept
        self._client = _connect(url, timeout)

    def send(self, waiting: Waiting) -> None:
        from redis.exceptions import DataError, RedisError

        fields: dict[str, str] = {
            "id": waiting.id,
            "type": waiting.event["type"],
            "source": waiting.event["source"],
            "event": waiting.to_json(),
        }
        try:
            self._client.xadd(self._stream, fields, maxlen=self._kept, approximate=True)  # type: ignore[arg-type]
        except DataError as error:
            raise Refused(reason_of(error)) from error
        except (RedisError, OSError) as error:
            raise Unreachable(f"does not take events ({reason_of(error)})") from error

    def close(self) -> None:
        self._client.close()


def _connect(url: str, timeout: float) -> "Redis":
    """A client; it connects with the first event."""
    try:
        from redis import Redis
        from redis.backoff import NoBackoff
        from redis.retry import Retry
    except ImportError as error:
        raise UsageError("needs a package that is not here: pip install 'kuaihl[redis]'", setting="redis") from error
    try:
        return Redis.from_url(url, socket_timeout=timeout, socket_connect_timeout=timeout, retry=Retry(NoBackoff(), 0))
    except ValueError as error:
        words = "not an address of redis://, rediss:// or unix://"
        raise UsageError(words, setting="redis", value=shown_source(url)) from error
