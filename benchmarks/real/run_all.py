"""The shipped head, simple rules and models learned on the spot, on real labelled broadcasts.

python benchmarks/real/run_all.py [--json FILE] [--markdown FILE] [--model BUNDLE] [--real DIR] [--set NAME] [--fast]

--fast leaves out the networks trained here: minutes become one. Without ../shared/real, it prints a message and stops.
"""

import argparse
import json
import shlex
import sys
import time
from collections.abc import Callable
from pathlib import Path

import cross_validation
import torch
from head import Inputs, TextVectors, alone, inputs_of, scores_of
from intervals import DRAWS
from measures import ALONE, FINE_TUNED, HEAD, INTEREST, NETWORK, RIDGE, RIDGE_SIGNALS, SCORE, Found, Scores, measured
from page import as_json, page, provenance, section
from sets import READERS, RealSet

from kuaihl.models.bundle import Bundle, load_bundle

REAL = Path(__file__).resolve().parents[3] / "shared" / "real"


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--real", type=Path, default=REAL, help="the labelled broadcasts (default: %(default)s)")
    parser.add_argument("--model", default="edge", help="a bundle's folder or name (default: %(default)s)")
    parser.add_argument("--json", type=Path, help="write every figure there")
    parser.add_argument("--markdown", type=Path, help="write the page there")
    parser.add_argument("--set", choices=READERS, action="append", help="this set alone; may be given again")
    parser.add_argument("--fast", action="store_true", help="train no network")
    return parser.parse_args()


def main() -> None:
    asked = arguments()
    if not asked.real.is_dir():
        print(f"skipped: {asked.real} is not there; --real names a folder laid out as ../shared/real is")
        return
    torch.set_num_threads(1)
    began = time.monotonic()
    bundle = load_bundle(asked.model)
    vectors = TextVectors(bundle.profile)
    results = []
    for name in asked.set or READERS:
        if not any((asked.real / name).glob("*")):
            print(f"skipped: {asked.real / name} is not there\n")
            continue
        results.append(run(READERS[name](asked.real), bundle, vectors, fast=asked.fast))
        print(section(results[-1]) + "\n", flush=True)
    command = f"python benchmarks/real/run_all.py {shlex.join(sys.argv[1:])}".strip()
    made = provenance(command, bundle, time.monotonic() - began)
    print(made)
    if asked.markdown:
        asked.markdown.write_text(page(results, made), encoding="utf-8")
    if asked.json:
        asked.json.write_text(json.dumps(as_json(results, made), ensure_ascii=False, indent=1) + "\n", encoding="utf-8")


def run(real: RealSet, bundle: Bundle, vectors: TextVectors, *, fast: bool = False, draws: int = DRAWS) -> Found:
    """Measure everything on a set."""
    inputs = inputs_of(real, vectors)
    systems = head_systems(real, bundle, inputs)
    skipped = []
    learned: dict[str, Callable[[], Scores]] = {
        RIDGE: lambda: cross_validation.ridge(real, inputs, ("text", "signals")),
        RIDGE_SIGNALS: lambda: cross_validation.ridge(real, inputs, ("signals",)),
    }
    if fast:
        skipped.append("what trains a network (--fast)")
    else:
        learned[NETWORK] = lambda: cross_validation.network(
            real, inputs, lambda: cross_validation.small_network(inputs), cross_validation.FROM_SCRATCH
        )
        if real.follows or bundle.dims.interest:
            learned[FINE_TUNED] = lambda: cross_validation.network(
                real, inputs, bundle.streaming_network, cross_validation.FINE_TUNED
            )
        else:
            skipped.append(f"{FINE_TUNED}: the head has no output for the present segment")
    for name, learn in learned.items():
        began = time.monotonic()
        systems[name] = learn()
        print(f"{real.name}: {name}, {time.monotonic() - began:.0f} s", file=sys.stderr, flush=True)
    return measured(real, systems, skipped, draws)


def head_systems(real: RealSet, bundle: Bundle, inputs: list[Inputs]) -> dict[str, Scores]:
    """The shipped head on both questions, and each of its outputs on the other one, too."""
    head = bundle.streaming_network()
    said = scores_of(head, inputs)
    score, interest = said["next"], said.get("present")
    systems: dict[str, Scores] = {HEAD: {"next": score, "present": score if interest is None else interest}}
    systems[SCORE] = {"next": score, "present": score}
    if interest is not None:
        systems[INTEREST] = {"next": interest, "present": interest}
    if not real.follows:
        apart = scores_of(head, alone(real, inputs))
        systems[ALONE] = {"present": apart.get("present", apart["next"])}
    return systems


if __name__ == "__main__":
    main()
