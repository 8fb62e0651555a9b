"""`kuaihl serve`: many live rooms in one process over one set of models, with an HTTP API."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from kuaihl.engines.scoring.settings import ScoreSettings
from kuaihl.models.errors import UsageError
from kuaihl_cli.command import RULE, application, read_settings
from kuaihl_cli.options import (
    SOURCES,
    AsrOption,
    DeviceOption,
    EngineOption,
    LanguageOption,
    ModelOption,
    PrecisionOption,
    QuietOption,
    SegmentSecondsOption,
    TextWeightsOption,
    ThreadsOption,
    TimeoutOption,
    WhisperModelOption,
)
from kuaihl_cli.run_options import check_speech
from kuaihl_cli.sink_options import SinkOptions, sink_settings
from kuaihl_cli.terminal.errors import worded
from kuaihl_cli.terminal.interrupt import EXIT_INTERRUPTED, stopped_by_signals
from kuaihl_cli.terminal.messages import log_only, say
from kuaihl_cli.terminal.timecode import time_between

_API, _HOOKS = "API", "Hooks of media servers and recorders"

app = application()


@dataclass(frozen=True, kw_only=True)
class ServeOptions(SinkOptions):
    """The options of `kuaihl serve`."""

    output: Annotated[
        Path,
        typer.Option(
            "--output", "-o", metavar="DIR", help="The folder for all rooms; each broadcast has a run folder."
        ),
    ] = Path("rooms")
    host: Annotated[
        str, typer.Option("--host", metavar="ADDRESS", rich_help_panel=_API, help="The address to listen on.")
    ] = "127.0.0.1"
    port: Annotated[
        int, typer.Option("--port", min=0, max=65535, metavar="N", rich_help_panel=_API, help="0 takes a free one.")
    ] = 8750
    token_file: Annotated[
        Path | None,
        typer.Option(
            "--token-file", metavar="FILE", rich_help_panel=_API,
            help="A file with the token that callers must send; needed if others can reach the address.",
        ),
    ] = None  # fmt: skip
    token: Annotated[
        str | None,
        typer.Option(
            "--token", metavar="TOKEN", rich_help_panel=_API,
            help="The token itself; better in the variable, as others see a command line.",
        ),
    ] = None  # fmt: skip
    rooms: Annotated[
        Path | None,
        typer.Option("--rooms", metavar="FILE", rich_help_panel=SOURCES, help="A rooms.yaml, followed as it changes."),
    ] = None
    allow_host: Annotated[
        tuple[str, ...],
        typer.Option(
            "--allow-host", metavar="HOST", rich_help_panel=SOURCES,
            help="A host, address or network that rooms of the API may read although it is not public.",
        ),
    ] = ()  # fmt: skip
    max_rooms: Annotated[int, typer.Option("--max-rooms", min=1, max=10_000, metavar="N", help="Rooms at most.")] = 500
    max_wait: Annotated[
        float,
        typer.Option(
            "--max-wait", parser=time_between(1.0, 300.0), metavar="TIME",
            help="How long a segment waits for its speech before it goes on without.",
        ),
    ] = 10.0  # fmt: skip
    pull: Annotated[
        str | None,
        typer.Option(
            "--pull", metavar="URL", rich_help_panel=_HOOKS,
            help="Where an announced stream is read: rtmp://127.0.0.1/{app}/{stream}; also {path} and {vhost}.",
        ),
    ] = None  # fmt: skip
    grace: Annotated[
        float,
        typer.Option(
            "--grace", parser=time_between(0.0, 3600.0), metavar="TIME", rich_help_panel=_HOOKS,
            help="How long a room outlives its publisher, who may come back.",
        ),
    ] = 20.0  # fmt: skip
    recordings: Annotated[
        Path | None,
        typer.Option(
            "--recordings", metavar="DIR", rich_help_panel=_HOOKS,
            help="The folder of a recorder whose webhook announces finished files, which are scored.",
        ),
    ] = None  # fmt: skip
    model: ModelOption = "edge"
    device: DeviceOption = "auto"
    engine: EngineOption = "auto"
    precision: PrecisionOption = "auto"
    threads: ThreadsOption = None
    asr: AsrOption = "auto"
    whisper_model: WhisperModelOption = None
    language: LanguageOption = None
    text_weights: TextWeightsOption = None
    segment_seconds: SegmentSecondsOption = None
    timeout: TimeoutOption = 10.0
    quiet: QuietOption = False


@app.command(epilog=RULE)
@read_settings(ServeOptions)
def serve(options: ServeOptions) -> int:
    """Score many live rooms at once: they come and go by an HTTP API, by a media server's hooks or by a file.

    \b
    kuaihl serve -o rooms
    curl -X POST localhost:8750/rooms -H 'Content-Type: application/json' \\
         -d '{"id": "ann", "url": "https://example.org/live/ann.flv"}'
    curl localhost:8750/scores

    Each broadcast has a run folder in DIR/ROOM. Ctrl-C or SIGTERM ends the server within 10 seconds; the next one goes
    on with its rooms, and so it does after a crash.
    """
    from kuaihl.engines.serving.settings import ServeSettings, check_packages, check_settings

    check_packages()
    settings = ServeSettings(
        output=options.output,
        host=options.host,
        port=options.port,
        token=_token_of(options),
        rooms_file=options.rooms,
        allow_host=options.allow_host,
        most_rooms=options.max_rooms,
        max_wait=options.max_wait,
        pull=options.pull,
        grace=options.grace,
        recordings=options.recordings,
        sinks=sink_settings(options),
    )
    check_settings(settings)
    report = log_only if options.quiet else say
    from kuaihl.engines.scoring.model import load_model
    from kuaihl.engines.serving.server import serve as serve_rooms

    with stopped_by_signals() as stop:
        model = load_model(_score_settings(options), worded(report))
        if stop.is_set():
            return EXIT_INTERRUPTED
        serve_rooms(model, settings, stop, report)
    return EXIT_INTERRUPTED  # with which the process is left at once: a thread may still be inside FFmpeg


def _token_of(options: ServeOptions) -> str | None:
    """The token in the file, or the one given. Raises UsageError for an unusable one."""
    if options.token_file is None:
        token = options.token
    elif options.token is not None:
        raise UsageError("--token and --token-file exclude each other: give one of them")
    else:
        try:
            token = options.token_file.read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            raise UsageError(f"{options.token_file}: the token cannot be read ({error})") from error
    if token is not None and not (len(token) >= 16 and token.isascii() and token.isprintable() and " " not in token):
        raise UsageError("the token needs at least 16 characters of ASCII without spaces: openssl rand -hex 24")
    return token


def _score_settings(options: ServeOptions) -> ScoreSettings:
    check_speech(options.asr, options.language, options.whisper_model)
    return ScoreSettings(
        model=options.model,
        device=options.device,
        engine=options.engine,
        precision=options.precision,
        threads=options.threads,
        asr=options.asr,
        whisper_model=options.whisper_model,
        text_weights=options.text_weights,
        language=options.language,
        segment_seconds=options.segment_seconds,
        timeout=options.timeout,
    )
