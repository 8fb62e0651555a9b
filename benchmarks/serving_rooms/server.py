"""`kuaihl serve` in a process of its own, and what it costs."""

import http.client
import json
import os
import subprocess
import sys
import threading
import time
import urllib.request
from contextlib import suppress
from pathlib import Path
from typing import Any

TICK = os.sysconf("SC_CLK_TCK")


class Server:
    """`kuaihl serve` in a process, and what it tells."""

    def __init__(self, folder: Path, options: list[str]) -> None:
        command = [sys.executable, "-m", "kuaihl_cli", "serve", "-o", str(folder), "--port", "0", *options]
        command += ["--allow-host", "127.0.0.1", "--max-rooms", "2000"]
        self.process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
        assert self.process.stderr is not None
        for line in self.process.stderr:
            if line.startswith("serving on"):
                self.port = int(line.split(",")[0].rpartition(":")[2])
                break
        self.log = folder.with_suffix(".log")  # what it says, for whoever has to find out why something failed
        threading.Thread(target=self._keep_log, daemon=True).start()
        self.events: list[tuple[float, dict[str, Any]]] = []
        threading.Thread(target=self._follow, daemon=True).start()

    def _keep_log(self) -> None:
        assert self.process.stderr is not None
        with self.log.open("w", encoding="utf-8") as log:
            for line in self.process.stderr:
                log.write(f"{time.time():.1f} {line}")
                log.flush()

    def call(self, method: str, path: str, body: object = None) -> int:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        connection.request(method, path, json.dumps(body), {"Content-Type": "application/json"})
        status = connection.getresponse().status
        connection.close()
        return status

    def get(self, path: str) -> Any:
        """The JSON of a path."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=60) as answer:
            return json.load(answer)

    def _follow(self) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", self.port)
        connection.request("GET", "/events")
        answer = connection.getresponse()
        try:
            while line := answer.readline():
                if line.startswith(b"data: "):
                    self.events.append((time.time(), json.loads(line[6:])))
        except (OSError, http.client.HTTPException):
            return

    def processes(self) -> list[Path]:
        """The server, and those that it started or had started: they read its rooms."""
        found = [Path(f"/proc/{self.process.pid}")]
        for one in found:
            for task in (one / "task").iterdir():
                with suppress(FileNotFoundError):  # the thread has just ended
                    found += [Path("/proc") / pid for pid in (task / "children").read_text().split()]
        return found

    def memory_mb(self, kind: str = "Pss") -> float:
        """The proportional share of all its processes; of kind "Pss_Anon" without files, whose shares others change."""
        lines = [line for one in self.processes() for line in (one / "smaps_rollup").read_text().splitlines()]
        return sum(int(line.split()[1]) for line in lines if line.startswith(f"{kind}:")) * 1024 / 1e6

    def threads(self) -> int:
        return sum(len(list((one / "task").iterdir())) for one in self.processes())

    def processor(self) -> float:
        """Seconds of processor so far."""
        fields = [(one / "stat").read_text().rpartition(")")[2].split() for one in self.processes()]
        return sum(int(one[11]) + int(one[12]) for one in fields) / TICK

    def switches(self) -> int:
        """How often a thread has waited so far: for media, for the processor, or for Python's lock."""
        waits = 0
        for path in (path for one in self.processes() for path in (one / "task").glob("*/status")):
            with suppress(FileNotFoundError):
                waits += int(path.read_text().rpartition("nonvoluntary")[0].split()[-1])
        return waits

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait(30)
