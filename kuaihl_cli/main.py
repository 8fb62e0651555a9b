"""The `kuaihl` command: runs the sub-command; turns every error into one line and an exit code (docs/exit-codes.md)."""

import logging
import os
import sys
from contextlib import suppress
from dataclasses import dataclass
from importlib import import_module
from io import TextIOWrapper
from typing import Annotated, Any

import typer
from typer.core import TyperCommand, TyperGroup
from typer.exceptions import TyperException

from kuaihl.models.credentials import mask_credentials
from kuaihl.models.errors import KuaihlError, reason_of
from kuaihl_cli.terminal.errors import error_words
from kuaihl_cli.terminal.interrupt import EXIT_INTERRUPTED, sigterm_interrupts
from kuaihl_cli.terminal.messages import LOG

_EXIT_OK, _EXIT_UNEXPECTED, _EXIT_USAGE = 0, 1, 2

_SCORING, _LEARNING, _DEPLOYING = "Find highlights", "Train and measure", "Deploy"


@dataclass(frozen=True)
class _Entry:
    """A command as the help lists it; its module, which contains `app`, is imported only when the command runs."""

    module: str
    panel: str
    help: str


_LONGEST_REASON = 300  # characters of the message of an unexpected error or the command line's parser

COMMANDS = {
    "score": _Entry("score", _SCORING, "Score recordings or a live stream, and find their highlights."),
    "batch": _Entry("batch", _SCORING, "Score every recording of a folder or a manifest in worker processes."),
    "batch status": _Entry("batch_status", _SCORING, "Show what became of the recordings of a batch."),
    "watch": _Entry("watch", _SCORING, "Score recordings as recorders finish them."),
    "serve": _Entry("serve", _SCORING, "Score many live rooms in one process, with an HTTP API."),
    "highlights": _Entry("highlights", _SCORING, "Choose highlights anew from the scores of earlier runs."),
    "report": _Entry("report", _SCORING, "Write a page over all recordings of a batch."),
    "dataset": _Entry("dataset", _LEARNING, "Make data sets to train on, and report what is in them."),
    "train": _Entry("train", _LEARNING, "Train a network on a data set and write a bundle."),
    "eval": _Entry("eval", _LEARNING, "Measure how well bundles order the segments of a data set."),
    "cold-start": _Entry("cold_start", _LEARNING, "Train the default bundle again, on simulated rooms."),
    "export": _Entry("export", _DEPLOYING, "Compile a bundle for ONNX Runtime or TensorRT."),
    "bench": _Entry("bench", _DEPLOYING, "Time a bundle in every engine that is installed."),
    "doctor": _Entry("doctor", _DEPLOYING, "Report what was found on this machine, and what is missing."),
}


class _LazyGroup(TyperGroup):
    """A group that lists its commands without importing them, and imports the one that runs."""

    def __init__(self, **attributes: Any) -> None:
        super().__init__(**attributes)
        self.commands = {
            name: TyperCommand(name, help=entry.help, rich_help_panel=entry.panel) for name, entry in COMMANDS.items()
        }

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        both = " ".join(args[:2])
        if " " in both and both in COMMANDS:  # `batch status`; a folder of that name is ./status
            return both, load_command(both), args[2:]
        name, listed, rest = super().resolve_command(ctx, args)
        return name, load_command(name) if name is not None and listed is not None else None, rest

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            raise typer.Abort from None
        except BrokenPipeError:
            # The reader of a pipe has gone (`kuaihl … | head`): nothing is wrong, and nobody is left to read a message.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            raise typer.Exit(_EXIT_OK) from None


def load_command(name: str) -> Any:
    """The command with that name, from its module."""
    command = typer.main.get_command(import_module(f"kuaihl_cli.commands.{COMMANDS[name].module}").app)
    command.name = name
    return command


app = typer.Typer(cls=_LazyGroup, rich_markup_mode="rich", context_settings={"help_option_names": ["-h", "--help"]})


def print_version(asked: bool) -> None:
    """`--version`: an eager option's callback."""
    if asked:
        from importlib.metadata import version

        typer.echo(f"kuaihl, version {version('kuaihl')}")
        raise typer.Exit


@app.callback(no_args_is_help=True)
def kuaihl(
    version: Annotated[
        bool, typer.Option("--version", is_eager=True, callback=print_version, help="Print the version.")
    ] = False,
) -> None:
    """Predict the highlights of a live stream while it is still on air.

    \b
    kuaihl score stream.flv --comments stream.xml
    kuaihl score rtmp://server/live/room --asr none
    kuaihl batch recordings/ -o scored --jobs 2
    kuaihl highlights stream.kuaihl --top 3 --clips
    kuaihl train my-dataset -o my-bundle
    """


def main(arguments: list[str] | None = None) -> None:
    """Run the command and end the process with its exit code."""
    asked: dict[str, bool] = {"debug": False}  # the command's options record here whether tracebacks are wanted
    command = typer.main.get_command(app)
    if isinstance(sys.stdout, TextIOWrapper):  # a terminal of another encoding shows what it can
        sys.stdout.reconfigure(errors="replace")
    try:
        with sigterm_interrupts():
            code = command.main(args=arguments, prog_name="kuaihl", obj=asked, standalone_mode=False)
        if code == EXIT_INTERRUPTED:
            _leave_at_once(code)  # all is written, and to take torch apart is 0.8 s of a processor that may be busy
        sys.exit(code if isinstance(code, int) else _EXIT_OK)
    except TyperException as error:
        if not error.format_message():  # a group without a command: its help has been printed
            sys.exit(_EXIT_USAGE)
        _fail(_usage_words(error), _EXIT_USAGE)
    except KuaihlError as error:
        if asked["debug"]:
            _print_traceback()
        _fail(error_words(error), error.exit_code)
    except (KeyboardInterrupt, typer.Abort):
        _print_error("interrupted")
        _leave_at_once(EXIT_INTERRUPTED)  # a thread still at work inside a library in C++ would abort an orderly end
    except Exception as error:
        LOG.debug("traceback", exc_info=True)
        if asked["debug"]:
            _print_traceback()
        name = type(error).__name__
        _fail(
            f"unexpected {name}: {reason_of(error, _LONGEST_REASON)}; run again with --debug for the traceback",
            _EXIT_UNEXPECTED,
        )


def _usage_words(error: TyperException) -> str:
    """The error in a command line, or in the variable or file that an option came from."""
    ctx, words = getattr(error, "ctx", None), reason_of(error.format_message(), _LONGEST_REASON).rstrip(".")
    if close := getattr(error, "possibilities", None):
        words = f"{words.partition(' (')[0]}; did you mean {' or '.join(close)}?"
    if ctx is None:
        return words
    return f"{words}{_origin_words(ctx, error)} (see `{ctx.command_path} --help`)"


def _origin_words(ctx: typer.Context, error: TyperException) -> str:
    """The origin of a bad value, unless it was typed."""
    option = getattr(error, "param", None)
    source = None if option is None else ctx.get_parameter_source(option.name)
    if option is None or source is None:
        return ""
    origins = {"ENVIRONMENT": f", in the variable {option.envvar}", "DEFAULT_MAP": ", in the configuration file"}
    return origins.get(source.name, "")


def _print_traceback() -> None:
    """Print the traceback of the error being handled, without the credentials of URLs."""
    from traceback import format_exc

    typer.echo(mask_credentials(format_exc()), err=True, nl=False)


def _print_error(message: str) -> None:
    message = mask_credentials(message)
    LOG.error(message)
    typer.echo(f"kuaihl: error: {message}", err=True)


def _fail(message: str, code: int) -> None:
    """Print an error on standard error and exit with `code`."""
    _print_error(message)
    sys.exit(code)


def _leave_at_once(code: int) -> None:
    """Exit without the interpreter's own end."""
    logging.shutdown()
    with suppress(OSError, ValueError):
        sys.stdout.flush()
    os._exit(code)


if __name__ == "__main__":
    main()
