"""`kuaihl dataset simulate|build|info|validate`: make data sets to train on, and say what is in them."""

import sys
from pathlib import Path

import click

from kuaihl_cli.options import debug_option


@click.group()
def dataset() -> None:
    """Make data sets to train on, and say what is in them and what is wrong with them (docs/datasets.md).

    \b
    kuaihl dataset simulate -o simulated
    kuaihl dataset build recordings/ --views views.csv -o mine
    kuaihl dataset validate mine && kuaihl train mine -o bundle
    """


@dataset.command()
@click.option("--output", "-o", type=click.Path(path_type=Path), required=True, metavar="DIR")
@click.option("--rooms", type=click.IntRange(10), default=300, show_default=True)
@click.option("--streamers", type=click.IntRange(1), default=60, show_default=True)
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True)
@click.option(
    "--patches", type=click.Choice(["pooled", "whole"]), default="pooled", show_default=True,
    help="One visual token a frame, for training on CPU, or all that the encoder gives.",
)  # fmt: skip
@click.option(
    "--swaps", type=click.FloatRange(0.0, 1.0), default=0.08, show_default=True,
    help="How often a segment, speech tells of two things in another order than pictures show them.",
)  # fmt: skip
@click.option("--threads", type=click.IntRange(1, 256), metavar="N", envvar="KUAIHL_THREADS", help="CPU threads.")
@debug_option
def simulate(
    output: Path, rooms: int, streamers: int, seed: int, patches: str, swaps: float, threads: int | None
) -> None:
    """Simulate rooms with known causes, in the edge encoders' feature space, and measure the noise ceiling.

    Needs the edge weights and Pillow (pip install 'kuaihl[edge,train]'); docs/cold-start.md tells the causes.
    """
    from kuaihl.engines.cold_start_features import feature_bank
    from kuaihl.engines.profiles import EDGE, load_encoders, profile_record
    from kuaihl.models.simulated_set import SimulationPlan, write_simulated_set

    def tell(line: str) -> None:
        print(line, file=sys.stderr, flush=True)

    encoders = load_encoders(EDGE, device="cpu", threads=threads, asr="none")
    plan = SimulationPlan(rooms, streamers, seed, patches == "pooled", swaps)
    with click.progressbar(length=rooms, label="simulating", file=sys.stderr) as bar:
        ceiling = write_simulated_set(
            output,
            plan,
            *[feature_bank(split, encoders, tell) for split in ("train", "held-out")],
            profile=EDGE.name,
            encoders=profile_record(EDGE),
            tell=lambda _done, _rooms: bar.update(1),
        )
    reached = ceiling["next segment's true rate"]
    print(
        f"{output}: {rooms} rooms; ceiling of tau: {reached['tau']['0.0']} over the test, {reached['tau a room']} a room"
    )
