"""The options of sinks, which send events to other programs, and the settings that they make (docs/events.md)."""

from dataclasses import dataclass
from os import environ
from pathlib import Path
from typing import Annotated

import typer

from kuaihl.engines.sinks.settings import COMMAND_SECONDS, REDIS_STREAM, SinkSettings
from kuaihl.models.errors import UsageError
from kuaihl_cli.options import PROGRAMS
from kuaihl_cli.terminal.timecode import time_between

_SECRET = "KUAIHL_WEBHOOK_SECRET"
# Options that mean nothing without another one.
_PARTNERS = {
    "webhook_secret_file": "webhook",
    "redis_stream": "redis",
    "kafka_config": "kafka",
    "on_highlight_timeout": "on_highlight",
}


@dataclass(frozen=True, kw_only=True)
class SinkOptions:
    """The options of events for other programs."""

    webhook: Annotated[
        tuple[str, ...],
        typer.Option(
            "--webhook", metavar="URL", show_default=False, rich_help_panel=PROGRAMS,
            help="POST each event to this address; may be repeated.",
        ),
    ] = ()  # fmt: skip
    webhook_secret_file: Annotated[
        Path | None,
        typer.Option(
            "--webhook-secret-file", metavar="FILE", rich_help_panel=PROGRAMS,
            help=f"Sign webhooks with the secret in this file; else in {_SECRET}.",
        ),
    ] = None  # fmt: skip
    events: Annotated[
        str | None,
        typer.Option(
            "--events", metavar="FILE", rich_help_panel=PROGRAMS,
            help="Append each event to this file as a line of JSON, or print it: -.",
        ),
    ] = None  # fmt: skip
    redis: Annotated[
        str | None,
        typer.Option(
            "--redis", metavar="URL", rich_help_panel=PROGRAMS, help="Add each event to a stream of this Redis server."
        ),
    ] = None
    redis_stream: Annotated[
        str | None,
        typer.Option(
            "--redis-stream",
            metavar="NAME",
            rich_help_panel=PROGRAMS,
            help=f"Its name, {REDIS_STREAM} by default.",
        ),
    ] = None
    kafka: Annotated[
        str | None,
        typer.Option(
            "--kafka", metavar="HOST:PORT/TOPIC", rich_help_panel=PROGRAMS,
            help="Send each event to a topic of this Kafka cluster.",
        ),
    ] = None  # fmt: skip
    kafka_config: Annotated[
        Path | None,
        typer.Option(
            "--kafka-config", metavar="FILE", rich_help_panel=PROGRAMS,
            help="Settings of Kafka's client, a line NAME=VALUE each: TLS, passwords.",
        ),
    ] = None  # fmt: skip
    nats: Annotated[
        str | None,
        typer.Option(
            "--nats", metavar="URL", rich_help_panel=PROGRAMS,
            help="Publish each event to nats://HOST:PORT/SUBJECT, a subject that a JetStream stream keeps.",
        ),
    ] = None  # fmt: skip
    on_highlight: Annotated[
        str | None,
        typer.Option(
            "--on-highlight", metavar="COMMAND", rich_help_panel=PROGRAMS,
            help="Run this for each highlight that closes, without a shell.",
        ),
    ] = None  # fmt: skip
    on_highlight_timeout: Annotated[
        float | None,
        typer.Option(
            "--on-highlight-timeout", parser=time_between(0.1), metavar="TIME", rich_help_panel=PROGRAMS,
            help=f"The longest time that the command may take, {COMMAND_SECONDS:g} s by default.",
        ),
    ] = None  # fmt: skip


def sink_settings(options: SinkOptions) -> SinkSettings:
    """The sinks that the options name. Raises UsageError for what cannot be used, or says nothing without another."""
    _check_partners(options)
    settings = SinkSettings(
        webhooks=options.webhook,
        webhook_secret=_read_secret(options),
        events=options.events,
        redis=options.redis,
        redis_stream=options.redis_stream or REDIS_STREAM,
        kafka=options.kafka,
        kafka_settings=_read_kafka_settings(options.kafka_config) if options.kafka_config is not None else (),
        nats=options.nats,
        on_highlight=options.on_highlight,
        on_highlight_timeout=options.on_highlight_timeout or COMMAND_SECONDS,
    )
    settings.check()
    return settings


def _check_partners(options: SinkOptions) -> None:
    for name, partner in _PARTNERS.items():
        if getattr(options, name) is not None and not getattr(options, partner):
            given, needed = (f"--{one.replace('_', '-')}" for one in (name, partner))
            raise UsageError(f"{given} says how {needed} works, which is missing; give both")


def _read_secret(options: SinkOptions) -> bytes | None:
    from kuaihl.engines.sinks.webhook import parse_secret

    if (file := options.webhook_secret_file) is not None:
        text = _read_text(file, "webhook_secret_file")
        try:
            return parse_secret(text)
        except UsageError as error:
            raise UsageError(str(error), setting="webhook_secret_file", value=str(file)) from error
    return parse_secret(environ[_SECRET]) if options.webhook and environ.get(_SECRET) else None


def _read_kafka_settings(file: Path) -> tuple[tuple[str, str], ...]:
    """The lines `name=value` of a file; empty lines and those that begin with # are comments."""
    found = []
    for number, line in enumerate(_read_text(file, "kafka_config").splitlines(), start=1):
        name, equals, value = line.partition("=")
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        if not equals:
            raise UsageError(f"line {number}: not NAME=VALUE", setting="kafka_config", value=str(file))
        found.append((name.strip(), value.strip()))
    return tuple(found)


def _read_text(file: Path, setting: str) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not text"
        raise UsageError(f"cannot be read ({reason})", setting=setting, value=str(file)) from error
