"""Which programs are told, as one value, and the sinks that it opens."""

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Literal, Protocol, Self

from kuaihl.engines.sinks.cloud_event import CloudEvent, Kind
from kuaihl.engines.sinks.command import Command
from kuaihl.engines.sinks.delivery import Delivery, Retry, Sender
from kuaihl.engines.sinks.json_lines import STDOUT, JsonLines, check_target
from kuaihl.engines.sinks.kafka_topic import KafkaTopic
from kuaihl.engines.sinks.nats_subject import NatsSubject
from kuaihl.engines.sinks.redis_stream import RedisStream
from kuaihl.engines.sinks.spool import Spool
from kuaihl.engines.sinks.webhook import Webhook
from kuaihl.models.errors import UsageError

SPOOLS = ".sinks"  # the folder in a run folder
REDIS_STREAM = "kuaihl"  # unless another name is given
COMMAND_SECONDS = 60.0  # the longest time for a command, unless another one is given


class Sink(Protocol):
    """A receiver of events: a function of one, and an end."""

    def __call__(self, event: CloudEvent) -> None: ...

    def close(self) -> None: ...


@dataclass(frozen=True, kw_only=True)
class SinkSettings:
    """The sinks of a run. Opening raises UsageError for an address, a program or a package that cannot be used."""

    webhooks: tuple[str, ...] = ()  # http(s) addresses
    webhook_secret: bytes | None = field(default=None, repr=False)  # signs them
    events: str | None = None  # a file of JSON Lines, or - for standard output
    redis: str | None = None  # redis://HOST:PORT/DATABASE
    redis_stream: str = REDIS_STREAM
    kafka: str | None = None  # HOST:PORT[,…]/TOPIC
    kafka_settings: tuple[tuple[str, str], ...] = field(default=(), repr=False)  # librdkafka's
    nats: str | None = None  # nats://HOST:PORT/SUBJECT
    on_highlight: str | None = None  # a command for each closed highlight
    on_highlight_timeout: float = COMMAND_SECONDS
    timeout: float = 10.0  # seconds that a receiver has to answer
    patience: float = 10.0  # seconds that the end of a run waits for receivers
    reader_patience: float | None = None  # the same for whoever reads standard output; None: without end
    retry: Retry = field(default_factory=Retry)

    @property
    def has_any(self) -> bool:
        """Whether there is a sink."""
        return bool(self.webhooks or self.events or self.redis or self.kafka or self.nats or self.on_highlight)

    def check(self) -> None:
        """Raise UsageError for what cannot be used, before anything is scored."""
        if self.events is not None:
            check_target(self.events)
        for way in _ways_of(self, None):
            way.sender.close()


@dataclass(frozen=True)
class _Way:
    """A sender, and what its delivery needs to know."""

    sender: Sender
    kind: str
    address: str  # tells two of a kind apart
    patience: float | None  # seconds; None: without end
    kinds: tuple[Kind, ...] | None = None

    @property
    def spool_name(self) -> str:
        """A file's name that does not show the address."""
        return f"{self.kind}-{sha256(self.address.encode()).hexdigest()[:12]}"


def _ways_of(settings: SinkSettings, folder: Path | None) -> list[_Way]:
    """How each one is reached. Raises UsageError."""
    ways = [
        _Way(Webhook(url, secret=settings.webhook_secret, timeout=settings.timeout), "webhook", url, settings.patience)
        for url in settings.webhooks
    ]
    if settings.events is not None:
        patience = settings.reader_patience if settings.events == STDOUT else settings.patience
        place = STDOUT if settings.events == STDOUT else str(Path(settings.events).resolve())
        ways.append(_Way(JsonLines(settings.events, timeout=settings.timeout), "events", place, patience))
    if settings.redis is not None:
        sender = RedisStream(settings.redis, settings.redis_stream, timeout=settings.timeout)
        ways.append(_Way(sender, "redis", f"{settings.redis} {settings.redis_stream}", settings.patience))
    if settings.kafka is not None:
        brokers, topic = _split_kafka(settings.kafka)
        topic_of = KafkaTopic(brokers, topic, settings=dict(settings.kafka_settings), timeout=settings.timeout)
        ways.append(_Way(topic_of, "kafka", settings.kafka, settings.patience))
    if settings.nats is not None:
        nats = NatsSubject(settings.nats, timeout=settings.timeout)
        ways.append(_Way(nats, "nats", settings.nats, settings.patience))
    if settings.on_highlight is not None:
        run_folder = str(folder.resolve()) if folder is not None else None
        command = Command(settings.on_highlight, timeout=settings.on_highlight_timeout, folder=run_folder)
        patience = settings.on_highlight_timeout + settings.patience
        ways.append(_Way(command, "command", settings.on_highlight, patience, ("highlight.closed",)))
    return ways


class Sinks:
    """All sinks of a room as one; none of them holds up or ends the run."""

    def __init__(self, settings: SinkSettings, folder: Path | None) -> None:
        """`folder` is the run folder, which keeps what is not delivered yet."""
        self._notices: SimpleQueue[str] = SimpleQueue()
        self._deliveries: list[Delivery] = []
        self.left = 0  # events that were not delivered until `close`, and may be later
        self.is_gone = False  # some receiver takes no more events
        with ExitStack() as stack:
            for way in _ways_of(settings, folder):
                delivery = _deliver_by(way, folder, settings.retry, self._notices.put)
                stack.callback(delivery.stop)
                self._deliveries.append(delivery)
            stack.pop_all()

    def __call__(self, event: CloudEvent) -> None:
        for deliver in self._deliveries:
            deliver(event)

    def take_notices(self) -> list[str]:
        """What went wrong or right with deliveries since the last call, a line each."""
        found = []
        while True:
            try:
                found.append(self._notices.get_nowait())
            except Empty:
                return found

    def close(self) -> None:
        """Deliver what waits, as long as the settings' patience lasts. Idempotent."""
        deliveries, self._deliveries = self._deliveries, []
        for delivery in deliveries:
            delivery.hurry()
        for delivery in deliveries:
            delivery.close()
            self.left += delivery.left
            self.is_gone |= delivery.is_gone

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _deliver_by(way: _Way, folder: Path | None, retry: Retry, notify: Callable[[str], None]) -> Delivery:
    """A delivery that has begun. Raises UsageError if it has nowhere to keep events."""
    with ExitStack() as stack:
        stack.callback(way.sender.close)
        try:
            spool = Spool.shared(folder / SPOOLS if folder is not None else None, way.spool_name)
        except OSError as error:
            raise UsageError(f"{folder}: events cannot be kept there ({error.strerror})") from error
        stack.callback(spool.close)
        delivery = Delivery(way.sender, spool, notify=notify, kinds=way.kinds, retry=retry, patience=way.patience)
        stack.pop_all()  # both are the delivery's
    return delivery


def deliver_left(
    settings: SinkSettings, folder: Path, report: Callable[[str], None]
) -> Literal["delivered", "left", "gone"]:
    """Deliver what earlier runs into a folder could not.

    Says whether some of it is left for a later try, or else whether a receiver takes no more. Raises UsageError as
    opening sinks does.
    """
    if not (settings.has_any and (folder / SPOOLS).is_dir()):
        return "delivered"
    with Sinks(settings, folder) as sinks:
        sinks.close()
        for line in sinks.take_notices():
            report(line)
    if sinks.left:
        return "left"
    return "gone" if sinks.is_gone else "delivered"


def _split_kafka(address: str) -> tuple[str, str]:
    """Brokers and topic. Raises UsageError."""
    brokers, _, topic = address.partition("/")
    topic = topic or "kuaihl"
    if not brokers or not all(":" in broker for broker in brokers.split(",")) or "/" in topic:
        raise UsageError("not HOST:PORT[,HOST:PORT…]/TOPIC", setting="kafka", value=address)
    return brokers, topic
