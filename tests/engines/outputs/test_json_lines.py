"""Files of JSON Lines: whole lines, whatever ended the run before."""

import json
import os
from pathlib import Path

import pytest

from kuaihl.engines.outputs.batch_jsonl import write_left_out
from kuaihl.engines.outputs.json_lines import LineWriter, read_objects
from kuaihl.models.errors import UsageError


def entries(file: Path) -> list[object]:
    return [json.loads(line)["n"] for line in file.read_text(encoding="utf-8").splitlines()]


@pytest.mark.parametrize("torn", ["", '{"n": 0', '{"n": 0}\n', '{"n": 0}\n{"n": "' + "x" * 10_000])
def test_a_torn_line_goes_and_whole_ones_stay(tmp_path: Path, torn: str) -> None:
    file = tmp_path / "batch.jsonl"
    file.write_text(torn)
    with LineWriter(file) as writer:
        writer.write({"n": 1})
    assert entries(file) == ([0, 1] if "\n" in torn else [1])


def test_a_name_that_is_not_utf_8_can_be_read_back(tmp_path: Path) -> None:
    name = os.fsdecode(b"\xff.flv")
    write_left_out(tmp_path, [{"n": name}, {"n": "录像"}])
    read = entries(tmp_path / "left_out.jsonl")
    assert read == [name, "录像"]


def test_a_full_disk_and_a_folder_in_its_place_are_one_line_each(tmp_path: Path) -> None:
    (tmp_path / "full.jsonl").symlink_to("/dev/full")
    with LineWriter(tmp_path / "full.jsonl") as writer, pytest.raises(UsageError, match="No space left on device"):
        writer.write({"n": 1})
    with pytest.raises(UsageError, match="Is a directory"):
        LineWriter(tmp_path)


def test_lines_that_are_torn_or_no_objects_are_passed_over(tmp_path: Path) -> None:
    file = tmp_path / "x.jsonl"
    assert list(read_objects(file)) == []
    file.write_bytes(b'{"n": 1}\n[2]\n' + b"[" * 100_000 + b'\n\xff\n{"n": 3}\n{"n": ')
    assert list(read_objects(file)) == [{"n": 1}, {"n": 3}]
