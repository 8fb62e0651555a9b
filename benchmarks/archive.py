"""How does an archive run at scale? Part by part: damaged recordings, the throughput of a runner, a long ledger, Ray.

    python benchmarks/archive.py                          # every part, as large as the limits are meant for
    python benchmarks/archive.py ledger --size 100000     # one part: a module of benchmarks/archive_runs

The exit code is 1 if a figure passed its limit. On a machine that is busy, times are too long: say so beside them.
"""

import argparse
import importlib
import os
import sys
import tempfile
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parent.parent / "tests"))  # for the media of tests/support

from fault_campaign.result import Figure

SIZES = {"damaged": 20, "throughput": 20, "ledger": 100_000, "on_ray": 20}  # of each part, as its `run` takes it


def run_part(name: str, size: int) -> bool:
    """Run one part in a folder of its own and print its table; whether it kept its limits."""
    part = importlib.import_module(f"archive_runs.{name}")
    load = os.getloadavg()[0]
    print(f"\n## {name}: {(part.__doc__ or '').splitlines()[0]}\n", flush=True)
    with tempfile.TemporaryDirectory(prefix=f"archive-{name}-") as folder:
        figures: tuple[Figure, ...] = part.run(Path(folder), size)
    print("| | | limit |\n|---|---:|---:|")
    for one in figures:
        limit = "" if one.limit is None else f"{one.limit:g} {one.unit}{'' if one.kept else '  **passed**'}"
        print(f"| {one.name} | {one.value:.4g} {one.unit} | {limit} |")
    print(f"\n{os.cpu_count()} cores, load {load:.1f} before and {os.getloadavg()[0]:.1f} after", flush=True)
    return all(one.kept for one in figures)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"some of {', '.join(SIZES)}; by default all")
    parser.add_argument("--size", type=int, help="damaged recordings of ten times as many, recordings, or rows")
    options = parser.parse_args()
    if unknown := set(options.parts) - set(SIZES):
        parser.error(f"no such part: {', '.join(sorted(unknown))}")
    kept = [run_part(name, options.size or SIZES[name]) for name in options.parts or SIZES]
    return 0 if all(kept) else 1


if __name__ == "__main__":
    sys.exit(main())
