"""Events in a topic of Kafka, against the broker for tests that librdkafka has in it: it speaks the real protocol."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from confluent_kafka import Consumer, Message, Producer, TopicPartition
from support.cloud_events import make_event
from support.kafka_broker import kafka_broker
from support.ports import free_port
from support.waiting import wait_until

from kuaihl.engines.sinks.delivery import Retry
from kuaihl.engines.sinks.settings import Sinks, SinkSettings
from kuaihl.models.errors import UsageError


@pytest.fixture
def brokers() -> Iterator[str]:
    cluster = Producer({"test.mock.num.brokers": 1, "bootstrap.servers": "ignored"})
    (broker,) = cluster.list_topics(timeout=10).brokers.values()
    yield f"{broker.host}:{broker.port}"
    cluster.purge()


def test_an_event_is_a_message_with_its_room_as_key(brokers: str, tmp_path: Path) -> None:
    with Sinks(SinkSettings(kafka=f"{brokers}/rooms"), tmp_path) as sinks:
        sinks(make_event(0, words="你好"))
        sinks(make_event(1))
        sinks.close()
        assert not sinks.take_notices()
    consumer = Consumer({"bootstrap.servers": brokers, "group.id": "test", "auto.offset.reset": "earliest"})
    consumer.subscribe(["rooms"])
    try:
        first, second = (consumer.poll(20) for _ in range(2))
    finally:
        consumer.close()
    assert first is not None and second is not None
    assert json.loads(first.value() or b"") == make_event(0, words="你好").to_dict()
    assert json.loads(second.value() or b"")["data"]["segment"] == 1
    assert first.key() == b"/kuaihl/rooms/room"
    assert first.headers() == [("content-type", b"application/cloudevents+json; charset=UTF-8")]


def test_events_wait_for_a_cluster_that_is_away(tmp_path: Path) -> None:
    away = SinkSettings(kafka=f"127.0.0.1:{free_port()}/rooms", timeout=0.3, patience=3.0, retry=Retry(first=0.01))
    with Sinks(away, tmp_path) as sinks:
        sinks(make_event(0))
        sinks.close()
        told = sinks.take_notices()
    assert "does not take events" in told[0] and "tried again" in told[0]
    assert "1 event not delivered" in told[-1]


def test_a_cluster_that_has_forgotten_us_gets_every_event_once(tmp_path: Path) -> None:
    port = free_port()
    known = SinkSettings(kafka=f"127.0.0.1:{port}/rooms", timeout=1.0, retry=Retry(first=0.01, longest=0.1))
    with Sinks(known, tmp_path) as sinks:
        with kafka_broker(port) as broker:
            sinks(make_event(0))
            found = [one_message(broker)]
        sinks(make_event(1))
        told: list[str] = []
        wait_until(lambda: told.extend(sinks.take_notices()) or told, "the notice")  # type: ignore[func-returns-value]
        with kafka_broker(port) as broker:
            sinks(make_event(2))
            found += [one_message(broker, offset) for offset in range(2)]
    assert [json.loads(message.value() or b"")["data"]["segment"] for message in found] == [0, 1, 2]


def one_message(broker: str, offset: int = 0) -> Message:
    """The message with this number, as soon as it is there."""
    consumer = Consumer({"bootstrap.servers": broker, "group.id": "test", "allow.auto.create.topics": True})
    consumer.assign([TopicPartition("rooms", 0, offset)])
    try:
        return wait_until(lambda: (found := consumer.poll(0.5)) and not found.error() and found, "the message")
    finally:
        consumer.close()


@pytest.mark.parametrize(
    ("address", "more"), [("host/x", ()), ("/x", ()), ("host:9092/a/b", ()), ("host:9092/x", (("no.such", "1"),))]
)
def test_what_cannot_be_used_is_refused_before_anything_is_scored(
    address: str, more: tuple[tuple[str, str], ...]
) -> None:
    with pytest.raises(UsageError, match=r"kafka|Kafka"):
        SinkSettings(kafka=address, kafka_settings=more).check()
