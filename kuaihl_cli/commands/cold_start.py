"""`kuaihl cold-start -o BUNDLE`: train the default bundle again, on simulated rooms in the real feature space."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from kuaihl_cli.command import RULE, application, read_settings
from kuaihl_cli.options import DeviceOption, SeedOption, ThreadsOption
from kuaihl_cli.terminal.messages import say

app = application()


@dataclass(frozen=True, kw_only=True)
class ColdStartSettings:
    """The options of `kuaihl cold-start`."""

    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="BUNDLE", help="The folder that the bundle goes to.")
    ]
    rooms: Annotated[int, typer.Option("--rooms", min=20, metavar="N", help="Simulated rooms to train on.")] = 800
    epochs: Annotated[int, typer.Option("--epochs", min=1, metavar="N", help="Passes over these rooms.")] = 8
    teachers: Annotated[
        int,
        typer.Option("--teachers", min=0, metavar="N", help="Heads whose mean the default head learns; 0: the labels."),
    ] = 3
    seed: SeedOption = 0
    device: DeviceOption = "auto"
    threads: ThreadsOption = None


@app.command("cold-start", epilog=RULE)
@read_settings(ColdStartSettings)
def cold_start(settings: ColdStartSettings) -> None:
    """Train the default bundle's head on simulated rooms, and measure it on held-out ones.

    Needs the edge weights and Pillow (pip install 'kuaihl\\[edge,train]'). docs/cold-start.md describes what it learns.
    """
    from kuaihl.engines.cold_start.features import feature_bank
    from kuaihl.engines.encoders.profiles import EDGE, load_encoders, profile_record
    from kuaihl.engines.runtimes.device import choose_device
    from kuaihl.models.bundle import save_bundle
    from kuaihl.models.facts import LabelFacts
    from kuaihl.models.simulation.cold_start import train_cold_start

    rooms, epochs, teachers, seed = settings.rooms, settings.epochs, settings.teachers, settings.seed
    device = choose_device(settings.device)
    encoders = load_encoders(EDGE, device=device, threads=settings.threads, asr="none")
    banks = [feature_bank(split, encoders, say) for split in ("train", "held-out")]
    trained = train_cold_start(
        *banks, rooms=rooms, epochs=epochs, seed=seed, teachers=teachers, device=device, on_message=say
    )
    save_bundle(
        settings.output,
        trained.network,
        profile=EDGE.name,
        encoders=profile_record(EDGE),
        label=LabelFacts(source="simulated"),
        licence_weights="MIT",
        licence_data="simulated; sentences and scenes written for this project (MIT)",
        metrics=trained.metrics | {"command": _command_line(settings, device)},
        score_quantiles=trained.score_quantiles,
        head_dtype="float16",
    )
    for question in ("next", "present"):
        print(f"{question} segment")
        measured = trained.metrics[question]
        for name, found in measured["kendall_tau_per_room"].items():
            _print_interval(name, found)
        _print_interval("head less best known rule", measured["margin_over_best_known_rule"])
        for name, part in measured["parts"].items():
            _print_interval(f"{name}: head", part["head"])
            _print_interval(f"{name}: head less best known rule", part["margin"])


def _command_line(settings: ColdStartSettings, device: str) -> str:
    """The command that trains this head again."""
    line = (
        f"kuaihl cold-start --rooms {settings.rooms} --epochs {settings.epochs} --teachers {settings.teachers} "
        f"--seed {settings.seed}"
    )
    return line if device == "cpu" else f"{line} --device {device}"


def _print_interval(name: str, found: dict[str, Any]) -> None:
    """Print one line of a table."""
    low, high = found["ci95"]
    print(f"  {name:<60} tau {found['tau']:6.3f}  [{low:.3f}, {high:.3f}]")
