"""`kuaihl cold-start -o BUNDLE`: train the default bundle again, on simulated rooms in the real feature space."""

import sys
from pathlib import Path
from typing import Any

import click

from kuaihl_cli.options import debug_option


@click.command(name="cold-start")
@click.option(
    "--output", "-o", type=click.Path(path_type=Path), required=True, metavar="BUNDLE", help="Where the bundle goes."
)
@click.option("--rooms", type=click.IntRange(20), default=800, show_default=True, help="Simulated rooms to train on.")
@click.option("--epochs", type=click.IntRange(1), default=8, show_default=True)
@click.option("--seed", type=int, default=0, show_default=True)
@click.option("--threads", type=click.IntRange(1, 256), metavar="N", envvar="KUAIHL_THREADS", help="CPU threads.")
@debug_option
def cold_start(output: Path, rooms: int, epochs: int, seed: int, threads: int | None) -> None:
    """Train the default bundle's head on simulated rooms, and measure it on held-out ones.

    Needs the edge weights and Pillow (pip install 'kuaihl[edge,train]'); docs/cold-start.md says what it learns.
    """
    from kuaihl.engines.cold_start_features import feature_bank
    from kuaihl.engines.profiles import EDGE, load_encoders, profile_record
    from kuaihl.models.bundle import LabelFacts, save_bundle
    from kuaihl.models.cold_start import train_cold_start

    def tell(line: str) -> None:
        print(line, file=sys.stderr, flush=True)

    encoders = load_encoders(EDGE, device="cpu", threads=threads, asr="none")
    banks = [feature_bank(split, encoders, tell) for split in ("train", "held-out")]
    trained = train_cold_start(*banks, rooms=rooms, epochs=epochs, seed=seed, tell=tell)
    save_bundle(
        output,
        trained.network,
        profile=EDGE.name,
        encoders=profile_record(EDGE),
        label=LabelFacts(source="simulated"),
        licence_weights="MIT",
        licence_data="simulated; sentences and scenes written for this project (MIT)",
        metrics=trained.metrics | {"command": f"kuaihl cold-start --rooms {rooms} --epochs {epochs} --seed {seed}"},
        score_quantiles=trained.score_quantiles,
        head_dtype="float16",
    )
    for question in ("next", "present"):
        print(f"{question} segment")
        measured = trained.metrics[question]
        for name, found in measured["kendall_tau_a_room"].items():
            print_interval(name, found)
        print_interval("head less best known rule", measured["margin_over_best_known_rule"])
        for name, part in measured["parts"].items():
            print_interval(f"{name}: head", part["head"])
            print_interval(f"{name}: head less best known rule", part["margin"])


def print_interval(name: str, found: dict[str, Any]) -> None:
    """A line of a table."""
    low, high = found["ci95"]
    print(f"  {name:<60} tau {found['tau']:6.3f}  [{low:.3f}, {high:.3f}]")
