"""Does everything come back after real trouble? Forces faults of every kind, part by part, and prints what happened.

    python benchmarks/faults.py                         # every part, 40 faults each
    python benchmarks/faults.py live --faults 200       # one part: a module of benchmarks/fault_campaign
    python benchmarks/faults.py soak --faults 360       # an hour of 50 rooms

The exit code is 1 if a fault was not survived or a figure passed its limit. Needs what the tests need: ffmpeg, nginx
with its RTMP module, and pytest.
"""

import argparse
import importlib
import shutil
import sys
import tempfile
import time
from pathlib import Path
from types import ModuleType

sys.path.append(str(Path(__file__).resolve().parent.parent / "tests"))  # for the servers of tests/support

from fault_campaign.result import Figure, Plan, Result

PARTS = ("live", "kills", "archive", "fuzz", "soak")


def load_part(name: str) -> ModuleType:
    """The module of a part; nothing else is imported, since a part measures memory and another one loads torch."""
    return importlib.import_module(f"fault_campaign.{name}")


def run_part(name: str, part: ModuleType, faults: int, seed: int) -> bool:
    """Run one part in a folder of its own and print its table; whether it passed."""
    print(f"\n## {name}: {(part.__doc__ or '').splitlines()[0]}\n", flush=True)
    began, folder = time.monotonic(), Path(tempfile.mkdtemp(prefix=f"faults-{name}-"))
    result: Result = part.run(Plan(faults, seed, folder))
    print("| | | limit |\n|---|---:|---:|")
    figures = (Figure("faults forced", result.tried), Figure("survived", result.survived), *result.figures)
    for one in figures:
        limit = "" if one.limit is None else f"{one.limit:g} {one.unit}{'' if one.kept else '  **passed**'}"
        print(f"| {one.name} | {one.value:g} {one.unit} | {limit} |")
    for failure in result.failures:
        print(f"- {failure}")
    print(
        f"\n{name}: {'passed' if result.passed else 'FAILED'} in {(time.monotonic() - began) / 60:.1f} min", flush=True
    )
    if result.passed:
        shutil.rmtree(folder)
    else:
        print(f"what it left is kept in {folder}")
    return result.passed


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"some of {', '.join(PARTS)}; by default all")
    parser.add_argument("--faults", type=int, default=40, help="faults to force in each part")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    if unknown := set(options.parts) - set(PARTS):
        parser.error(f"no such part: {', '.join(sorted(unknown))}")
    names = options.parts or PARTS
    passed = [run_part(name, load_part(name), options.faults, options.seed) for name in names]
    return 0 if all(passed) else 1


if __name__ == "__main__":
    sys.exit(main())
