"""No output of the command shows the credentials of a URL: every file, name, line and log is searched for them."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from support.http_media import media_server
from support.media import make

from kuaihl.engines.outputs.formats import FORMATS

SECRETS = ("hunter2", "bob", "a1b2c3d4e5f6", "tok3nvalue")
PATH = "/live/a1b2c3d4e5f6/room.flv?auth=tok3nvalue"


def run_everything(folder: Path, *arguments: str) -> str:
    """The command's output, run in `folder` with a log of everything."""
    command = [sys.executable, "-m", "kuaihl_cli", *arguments, "--asr", "none", "--segment-seconds", "2"]
    log = ["--log-file", str(folder / "run.log"), "--log-level", "debug", "--debug", "--timeout", "2"]
    done = subprocess.run(command + log, cwd=folder, capture_output=True, text=True, timeout=120, env=os.environ)
    return done.stdout + done.stderr


def leaks_of(folder: Path, printed: str) -> list[str]:
    """The places in which a secret stands: what was printed, names of files, contents of files."""
    found = [f"printed: {line}" for line in printed.splitlines() if any(secret in line for secret in SECRETS)]
    for path in folder.rglob("*"):
        content = path.read_bytes() if path.is_file() else b""
        if any(secret in path.name or secret.encode() in content for secret in SECRETS):
            found.append(str(path))
    return found


@pytest.mark.slow
def test_no_output_of_score_and_batch_shows_credentials(tmp_path: Path) -> None:
    media, work = make(tmp_path / "media.flv", seconds=12.0), tmp_path / "work"
    work.mkdir()
    with media_server() as server:
        url = server.file(PATH, media).replace("http://", "http://bob:hunter2@")
        missing = url.replace("room", "nowhere")
        for more in ((), ("--json", "--force"), ("--format", ",".join(FORMATS), "--plot", "--quiet", "--force")):
            printed = run_everything(work, "score", url, *more)
            assert (work / "room.kuaihl" / "highlights.json").exists(), printed
            assert not leaks_of(work, printed)
        printed = run_everything(work, "score", missing)
        assert "404" in printed or "no such" in printed or "Not Found" in printed, printed
        printed += run_everything(work, "score", url, missing, "--force", "-o", "several")
        printed += run_everything(work, "score", url, "--clips")  # which need a file
        (tmp_path / "list.txt").write_text(f"{url}\n{missing}\n")
        printed += run_everything(work, "batch", str(tmp_path / "list.txt"), "-o", "scored")
        printed += run_everything(work, "batch", url, "-o", "scored")  # not a manifest
    assert {"done", "failed"} <= set((work / "scored" / "batch.jsonl").read_text().split('"'))
    assert not leaks_of(work, printed)
