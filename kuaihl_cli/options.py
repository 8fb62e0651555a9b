"""Options that several commands share, and parsers of their values."""

from collections.abc import Callable
from typing import Any, TypeVar

import click

from kuaihl_cli.main import Invocation

Command = TypeVar("Command", bound=Callable[..., Any])


def note_debug(ctx: click.Context, _parameter: click.Parameter, value: bool) -> None:
    """Tell the outermost edge that tracebacks are wanted."""
    if value and isinstance(ctx.obj, Invocation):
        ctx.obj.debug = True


debug_option = click.option(
    "--debug", is_flag=True, expose_value=False, is_eager=True, callback=note_debug, help="Show tracebacks of errors."
)


def model_options(command: Command) -> Command:
    """What is run, and on what: shared by `score` and `batch`."""
    for option in reversed(
        [
            click.option(
                "--model", default="edge", show_default=True, metavar="BUNDLE", envvar="KUAIHL_MODEL",
                help="A bundle: a folder, or the name of one that ships with kuaihl.",
            ),
            click.option(
                "--device", default="auto", show_default=True, envvar="KUAIHL_DEVICE",
                help="auto, cpu, cuda or cuda:N.",
            ),
            click.option(
                "--engine", type=click.Choice(["auto", "torch", "onnx", "tensorrt", "tensorrt-rtx"]), default="auto",
                show_default=True, envvar="KUAIHL_ENGINE",
                help="What executes the networks; auto: what `kuaihl export` compiled, else torch.",
            ),
            click.option(
                "--precision", type=click.Choice(["auto", "fp32", "fp16", "bf16", "int8"]), default="auto",
                show_default=True, envvar="KUAIHL_PRECISION", help="In what they compute.",
            ),
            click.option(
                "--asr", type=click.Choice(["auto", "ctranslate2", "openai-whisper", "none"]), default="auto",
                show_default=True, envvar="KUAIHL_ASR", help="What transcribes speech.",
            ),
            click.option(
                "--whisper-model", metavar="NAME", envvar="KUAIHL_WHISPER_MODEL",
                help="Other Whisper weights: a folder or a hub name. By default what the bundle's profile names.",
            ),
            click.option(
                "--language", metavar="CODE", envvar="KUAIHL_LANGUAGE",
                help="Spoken language, such as en or zh; detected if not given.",
            ),
            click.option(
                "--segment-seconds", type=click.FloatRange(2.0, 300.0), metavar="S",
                help="Length of a segment; by default the one the bundle was trained on (30 s).",
            ),
            click.option(
                "--frames", type=click.Choice(["keyframe", "exact"]), default="keyframe", show_default=True,
                help="Which frames are read: keyframes as they pass, or the very instants (local files, slower).",
            ),
            click.option(
                "--threads", type=click.IntRange(1, 256), metavar="N", envvar="KUAIHL_THREADS",
                help="CPU threads; by default all cores.",
            ),
        ]
    ):  # fmt: skip
        command = option(command)
    return command


text_weights_option = click.option(
    "--text-weights", metavar="DIR", envvar="KUAIHL_TEXT_WEIGHTS",
    help="Other text weights: a BERT's folder as on the hub, of the width that the bundle was trained on.",
)  # fmt: skip


def highlight_options(command: Command) -> Command:
    """How highlights are chosen and written: shared by `score` and `batch`."""
    for option in reversed(
        [
            click.option("--top", type=click.IntRange(1), metavar="K", help="Keep the K best highlights."),
            click.option(
                "--min-score", type=click.FloatRange(0.0, 1.0), metavar="X",
                help="Leave out highlights with a lower score.",
            ),
            click.option("--clips", is_flag=True, help="Cut the highlights to media files by stream copy."),
            click.option("--plot", is_flag=True, help="Draw the curves with highlights shaded: scores.png."),
            click.option(
                "--format", "-f", "formats", default="", metavar="csv,srt,vtt",
                help="More files beside highlights.json and scores.jsonl.",
            ),
            click.option(
                "--comments-offset", type=float, default=0.0, show_default=True, metavar="S",
                help="Seconds added to every comment's time, where chat and video drift.",
            ),
        ]
    ):  # fmt: skip
        command = option(command)
    return command
