"""The measurement of chat labels: skipped with a reason where the data is not, and finding what was planted."""

import gzip
import json
import subprocess
import sys
from pathlib import Path

from support.paths import REPOSITORY

SCRIPT = REPOSITORY / "benchmarks" / "real" / "chat_labels.py"


def run(*arguments: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, SCRIPT, *map(str, arguments)], capture_output=True, text=True, timeout=120)


def test_it_is_skipped_with_a_reason_where_the_data_is_absent(tmp_path: Path) -> None:
    result = run("--real", tmp_path)
    assert result.returncode == 0
    assert result.stdout == f"skipped: {tmp_path / 'chat_zh'} is not here\n"


def test_a_chat_that_answers_every_mark_is_found_in_the_other_half(tmp_path: Path) -> None:
    folder = tmp_path / "chat_zh"
    folder.mkdir()
    segments = 80
    marked = [segment for segment in range(segments) if segment % 8 == 3]
    lines = [
        json.dumps({"time": 30 * segment + 12 + 0.5 * i, "author": f"viewer{i}", "text": "好"})
        for segment in range(segments)
        for i in range(24 if segment in marked else 4 + segment % 3)
    ]
    with gzip.open(folder / "messages.jsonl.gz", "wt", encoding="utf-8") as file:
        file.write("\n".join(lines) + "\n")
    spans = [[30 * segment, 30 * segment + 30] for segment in marked]
    (folder / "highlights.json").write_text(json.dumps({"seconds": 30 * segments, "highlights": spans}))
    result = run("--real", tmp_path, "--json", tmp_path / "found.json")
    assert result.returncode == 0, result.stderr
    found = json.loads((tmp_path / "found.json").read_text())
    assert set(found) == {"half 1 -> half 2", "half 2 -> half 1"}
    for questions in found.values():
        assert questions["present"]["the chat label, in hindsight"]["AP"][0] == 1.0
        assert questions["present"]["ridge on chat labels"]["AP"][0] == 1.0
        assert questions["present"]["distinct chatters"]["AP"][0] == 1.0
        assert questions["present"]["ridge less chatters"]["AP"] == [0.0, 0.0, 0.0]
        # Marks come every eighth segment, and the ridge sees five: nothing of the next is in a chat as usual.
        assert questions["next"]["distinct chatters"]["AP"][0] < 0.5
