"""Events in a topic of Kafka, by librdkafka: the key is the room's, so a room's events keep their order."""

import logging
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from kuaihl.engines.sinks.cloud_event import MEDIA_TYPE
from kuaihl.engines.sinks.delivery import Refused, Unreachable
from kuaihl.engines.sinks.spool import Waiting
from kuaihl.models.errors import UsageError, reason_of

if TYPE_CHECKING:
    from confluent_kafka import Producer

LOG = logging.getLogger("kuaihl")


class KafkaTopic:
    """A topic of a cluster."""

    def __init__(
        self, brokers: str, topic: str, *, settings: Mapping[str, str] | None = None, timeout: float = 10.0
    ) -> None:
        """`brokers` as HOST:PORT[,…]; `settings` are librdkafka's, such as those of SASL and TLS.

        Raises UsageError for settings that it does not know, or without the package.
        """
        self.name = f"kafka {brokers} topic {topic}"
        self._topic, self._timeout = topic, timeout
        self._settings = {
            "bootstrap.servers": brokers,
            "client.id": "kuaihl",
            "enable.idempotence": True,  # its own tries leave no copy
            "log_level": 2,  # what fails is an answer to an event as well
            "message.timeout.ms": round(timeout * 1000),
            **(settings or {}),
        }
        self._producer = _connect(self._settings)

    def send(self, waiting: Waiting) -> None:
        from confluent_kafka import KafkaError, KafkaException

        answers: list[KafkaError | None] = []
        try:
            self._producer.produce(
                self._topic,
                waiting.to_json().encode("utf-8", "replace"),
                key=waiting.event["source"].encode(),
                headers=[("content-type", f"{MEDIA_TYPE}; charset=UTF-8".encode())],
                on_delivery=lambda error, _message: answers.append(error),
            )
            self._producer.flush(self._timeout + 1.0)
        except (KafkaException, BufferError) as error:
            if isinstance(error, KafkaException) and error.args[0].code() == KafkaError._FATAL:
                # The cluster has forgotten this producer, which will never send again; another one may.
                self._producer = _connect(self._settings)
            raise Unreachable(f"does not take events ({reason_of(error)})") from error
        if not answers:
            self._producer.purge()
            raise Unreachable("does not answer")
        if (answer := answers[0]) is None:
            return
        if answer.code() in (KafkaError.MSG_SIZE_TOO_LARGE, KafkaError.INVALID_MSG):
            raise Refused(reason_of(answer.str()))
        raise Unreachable(f"does not take events ({reason_of(answer.str())})")

    def close(self) -> None:
        self._producer.purge()


def _connect(settings: dict[str, Any]) -> "Producer":
    """A producer; it connects in the background."""
    try:
        from confluent_kafka import KafkaException, Producer
    except ImportError as error:
        raise UsageError("needs a package that is not here: pip install 'kuaihl[kafka]'", setting="kafka") from error
    try:
        return Producer(settings, logger=LOG)
    except KafkaException as error:
        words = f"Kafka's client refuses its settings ({reason_of(error.args[0].str())})"
        raise UsageError(words, setting="kafka") from error
