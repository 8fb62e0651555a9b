"""The `kuaihl` command: finds the sub-command; every error becomes one line and an exit code (docs/exit-codes.md)."""

import sys
import tomllib
from dataclasses import dataclass
from importlib import import_module
from os import environ
from pathlib import Path
from typing import Any

import click

from kuaihl.models.errors import KuaihlError, UsageError

EXIT_OK, EXIT_UNEXPECTED, EXIT_USAGE, EXIT_INTERRUPTED = 0, 1, 2, 130

# Sub-command → the module that holds it; a module is imported only when its command is asked for.
COMMANDS = {
    "score": "kuaihl_cli.score",
    "batch": "kuaihl_cli.batch",
    "dataset": "kuaihl_cli.dataset",
    "train": "kuaihl_cli.train",
    "eval": "kuaihl_cli.eval",
    "export": "kuaihl_cli.export",
    "bench": "kuaihl_cli.bench",
    "cold-start": "kuaihl_cli.cold_start",
    "doctor": "kuaihl_cli.doctor",
}


@dataclass
class Invocation:
    """What the outermost edge must know of the options: whether the user asked for tracebacks."""

    debug: bool = False


class LazyGroup(click.Group):
    """A click group whose commands are imported by name when they are looked up."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        command = getattr(import_module(COMMANDS[cmd_name]), cmd_name.replace("-", "_"))
        assert isinstance(command, click.Command)
        return command


def config_path() -> Path:
    """Where defaults may be kept: `$KUAIHL_CONFIG`, else `kuaihl/config.toml` under the XDG configuration folder."""
    if "KUAIHL_CONFIG" in environ:
        return Path(environ["KUAIHL_CONFIG"])
    return Path(environ.get("XDG_CONFIG_HOME") or Path.home() / ".config") / "kuaihl" / "config.toml"


def read_config(path: Path) -> dict[str, Any]:
    """Defaults of options, a table a command: `[score]` / `device = "cuda"`.

    Raises UsageError where the file is not TOML.
    """
    if not path.is_file():
        return {}
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"{path} is not valid TOML: {error}") from error


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(package_name="kuaihl", prog_name="kuaihl")
@click.pass_context
def cli(ctx: click.Context) -> None:
    """Predict the highlights of a live stream while it is still on air.

    \b
    kuaihl score stream.flv --comments stream.xml
    kuaihl score rtmp://server/live/room --asr none
    kuaihl batch recordings/ -o scored --jobs 2
    kuaihl train my-dataset -o my-bundle
    """
    ctx.default_map = read_config(config_path())


def main(arguments: list[str] | None = None) -> None:
    """Run the command and end the process with its exit code."""
    invocation = Invocation()
    try:
        code = cli.main(args=arguments, prog_name="kuaihl", obj=invocation, standalone_mode=False)
        sys.exit(code if isinstance(code, int) else EXIT_OK)
    except click.exceptions.NoArgsIsHelpError as error:
        error.show()
        sys.exit(EXIT_USAGE)
    except click.UsageError as error:
        command = error.ctx.command_path if error.ctx else "kuaihl"
        fail(f"{one_line(error.format_message()).rstrip('.')} (see `{command} --help`)", EXIT_USAGE)
    except click.ClickException as error:
        fail(error.format_message(), EXIT_USAGE)
    except KuaihlError as error:
        if invocation.debug:
            raise
        fail(str(error), error.exit_code)
    except (KeyboardInterrupt, click.Abort):
        fail("interrupted", EXIT_INTERRUPTED)
    except BrokenPipeError:
        # The reader of a pipe has gone (`kuaihl … | head`): nothing is wrong, and nobody is left to tell.
        sys.stderr.close()
        sys.exit(EXIT_OK)
    except Exception as error:
        if invocation.debug:
            raise
        name = type(error).__name__
        fail(f"unexpected {name}: {one_line(str(error))}; run again with --debug for the traceback", EXIT_UNEXPECTED)


def one_line(text: str) -> str:
    """The text on one line, shortened to what a terminal shows."""
    flat = " ".join(text.split())
    return flat if len(flat) <= 300 else flat[:299] + "…"


def fail(message: str, code: int) -> None:
    """Say what is wrong on standard error and end with `code`."""
    click.echo(f"kuaihl: error: {message}", err=True)
    sys.exit(code)


if __name__ == "__main__":
    main()
