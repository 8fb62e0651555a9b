"""`kuaihl batch` and `kuaihl score` from and to an object store; no output shows the keys to it."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from support.media import make
from support.s3_server import KEY_ID, SECRET, TOKEN, S3Server
from support.small_model import small_model

from kuaihl.engines.scoring import model as model_module
from kuaihl_cli.main import main

SECRETS = (KEY_ID, SECRET, TOKEN)


@pytest.fixture(scope="module")
def recording(made: Path) -> bytes:
    return make(made / "object.flv", seconds=4.0).read_bytes()


def run(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """The command in a folder of its own, with a log of everything."""
    command = [sys.executable, "-m", "kuaihl_cli", *arguments, "--log-file", "run.log", "--log-level", "debug"]
    fast = ["--asr", "none", "--segment-seconds", "2", "--threads", "1", "--timeout", "1", "--tries", "1"]
    return subprocess.run([*command, *fast], cwd=folder, capture_output=True, text=True, timeout=250)


def leaks_of(folder: Path, s3: S3Server, prefix: str, printed: str) -> list[str]:
    """Where a secret stands: in what was printed, in files, in objects."""
    contents = {"what was printed": printed.encode()}
    contents |= {str(path): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    contents |= {key: s3.get(key) for key in s3.keys(prefix)}
    return [place for place, content in contents.items() if any(one.encode() in content for one in SECRETS)]


@pytest.mark.slow
def test_a_batch_from_a_store_to_a_store_is_put_skipped_and_shows_no_keys(
    tmp_path: Path, recording: bytes, s3: S3Server
) -> None:
    s3.put("batch/anna/day=1/7f3e2a10b94c4d5e8a6b.flv", recording)
    s3.put("batch/bo/notes.flv", b"not media\n" * 100)
    arguments = ("batch", s3.url("batch"), "-o", s3.url("batch-out"), "--work", "work", "--min-age", "0")

    first = run(tmp_path, *arguments)

    assert first.returncode == 5, first.stderr
    assert "1 done" in first.stderr and "1 failed" in first.stderr
    assert "notes.flv: FAILED: " in first.stderr
    (record,) = [key for key in s3.keys("batch-out") if key.endswith("/run.json")]
    room = record.removesuffix("/run.json")
    assert {f"{room}/scores.jsonl", f"{room}/highlights.json"} <= set(s3.keys("batch-out"))
    assert json.loads(s3.get(record))["source"]["name"] == s3.url("batch/anna/day=1/7f3e2a10b94c4d5e8a6b.flv")
    assert not (tmp_path / "work" / Path(room).name).exists(), "what was put is not kept"

    s3.sent.clear()
    second = run(tmp_path, *arguments)

    assert "1 skipped" in second.stderr, second.stderr
    assert not any("7f3e2a10b94c4d5e8a6b" in key for key in s3.sent), "the ledger knew it"
    printed = "".join(one.stdout + one.stderr for one in (first, second))
    assert not leaks_of(tmp_path, s3, "batch-out", printed)


def test_score_puts_its_run_and_refuses_skips_or_replaces_the_one_that_is_there(
    tmp_path: Path, recording: bytes, s3: S3Server, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    small = small_model(tmp_path / "bundle")
    monkeypatch.setattr(model_module, "load_model", lambda *_: small)
    source, output = s3.put("one/room.flv", recording), s3.url("one-out/")
    s3.put("one/room.xml", b'<i><d p="1.0,1,25,0,0,0,0,0">hello</d></i>')
    options = ("-o", output, "--work", str(tmp_path / "work"), "--segment-seconds", "2", "--asr", "none")

    def command(*arguments: str) -> int:
        with pytest.raises(SystemExit) as ended:
            main([*arguments])
        return int(ended.value.code or 0)

    assert command("score", source, *options) == 0
    assert {"one-out/run.json", "one-out/highlights.json", "one-out/scores.jsonl"} <= set(s3.keys("one-out"))
    told = capsys.readouterr().err
    assert "reading room.xml, which lies beside the recording" in told and f"wrote {output}" in told
    assert json.loads(s3.get("one-out/run.json"))["comments"]["name"] == s3.url("one/room.xml")

    assert command("score", source, *options) == 2
    assert f"{output} already holds a run; --force replaces it" in capsys.readouterr().err
    assert command("score", source, *options, "--force") == 0
    assert command("highlights", output, "--top", "1", "--format", "csv") == 0
    assert "one-out/highlights.csv" in s3.keys("one-out")
