"""Archive: a batch of recordings, every tenth of them damaged, interrupted, changed, and written to a full disk.

Each damaged file is a fault; there are ten kinds. In the end each file of the archive must be scored, or
failed or left out with a reason. Nothing is scored twice unless it has changed.
"""

import json
import os
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from support.media import SCRIPT_TAG, Tag, make
from support.waiting import wait_until

from fault_campaign.result import Figure, Plan, Result

SHARE = 10  # recordings for each damaged one, itself among them
LONG_AGO = 1_000_000_000.0
OPTIONS = ("--asr", "none", "--segment-seconds", "2", "--threads", "1", "--jobs", "2")
SMALL_DISK, ROOMS_FOR_IT = "160k", 12
LONGEST_SECONDS = 3600.0
CHANGED = "0001.flv"


def _cut(path: Path, content: bytes) -> None:
    path.write_bytes(content[: len(content) // 2])


def _empty(path: Path, content: bytes) -> None:
    path.write_bytes(b"")


def _text(path: Path, content: bytes) -> None:
    path.write_text("not a recording\n" * 200)


def _nuls(path: Path, content: bytes) -> None:
    third = len(content) // 3
    path.write_bytes(content[:third] + bytes(third) + content[2 * third :])


def _headless(path: Path, content: bytes) -> None:
    path.write_bytes(content[400:])


def _other_suffix(path: Path, content: bytes) -> None:
    path.with_suffix(".mp4").write_bytes(content)


def _pipe(path: Path, content: bytes) -> None:
    os.mkfifo(path)


def _broken_link(path: Path, content: bytes) -> None:
    path.symlink_to("nowhere.flv")


def _strange_name(path: Path, content: bytes) -> None:
    Path(os.fsdecode(os.fsencode(path.with_suffix("")) + b"\xff\xfe.flv")).write_bytes(content)


def _growing(path: Path, content: bytes) -> None:
    path.write_bytes(content[: len(content) // 2])


# Each damage, and what may become of the file.
DAMAGES: tuple[tuple[Callable[[Path, bytes], None], set[str]], ...] = (
    (_cut, {"done"}), (_empty, {"failed"}), (_text, {"failed"}), (_nuls, {"done", "failed"}),
    (_headless, {"done", "failed"}), (_other_suffix, {"done"}), (_pipe, {"left out"}), (_broken_link, {"left out"}),
    (_strange_name, {"done"}), (_growing, {"left out"}),
)  # fmt: skip


def make_variants(folder: Path, number: int) -> list[bytes]:
    """So many different recordings of 2 to 6 s: five that are encoded, each with a note of its own at its end."""
    folder.mkdir(parents=True)
    bases = [make(folder / f"{seconds}.flv", seconds=float(seconds)).read_bytes() for seconds in range(2, 7)]
    return [bases[each % 5] + _note(f"recording {each}") for each in range(number)]


def _note(text: str) -> bytes:
    data = text.encode()
    return Tag(SCRIPT_TAG, 0, b"\2" + len(data).to_bytes(2, "big") + data).packed()


def _put(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    os.utime(path, (LONG_AGO, LONG_AGO))


def fill_archive(archive: Path, contents: list[bytes]) -> dict[str, set[str]]:
    """Write the archive, every tenth file damaged; what may become of each of those, by its name."""
    archive.mkdir()
    expected: dict[str, set[str]] = {}
    for number, content in enumerate(contents):
        path = archive / f"{number:04}.flv"
        if number % SHARE:
            _put(path, content)
            continue
        damage, outcomes = DAMAGES[number // SHARE % len(DAMAGES)]
        before = _names(archive)
        damage(path, content)
        (name,) = _names(archive) - before
        expected[name] = outcomes
        if damage is not _growing and (archive / name).is_file():
            os.utime(archive / name, (LONG_AGO, LONG_AGO))
    return expected


def _names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def grow(archive: Path, contents: list[bytes]) -> None:
    """A recorder writes on."""
    for number in range(DAMAGES.index((_growing, {"left out"})) * SHARE, len(contents), SHARE * len(DAMAGES)):
        with (archive / f"{number:04}.flv").open("ab") as file:
            file.write(_note("more"))


def _command(archive: Path, output: Path) -> list[str]:
    return [sys.executable, "-m", "kuaihl_cli", "batch", str(archive), "-o", str(output), *OPTIONS]


def _run_batch(archive: Path, output: Path) -> "subprocess.CompletedProcess[str]":
    command = _command(archive, output)
    return subprocess.run(command, capture_output=True, text=True, timeout=LONGEST_SECONDS, errors="replace")


def _lines(file: Path) -> Iterator[dict[str, Any]]:
    return map(json.loads, file.read_text(encoding="utf-8").splitlines())


def _name_of(entry: dict[str, Any]) -> str:
    return Path(entry["source"]).name


def _outcomes(output: Path) -> dict[str, str]:
    """What became of each file that the outputs name; "" if they give no reason."""
    found = {}
    for one in _lines(output / "batch.jsonl"):
        found[_name_of(one)] = one["status"] if one["status"] == "done" or one["reason"] else ""
    for one in _lines(output / "left_out.jsonl"):
        found[_name_of(one)] = "left out" if one["reason"] else ""
    return found


def _interrupt(archive: Path, output: Path, after: int) -> int:
    """Run the batch, and end it by SIGTERM once it has so many results; its exit code."""
    process = subprocess.Popen(_command(archive, output), stderr=subprocess.DEVNULL)
    told = output / "batch.jsonl"
    enough = lambda: told.is_file() and told.read_bytes().count(b"\n") >= after  # noqa: E731
    wait_until(lambda: enough() or process.poll() is not None, seconds=LONGEST_SECONDS)
    process.send_signal(signal.SIGTERM)
    return process.wait(timeout=120)


def _change_and_repair(archive: Path, contents: list[bytes]) -> str:
    """Write one good recording on, CHANGED, and put a damaged one right, whose name is returned."""
    _put(archive / CHANGED, contents[1] + _note("written on"))
    number = SHARE * min(2, len(contents) // SHARE - 1)
    _put(archive / f"{number:04}.flv", contents[number])
    return f"{number:04}.flv"


def _fill_disk(folder: Path, contents: list[bytes]) -> list[str]:
    """What went wrong when a disk filled up in the middle and then had space again; needs a right to mount."""
    archive, disk = folder / "for-a-small-disk", folder / "disk"
    archive.mkdir()
    disk.mkdir()
    for number, content in enumerate(contents[:ROOMS_FOR_IT]):
        _put(archive / f"{number}.flv", content)
    mount = ["mount", "-t", "tmpfs", "-o", f"size={SMALL_DISK}", "none", str(disk)]
    if os.geteuid() or subprocess.run(mount, capture_output=True, check=False).returncode:
        print("archive: no right to mount a small disk, so none was filled", file=sys.stderr)
        return []
    wrong = []
    try:
        full = _run_batch(archive, disk / "out")
        if full.returncode != 5 or "make space" not in full.stderr.splitlines()[-1] or " not done" not in full.stderr:
            wrong.append(f"full disk: exit code {full.returncode}: {full.stderr[-300:]!r}")
        subprocess.run(["mount", "-o", "remount,size=16m", str(disk)], check=True)
        after = _run_batch(archive, disk / "out")
        done = list(disk.glob("out/*/highlights.json"))
        if after.returncode or len(done) != ROOMS_FOR_IT:
            wrong.append(f"space again: exit code {after.returncode}, {len(done)} rooms: {after.stderr[-300:]!r}")
        if left := [path.name for path in (disk / "out").rglob(".*")]:
            wrong.append(f"space again: {left} are left over")
    finally:
        subprocess.run(["umount", str(disk)], check=False)
    return wrong


def run(plan: Plan) -> Result:
    """Damage `plan.faults` recordings among ten times as many."""
    contents = make_variants(plan.folder / "made", plan.faults * SHARE)
    archive, output = plan.folder / "archive", plan.folder / "out"
    expected = fill_archive(archive, contents)
    failures: list[str] = []

    grow(archive, contents)
    code = _interrupt(archive, output, after=len(contents) // 3)
    if code != 130:
        failures.append(f"SIGTERM: exit code {code}")
    grow(archive, contents)
    _run_batch(archive, output)
    found = _outcomes(output)
    wrong = {name: found.get(name, "lost") for name in expected if found.get(name, "lost") not in expected[name]}
    failures += [f"{os.fsencode(name)!r}: {outcome}" for name, outcome in wrong.items()]

    repaired = _change_and_repair(archive, contents)
    grow(archive, contents)
    again = _run_batch(archive, output)
    found = _outcomes(output)
    lost = _names(archive) - found.keys()
    done = Counter(_name_of(one) for one in _lines(output / "batch.jsonl") if one["status"] == "done")
    wanted = Counter(_names(archive)) + Counter({CHANGED: 1})
    twice = done - wanted
    if missed := {name for name in (CHANGED, repaired) if found.get(name) != "done" or done[CHANGED] < 2}:
        failures.append(f"changed or repaired, and not scored again: {missed}: {again.stderr[-300:]}")
    failures += _fill_disk(plan.folder, contents)
    if left := [path.name for path in output.rglob(".*")]:
        failures.append(f"temporary files are left: {left[:5]}")

    kinds = Counter(found.values())
    figures = (
        Figure("scored", kinds["done"]),
        Figure("failed with a reason", kinds["failed"]),
        Figure("left out with a reason", kinds["left out"]),
        Figure("without a reason", kinds[""], limit=0),
        Figure("scored twice without need", twice.total(), limit=0),
        Figure("lost", len(lost), limit=0),
    )
    return Result(plan.faults, plan.faults - len(wrong), figures, tuple(failures))
