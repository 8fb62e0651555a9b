"""The common settings of the paper's experiments: the amount of simulation and training, and the data.

Rooms have the proportions that the paper prints for KLive (docs/cold-start.md). "quick" takes ten minutes on two cores
and shows only large differences; "full" takes the rooms and seeds that steps of half a point need.
"""

import argparse
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import get_args

from kuaihl.models.data.klive import KLive, open_klive
from kuaihl.models.simulation.dataset import SimulationPlan, write_simulated_set
from kuaihl.models.simulation.feature_bank import FeatureBank
from kuaihl.models.simulation.proportions import Proportions, hosts_for

# Increased whenever the same plan gives other rooms or features, so that no old folder passes for a new one.
SIMULATOR = 3
DATA_FOLDER = "data"


@dataclass(frozen=True)
class Setting:
    """The same for every system and row."""

    rooms: int = 150
    streamers: int = 0  # 0: as many as KLive has for this number of rooms
    proportions: Proportions = "klive"
    width: int = 64
    heads: int = 4
    layers: int = 2
    epochs: int = 1
    learning_rate: float = 3e-3
    seeds: int = 3
    jobs: int = 2  # runs at a time, one thread each: two of them are quicker than one on two threads


SETTINGS = {"quick": Setting(), "full": Setting(rooms=1500, seeds=10)}


def arguments(description: str | None) -> tuple[Path, Path, Setting]:
    """The options of every script here: the folders for runs and results, and the setting."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, default=Path("paper-runs"), help="data set, runs and weights go here")
    parser.add_argument("--results", type=Path, default=Path(__file__).parents[2] / "docs" / "results")
    parser.add_argument("--setting", choices=list(SETTINGS), default="quick", help="what the others default to")
    for name, value in asdict(Setting()).items():
        choices = get_args(Proportions) if name == "proportions" else None
        parser.add_argument(f"--{name.replace('_', '-')}", type=type(value), choices=choices)
    given = vars(parser.parse_args())
    work, results, base = given.pop("work"), given.pop("results"), SETTINGS[given.pop("setting")]
    work.mkdir(parents=True, exist_ok=True)
    results.mkdir(parents=True, exist_ok=True)
    return work, results, Setting(**asdict(base) | {name: value for name, value in given.items() if value is not None})


def simulation_plan(setting: Setting) -> SimulationPlan:
    """The rooms of a setting."""
    usual = hosts_for(setting.rooms) if setting.proportions == "klive" else SimulationPlan.streamers
    return SimulationPlan(setting.rooms, setting.streamers or usual, proportions=setting.proportions)


def feature_banks() -> tuple[FeatureBank, FeatureBank]:
    """The material of training rooms and held-out rooms; made once per machine."""
    from kuaihl.engines.cold_start.features import feature_bank
    from kuaihl.engines.encoders.profiles import EDGE, load_encoders

    encoders = load_encoders(EDGE, device="cpu", asr="none")
    return feature_bank("train", encoders, tell), feature_bank("held-out", encoders, tell)


def data_folder(work: Path, setting: Setting) -> Path:
    """The folder of a setting's rooms."""
    plan = simulation_plan(setting)
    return work / f"{DATA_FOLDER}-v{SIMULATOR}-{plan.proportions}-{plan.rooms}-{plan.streamers}"


def data_set(work: Path, setting: Setting) -> KLive:
    """The simulated set, made on the first call."""
    plan, folder = simulation_plan(setting), data_folder(work, setting)
    if not (folder / "rooms.parquet").is_file():
        from kuaihl.engines.encoders.profiles import EDGE, profile_record

        write_simulated_set(folder, plan, *feature_banks(), profile=EDGE.name, encoders=profile_record(EDGE))
    return open_klive(folder)


def tell(line: str) -> None:
    print(line, file=sys.stderr, flush=True)
