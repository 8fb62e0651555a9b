"""JSON on standard output is UTF-8, whatever the terminal's encoding, the files' names and the comments are."""

import io
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from support.media import make

from kuaihl_cli.terminal.json_output import print_document

NAME, SAID = "直播间", "哈哈哈 精彩"


@pytest.mark.parametrize("encoding", ["gbk", "ascii", "latin-1", "utf-16", "utf-8"])
def test_a_document_is_utf_8_in_every_locale(encoding: str, monkeypatch: pytest.MonkeyPatch) -> None:
    raw = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(raw, encoding))
    words = [NAME, "😀", os.fsdecode(NAME.encode("gbk")), "a\u2028b"]
    print_document(json.dumps(words, ensure_ascii=False))
    assert raw.getvalue().endswith(b"]\n")
    shown = json.loads(raw.getvalue().decode("utf-8"))
    assert shown == [NAME, "😀", words[2].encode("utf-8", "replace").decode(), "a\u2028b"]


@pytest.mark.slow
def test_names_and_comments_in_gbk_are_scored_and_told(tmp_path: Path) -> None:
    """As on a Chinese Windows disk: the bytes of the name are no UTF-8, the danmaku declares its encoding."""
    recording = tmp_path / os.fsdecode(NAME.encode("gbk") + b".flv")
    make(tmp_path / "made.flv", seconds=8.0).rename(recording)
    said = "".join(f'<d p="{at / 10},1,25,16777215,1625832232,0,a,1">{SAID}{at}</d>' for at in range(40, 70))
    text = f'<?xml version="1.0" encoding="GBK"?><i>{said}</i>'
    recording.with_suffix(".xml").write_bytes(text.encode("gbk"))
    command = [sys.executable, "-m", "kuaihl_cli", "score", recording, "-o", tmp_path / "out", "--json"]
    options = ["--asr", "none", "--segment-seconds", "2", "--threads", "1"]
    done = subprocess.run(
        [*command, *options], capture_output=True, timeout=120, env=os.environ | {"PYTHONIOENCODING": "gbk"}
    )
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout.decode("utf-8"))
    assert document == json.loads((tmp_path / "out" / "highlights.json").read_text(encoding="utf-8"))
    assert document["complete"] is True
    written = (tmp_path / "out" / "scores.jsonl").read_text(encoding="utf-8")
    assert [json.loads(line)["comments"] for line in written.splitlines()] == [0, 0, 20, 10]
