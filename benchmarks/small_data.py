"""The worth of a few rooms: ridge, a network from scratch, one begun from the shipped head, and that head as it is.

python benchmarks/small_data.py [--rooms 10,50,500] [--seeds N] [--test-rooms 40] [--work DIR] [--markdown FILE]

Each number of simulated rooms is split as by `kuaihl dataset build`; each seed is another set. All models are scored on
the same rooms of streamers, sentences and scenes that neither they nor the shipped head have met. Results already in
--work are not made again.
"""

import argparse
import shlex
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from kuaihl.models.bundle import load_bundle
from kuaihl.models.data.klive import KLive, open_klive
from kuaihl.models.evaluation.rank_correlation import FEWEST_LABELS, kendall_tau_b
from kuaihl.models.evaluation.room_scores import score_rooms
from kuaihl.models.network.kuaihl import KuaiHL
from kuaihl.models.training.fine_tuning import begin_from

SYSTEMS: Mapping[str, tuple[str, ...]] = {
    "linear": ("--arch", "linear"),
    "from scratch": (),
    "from edge": ("--from", "edge"),
}
SHIPPED = "edge as it is"
TEST_SEED, FIRST_SEED = 1_000, 2_000  # different from the cold start's
HELD_OUT = 0.2  # of a simulated set: its validation and test rooms have sentences and scenes of their own
DRAWS = 2_000

Floats = NDArray[np.float64]
Taus = dict[str, Floats]  # by question, one tau per held-out room


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rooms", default="10,50", help="sizes of the sets, with commas (default: %(default)s)")
    parser.add_argument("--seeds", type=int, default=3, help="sets of each size (default: %(default)s)")
    parser.add_argument("--test-rooms", type=int, default=40, help="held-out rooms (default: %(default)s)")
    parser.add_argument("--work", type=Path, default=Path("small-data"), help="sets and bundles go there")
    parser.add_argument("--markdown", type=Path, help="write the table there, too")
    return parser.parse_args()


def main() -> None:
    asked = arguments()
    torch.set_num_threads(1)
    began = time.monotonic()
    test = open_klive(simulated(asked.work / "held-out", round(asked.test_rooms / HELD_OUT), TEST_SEED))
    lines = ["| rooms | labels | system | next: tau per room | less edge as it is | present: tau per room | seconds |"]
    lines += ["|---|---|---|---|---|---|---|"]
    shipped = taus_of("edge", test)
    lines.append(f"| – | – | {SHIPPED} | {cell(shipped, 'next')} | – | {cell(shipped, 'present')} | – |")
    for size in map(int, asked.rooms.split(",")):
        found: dict[str, list[Taus]] = {system: [] for system in SYSTEMS}
        seconds: dict[str, list[float]] = {system: [] for system in SYSTEMS}
        labels = []
        for seed in range(FIRST_SEED, FIRST_SEED + asked.seeds):
            data = simulated(asked.work / f"{size}-{seed}", size, seed)
            labels.append(labels_of(open_klive(data)))
            for system, options in SYSTEMS.items():
                bundle = asked.work / f"{size}-{seed}-{system.replace(' ', '-')}"
                seconds[system].append(trained(bundle, data, seed, options))
                found[system].append(taus_of(str(bundle), test))
                print(f"{size} rooms, seed {seed}, {system}: {cell(found[system][-1], 'next')}", file=sys.stderr)
        means = {system: mean_of(taus) for system, taus in found.items()}
        for system, taus in means.items():
            less = interval(taus["next"] - shipped["next"])
            cells = (cell(taus, "next"), less, cell(taus, "present"), f"{np.mean(seconds[system]):.0f}")
            lines.append(f"| {size} | {np.mean(labels):,.0f} | {system} | {' | '.join(cells)} |")
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True).stdout.strip()
    command = f"python benchmarks/small_data.py {shlex.join(sys.argv[1:])}".strip()
    lines += ["", f"`{command}`, commit {commit}, head {load_bundle('edge').head_sha256[:12]}, {len(test.rooms)} rooms"]
    lines[-1] += f" simulated to hold {asked.test_rooms} out, {time.monotonic() - began:.0f} s."
    print("\n".join(lines))
    if asked.markdown:
        asked.markdown.write_text("\n".join(lines) + "\n", encoding="utf-8")


def simulated(path: Path, rooms: int, seed: int) -> Path:
    """A simulated set, made if it is missing."""
    if not (path / "dataset.json").exists():
        kuaihl("dataset", "simulate", "-o", path, "--rooms", rooms, "--seed", seed, "--threads", 1)
    return path


def trained(bundle: Path, data: Path, seed: int, options: Sequence[str]) -> float:
    """Train if the bundle is missing; returns the seconds that training took."""
    took = bundle.with_name(f"{bundle.name}.seconds")
    if took.exists():
        return float(took.read_text(encoding="utf-8"))
    began = time.monotonic()
    kuaihl("train", data, "-o", bundle, "--seed", seed, "--device", "cpu", "--threads", 1, "--force", "-q", *options)
    took.write_text(f"{time.monotonic() - began:.1f}\n", encoding="utf-8")
    return float(took.read_text(encoding="utf-8"))


def kuaihl(*words: object) -> None:
    """Run the command; its errors are ours."""
    subprocess.run([sys.executable, "-m", "kuaihl_cli", *map(str, words)], check=True, stdout=subprocess.DEVNULL)


def labels_of(data: KLive) -> int:
    return sum(int(data.labels(record)[1].sum()) for record in data.rooms_of("train"))


def taus_of(model: str, data: KLive) -> Taus:
    """Taus of every held-out room, as of an unknown streamer; without interest, a score answers both questions."""
    bundle = load_bundle(model)
    network = bundle.network()
    if isinstance(network, KuaiHL):  # the shipped head was trained on whole patches; pooled ones lie in the same space
        network = begin_from(network, replace(bundle.dims, patches=data.facts.patches))[0]
    rooms = score_rooms(network, data, (*data.rooms_of("validation"), *data.rooms_of("test")), {})
    found: Taus = {"next": np.empty(0), "present": np.empty(0)}
    for room in rooms:
        if room.valid.sum() < FEWEST_LABELS:
            continue
        own = room.scores if room.present is None else room.present.scores
        labels, counted = data.check_room(room.record).present_labels()
        later = kendall_tau_b(room.scores[room.valid], room.labels[room.valid])
        now = kendall_tau_b(own[counted], labels[counted])
        for question, tau in (("next", later), ("present", now)):
            found[question] = np.append(found[question], np.nan_to_num(tau))
    return found


def mean_of(taus: Sequence[Taus]) -> Taus:
    """Each room's mean over the sets."""
    return {question: np.mean([each[question] for each in taus], axis=0) for question in taus[0]}


def cell(taus: Taus, question: str) -> str:
    return interval(taus[question])


def interval(values: Floats) -> str:
    """The mean with its 95% interval, by bootstrap over rooms."""
    draws = np.random.default_rng(0).integers(len(values), size=(DRAWS, len(values)))
    low, high = np.quantile(values[draws].mean(axis=1), (0.025, 0.975))
    return f"{values.mean():+.3f} ({low:+.3f} to {high:+.3f})"


if __name__ == "__main__":
    main()
