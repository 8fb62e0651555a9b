"""`kuaihl doctor`: the findings on this machine, and anything missing."""

import json
import platform
import sys
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from typing import Any

import typer

from kuaihl_cli.command import RULE, application, read_settings
from kuaihl_cli.options import JsonOption
from kuaihl_cli.terminal.errors import error_words
from kuaihl_cli.terminal.json_output import print_document

_PACKAGES = ("kuaihl", "av", "decord", "torch", "transformers", "faster-whisper", "ctranslate2", "openai-whisper")
_PACKAGES_OF_ENGINES = ("onnxruntime", "tensorrt", "tensorrt-rtx")

app = application()


@dataclass(frozen=True, kw_only=True)
class DoctorSettings:
    """The options of `kuaihl doctor`."""

    as_json: JsonOption = False


@app.command(epilog=RULE)
@read_settings(DoctorSettings)
def doctor(settings: DoctorSettings) -> None:
    """Report what was found on this machine, and what is missing: FFmpeg's libraries, devices, weights, engines."""
    findings = examine()
    if settings.as_json:
        print_document(json.dumps(findings, indent=2, ensure_ascii=False))
        return
    for heading, entries in findings.items():
        typer.secho(heading, bold=True)
        for name, value in entries.items():
            typer.echo(f"  {name:<22} {value}")


def examine() -> dict[str, dict[str, Any]]:
    """All findings by heading; raises nothing if something is missing."""
    return {
        "system": {"python": platform.python_version(), "platform": platform.platform(), "executable": sys.executable},
        "packages": {name: _installed_version(name) for name in _PACKAGES},
        "ffmpeg libraries (in PyAV)": _ffmpeg_libraries(),
        "devices": _describe_devices(),
        "processor": _processor_facts(),
        "engines": {name: _installed_version(name) for name in _PACKAGES_OF_ENGINES},
        "compiled of bundle edge": _compiled_files(),
        "weights": _describe_weights(),
    }


def _installed_version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "not installed"


def _ffmpeg_libraries() -> dict[str, str]:
    import av

    return {name: ".".join(map(str, numbers)) for name, numbers in sorted(av.library_versions.items())}


def _describe_devices() -> dict[str, str]:
    if find_spec("torch") is None:
        return {"torch": "not installed"}
    import torch

    found = {"cpu": f"{torch.get_num_threads()} threads"}
    for index in range(torch.cuda.device_count()):
        properties = torch.cuda.get_device_properties(index)
        found[f"cuda:{index}"] = f"{properties.name}, {properties.total_memory / 2**30:.0f} GiB"
    if len(found) == 1:
        found["cuda"] = "none found"
    return found


def _processor_facts() -> dict[str, str]:
    """The instructions that decide the gain by int8 on a CPU, and the gain here."""
    from kuaihl.engines.runtimes.processor import read_processor

    found = read_processor()
    facts = {"name": found.name}
    facts |= {name: "yes" if has else "no" for name, has in found.instructions.items()}
    vnni = "runs here" if found.vnni else "does not run here"
    return facts | {"int8": f"{found.gain_by_int8}; --target vnni {vnni}"}


def _compiled_files() -> dict[str, str]:
    """The files that `kuaihl export` made from the default bundle on this machine."""
    from kuaihl.engines.runtimes.compiled import compiled_folder
    from kuaihl.models.bundle import load_bundle
    from kuaihl.models.errors import KuaihlError

    try:
        folder = compiled_folder(load_bundle("edge"))
    except KuaihlError as error:
        return {"none": error_words(error)}
    found = sorted(file for file in folder.glob("*/*") if file.suffix in (".onnx", ".engine"))
    named = {file.stem: f"{file.stat().st_size / 1e6:.1f} MB in {file.parent}" for file in found}
    return named or {"none": "kuaihl export edge --to onnx makes scoring quicker on a CPU"}


def _describe_weights() -> dict[str, str]:
    from kuaihl.engines.weights.resolve import found_weights
    from kuaihl.models.bundle import load_bundle
    from kuaihl.models.errors import KuaihlError

    found = {entry.role: f"{entry.status}: {entry.where}" for entry in found_weights()}
    try:
        bundle = load_bundle("edge")
        found["bundle edge"] = f"ok: {bundle.path}"
    except KuaihlError as error:
        found["bundle edge"] = f"missing: {error_words(error)}"
    return found
