"""Everything that waits for a card, in one command: the GPU tests, then each network beside the card's limits.

    python benchmarks/gpu.py [--dry] [--output DIR] [--weights DIR] [--wheels DIR] [--only PART …] [--seconds 0.2]

It runs in a bare copy of the repository, without a network and with another torch than the one pinned: kuaihl need not
be installed, nor PyAV. `--weights DIR` holds the encoders' files named in `card/encoders.py`; otherwise weights are
drawn. `--wheels DIR` holds wheels of what the machine lacks, which are unpacked into a scratch folder. The report goes
to DIR/gpu.json and DIR/gpu.md after every row, so that a run cut short keeps its figures. `--dry` runs all of it on a
CPU with small networks, whose times mean nothing; the tests run there on the CPU too. docs/benchmarks.md has the
commands that make both folders.
"""

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from card.measure import Row

Result = TypeVar("Result")

REPOSITORY = Path(__file__).resolve().parents[1]
PARTS = ("tests", "head", "encoders", "server", "training")
_TEST_LIMIT = 200  # seconds
_DEVICE_VARIABLE = "KUAIHL_TEST_DEVICE"  # tests/support/device.py


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dry", action="store_true", help="small networks on the CPU")
    parser.add_argument("--output", type=Path, default=Path("gpu-report"))
    parser.add_argument("--weights", type=Path)
    parser.add_argument("--wheels", type=Path)
    parser.add_argument("--only", nargs="+", choices=PARTS, default=PARTS)
    parser.add_argument("--seconds", type=float, default=0.2, help="of repeats per figure")
    options = parser.parse_args()
    os.environ.setdefault("HF_HUB_OFFLINE", "1")  # a hub that never answers costs seconds per network
    with tempfile.TemporaryDirectory() as name:
        make_importable(Path(name), options.wheels)
        return measure(options)


def make_importable(folder: Path, wheels: Path | None) -> None:
    """Let this process and its children import kuaihl from the repository, and what is in `wheels`."""
    paths = [folder, Path(__file__).parent]
    if wheels is not None:
        install = [sys.executable, "-m", "pip", "install", "-q", "--no-index", "--no-deps", "--no-compile", "--target"]
        subprocess.run([*install, str(folder / "wheels"), *map(str, sorted(wheels.glob("*.whl")))], check=True)
        paths.append(folder / "wheels")
    if find_spec("kuaihl") is None:
        link_package(folder)
    sys.path[:0] = map(str, paths)
    os.environ["PYTHONPATH"] = os.pathsep.join([*map(str, paths), os.environ.get("PYTHONPATH", "")])


def link_package(folder: Path) -> None:
    """Lay the repository's folders out in `folder` as they are installed."""
    package = folder / "kuaihl"
    package.mkdir()
    for part in ("models", "engines"):
        (package / part).symlink_to(REPOSITORY / part)
    for file in (REPOSITORY / "api").iterdir():
        (package / file.name).symlink_to(file)
    (folder / "kuaihl_cli").symlink_to(REPOSITORY / "kuaihl_cli")


def measure(options: argparse.Namespace) -> int:
    """Run every part that was asked for; returns the exit status: 1 if a test failed."""
    import torch
    from card.ceilings import describe_card, measure_ceilings
    from card.encoders import encoder_rows
    from card.head import head_rows
    from card.measure import Setting
    from card.server import server_rows
    from card.training import training_rows

    if not options.dry and not torch.cuda.is_available():
        sys.exit("this torch sees no CUDA device; --dry runs the same on a CPU")
    if "tests" in options.only and find_spec("pytest") is None:
        sys.exit("the tests need pytest: pip install pytest, or leave them out: --only head encoders server training")
    setting = Setting(
        torch.device("cpu" if options.dry else "cuda"), options.dry, 0.0 if options.dry else options.seconds
    )
    report = Report(options.output, list(describe_card(setting.device)))
    tested = True
    if "tests" in options.only:
        tested, summary = report.timed("tests", lambda: run_tests(options.output, dry=options.dry))
        report.facts.append(f"GPU tests: {summary}")
    ceilings, rows = report.timed("ceilings", lambda: measure_ceilings(setting))
    report.rows += rows
    parts: dict[str, Callable[[], Iterator[Row]]] = {
        "head": lambda: head_rows(setting, ceilings),
        "encoders": lambda: encoder_rows(setting, ceilings, options.weights),
        "server": lambda: server_rows(setting, options.weights),
        "training": lambda: training_rows(setting, ceilings),
    }
    for name, make in parts.items():
        if name in options.only:
            report.add(name, make())
    print(report.markdown())
    return 0 if tested else 1


def run_tests(output: Path, *, dry: bool) -> tuple[bool, str]:
    """The tests marked `gpu`, alone in their process; whether all passed, and pytest's last line."""
    output.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", "pytest", "-m", "gpu", "-q", "-p", "no:cacheprovider", "--durations=5"]
    environment = os.environ | ({_DEVICE_VARIABLE: "cpu"} if dry else {})
    log = output / "gpu-tests.txt"
    with log.open("w", encoding="utf-8") as written:
        try:
            found = subprocess.run(
                [*command, *map(str, gpu_test_files())],
                cwd=REPOSITORY,
                env=environment,
                stdout=written,
                stderr=subprocess.STDOUT,
                timeout=_TEST_LIMIT,
            )
        except subprocess.TimeoutExpired:
            return False, f"stopped after {_TEST_LIMIT} s"
    lines = log.read_text(encoding="utf-8").strip().splitlines()
    if found.returncode:
        print("\n".join(lines[-60:]), flush=True)
    return found.returncode == 0, lines[-1] if lines else "no output"


def gpu_test_files() -> list[Path]:
    """The files with tests marked `gpu`: others may import what the machine lacks."""
    marked = re.compile(r"^\s*@gpu_test|mark\.gpu", re.MULTILINE)
    return [
        file for file in sorted((REPOSITORY / "tests").rglob("test_*.py")) if marked.search(file.read_text("utf-8"))
    ]


class Report:
    """The rows so far."""

    def __init__(self, folder: Path, facts: list[str]) -> None:
        self.folder, self.facts = folder, facts
        self.rows: list[Row] = []
        self.spent: dict[str, float] = {}

    def timed(self, name: str, call: "Callable[[], Result]") -> "Result":
        """The result of a call whose seconds are noted."""
        began = time.perf_counter()
        try:
            return call()
        finally:
            self.spent[name] = round(time.perf_counter() - began, 1)
            print(f"{name}: {self.spent[name]} s", file=sys.stderr, flush=True)

    def add(self, name: str, rows: Iterable["Row"]) -> None:
        """Take a part's rows, and write the report after each."""

        def take() -> None:
            for row in rows:
                self.rows.append(row)
                self.write()

        self.timed(name, take)
        self.write()

    def write(self) -> None:
        """The report as JSON and as Markdown."""
        self.folder.mkdir(parents=True, exist_ok=True)
        found = {"facts": self.facts, "seconds": self.spent, "rows": [asdict(row) for row in self.rows]}
        (self.folder / "gpu.json").write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
        (self.folder / "gpu.md").write_text(self.markdown(), encoding="utf-8")

    def markdown(self) -> str:
        """The facts, and a table per part."""
        lines = [f"- {fact}" for fact in self.facts]
        lines.append("- seconds: " + ", ".join(f"{name} {seconds:g}" for name, seconds in self.spent.items()))
        for part in dict.fromkeys(row.part for row in self.rows):
            lines += [f"\n### {part}\n", "| what | size | ms | floor, ms | times the floor | note |"]
            lines.append("|---|---:|---:|---:|---:|---|")
            lines += [table_line(row) for row in self.rows if row.part == part]
        return "\n".join(lines) + "\n"


def table_line(row: "Row") -> str:
    """A row as a line of a Markdown table."""
    ms = "–" if row.seconds is None else f"{row.seconds * 1e3:.3f}"
    floor = "–" if row.floor is None else f"{row.floor * 1e3:.3f}"
    times = "–" if row.seconds is None or not row.floor else f"{row.seconds / row.floor:.1f}"
    return f"| {row.what} | {row.size:,} | {ms} | {floor} | {times} | {row.note} |"


if __name__ == "__main__":
    sys.exit(main())
