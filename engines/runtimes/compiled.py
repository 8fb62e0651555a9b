"""Compiled files of a bundle and the facts beside them: ONNX graphs in `onnx/`, TensorRT engines in `engines/`.

Every `NAME.onnx` or `NAME.engine` has a `NAME.json` beside it. It records the kind of file, its weights, the packages
that made it and its target. The file itself stays as its tools expect it. Facts are written last, so a file without
them is unfinished.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from kuaihl.engines.runtimes.graphs import GraphName
from kuaihl.engines.runtimes.runtime import Precision, RuntimeKind, Target
from kuaihl.engines.weights.cache import cache_folder
from kuaihl.models.atomic import remove_torn, write_atomic
from kuaihl.models.bundle import Bundle, is_built_in
from kuaihl.models.errors import ModelError, Remedy
from kuaihl.models.json_text import parse_json

_FACTS_FORMAT = 3  # increment it when the inputs or outputs of a graph change
_ONNX_FOLDER, ENGINES_FOLDER = "onnx", "engines"


class NotBuiltError(ModelError):
    """Nothing to run was ever built: no compiled file, or no package or device for one. `auto` skips it."""


@dataclass(frozen=True)
class CompiledFacts:
    """The facts recorded beside a compiled file."""

    graph: GraphName
    kind: RuntimeKind  # of the engine that executes the file
    precision: Precision
    sha256: str  # of the file
    source_sha256: str  # of the weights in it
    made_with: Mapping[str, str]  # packages and their versions
    inputs: tuple[str, ...]  # names, in the order of the graph's ports; TensorRT may reorder them
    outputs: tuple[str, ...]
    sizes: Mapping[str, tuple[int, int, int]]  # of each varying dimension: minimum, usual, maximum (TensorRT's profile)
    target: Target = "portable"  # ONNX in int8: the processors on which it is correct
    parity: Mapping[str, float] = field(default_factory=dict)  # against torch in fp32, measured at export
    onnx_sha256: str = ""  # TensorRT: of the ONNX file it was built from
    gpu: str = ""  # TensorRT: the name of the card it was built on, "" if there was none
    compute_capability: str = ""  # TensorRT: such as "8.9"
    tensorrt: str = ""  # TensorRT: its version


def compiled_folder(bundle: Bundle) -> Path:
    """The folder for a bundle's compiled files: in the bundle, or in the cache for one that ships with kuaihl.

    kuaihl must not write into an installed package, and an update would delete the compiled files.
    """
    if not is_built_in(bundle.path):
        return bundle.path
    return cache_folder() / "compiled" / f"{bundle.name}-{bundle.head_sha256[:12]}"


def onnx_file(folder: Path, graph: GraphName, precision: Precision, target: Target = "portable") -> Path:
    """The path of an ONNX graph in a compiled folder, existing or not; only int8 files differ by target."""
    ending = f"-{target}" if precision == "int8" and target != "portable" else ""
    return folder / _ONNX_FOLDER / f"{graph}-{precision}{ending}.onnx"


def engine_file(
    bundle: Path, graph: GraphName, precision: Precision, kind: RuntimeKind, capability: str, version: str
) -> Path:
    """The path of a bundle's TensorRT engine, existing or not."""
    name = f"{graph}-sm{capability.replace('.', '')}-{kind}-{version}-{precision}.engine"
    return bundle / ENGINES_FOLDER / name


def engine_files(bundle: Path, graph: GraphName, precision: Precision, kind: RuntimeKind) -> list[Path]:
    """The bundle's finished engines of a graph, for any card and version."""
    found = (bundle / ENGINES_FOLDER).glob(f"{graph}-sm*-{kind}-[0-9]*-{precision}.engine")
    return sorted(file for file in found if facts_file(file).is_file())


def facts_file(file: Path) -> Path:
    return file.with_suffix(".json")


def write_compiled(file: Path, content: bytes, facts: CompiledFacts) -> None:
    """Write a compiled file and then its facts, each whole or not at all. Raises ModelError if that fails."""
    document = {"format": _FACTS_FORMAT} | asdict(facts)
    text = json.dumps(document, ensure_ascii=False, indent=2) + "\n"
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        remove_torn(file.parent)
        facts_file(file).unlink(missing_ok=True)
        write_atomic(file, content)
        write_atomic(facts_file(file), text)
    except OSError as error:
        raise ModelError(
            f"{file}: cannot be written ({error.strerror})",
            remedy=Remedy("compile a copy of the bundle elsewhere", {"output": "DIR"}),
        ) from error


_COMPILE_AGAIN = Remedy("compile it again", command="export", arguments=("BUNDLE",))


def read_facts(file: Path, rebuild: Remedy = _COMPILE_AGAIN) -> CompiledFacts:
    """The facts beside a compiled file. Raises ModelError with the remedy `rebuild` if they cannot be read."""
    beside = facts_file(file)
    try:
        found: dict[str, Any] = parse_json(beside.read_text(encoding="utf-8"))
        if (written := found.pop("format")) != _FACTS_FORMAT:
            raise ModelError(
                f"{file}: exported in format {written}, this version of kuaihl reads {_FACTS_FORMAT}", remedy=rebuild
            )
        # An int8 file without a target predates targets; it is wrong on processors without VNNI.
        found.setdefault("target", "vnni" if found["precision"] == "int8" else "portable")
        found |= {ports: tuple(found[ports]) for ports in ("inputs", "outputs")}
        found["sizes"] = {name: tuple(sizes) for name, sizes in found["sizes"].items()}
        facts = CompiledFacts(**found)
        if not (isinstance(facts.sha256, str) and isinstance(facts.source_sha256, str)):
            raise ValueError("hashes are texts")
        return facts
    except OSError as error:
        raise ModelError(f"{beside}: cannot be read ({error.strerror})", remedy=rebuild) from error
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise ModelError(f"{beside}: does not hold a compiled file's facts", remedy=rebuild) from error


def read_compiled(file: Path, source: str, rebuild: Remedy) -> tuple[bytes, CompiledFacts]:
    """A compiled file's content, checked against its facts and the weights with SHA-256 `source`.

    Raises ModelError if they do not match. It names the file and both sides, and carries the remedy `rebuild`.
    """
    facts = read_facts(file, rebuild)
    if facts.source_sha256 != source:
        raise ModelError(
            f"{file}: made from weights {facts.source_sha256[:12]}, the bundle's are {source[:12]}", remedy=rebuild
        )
    try:
        content = file.read_bytes()
    except OSError as error:
        raise ModelError(f"{file}: cannot be read ({error.strerror})", remedy=rebuild) from error
    found = hashlib.sha256(content).hexdigest()
    if found != facts.sha256:
        raise ModelError(
            f"{file}: damaged (SHA-256 is {found[:12]}, was {facts.sha256[:12]} when written)", remedy=rebuild
        )
    return content, facts


def bundle_argument(bundle: Bundle) -> str:
    """The argument that finds a bundle: its name if it ships with kuaihl, else its folder."""
    return bundle.name if is_built_in(bundle.path) else str(bundle.path)


def compile_remedy(
    bundle: str,
    kind: RuntimeKind,
    precision: Precision,
    target: Target = "portable",
    *,
    words: str = "compile it again",
) -> Remedy:
    """The command that compiles a bundle, given the argument that finds it; default settings are left out."""
    settings: dict[str, str | bool | None] = {"to": kind}
    settings |= {} if precision == "fp32" else {"precision": precision}
    settings |= {} if target == "portable" else {"target": target}
    settings |= {"sample": "RECORDING"} if precision == "int8" else {}
    return Remedy(words, settings, "export", (bundle,))
