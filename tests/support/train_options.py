"""The settings of `kuaihl train` from a line of words."""

from pathlib import Path

from typer.main import get_command

from kuaihl_cli.command import settings_from
from kuaihl_cli.commands.train import app
from kuaihl_cli.commands.train_settings import TrainSettings


def train_settings(dataset: Path, words: str = "") -> TrainSettings:
    """The settings of `kuaihl train DATASET -o bundle WORDS`."""
    context = get_command(app).make_context("train", [str(dataset), "-o", "bundle", *words.split()])
    return settings_from(TrainSettings, context.params)
