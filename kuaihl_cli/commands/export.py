"""`kuaihl export BUNDLE --to onnx|tensorrt|tensorrt-rtx`: compile a bundle for its target."""

from dataclasses import dataclass, replace
from filecmp import cmp
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from kuaihl.models.errors import UsageError
from kuaihl_cli.command import RULE, application, read_settings
from kuaihl_cli.options import BundleArgument, QuietOption, TextWeightsOption, ThreadsOption
from kuaihl_cli.terminal.messages import log_only, say

if TYPE_CHECKING:
    from kuaihl.engines.runtimes.compiled import CompiledFacts
    from kuaihl.models.bundle import Bundle

CHECKS = "Calibration and comparison"

app = application()


@dataclass(frozen=True, kw_only=True)
class ExportSettings:
    """The options of `kuaihl export`."""

    model: BundleArgument
    to: Annotated[
        Literal["onnx", "tensorrt", "tensorrt-rtx"], typer.Option("--to", help="What will execute the networks.")
    ]
    precision: Annotated[
        Literal["fp32", "fp16", "bf16", "int8"],
        typer.Option(
            "--precision",
            help="The number format to compute in. int8 is for the vision and text encoders; the head stays in floats.",
        ),
    ] = "fp32"
    target: Annotated[
        Literal["portable", "vnni"],
        typer.Option(
            "--target",
            help="The processors that int8 in ONNX Runtime is for: every x86-64, or those with VNNI, which it suits "
            "better.",
        ),
    ] = "portable"
    graphs: Annotated[
        str,
        typer.Option(
            "--graphs", metavar="step,vision,…", show_default=False,
            help="Only these of step, window, vision and text.",
        ),
    ] = ""  # fmt: skip
    compute_capability: Annotated[
        tuple[str, ...],
        typer.Option(
            "--compute-capability", metavar="8.9",
            help="The card to compile for with TensorRT for RTX, by default the one in this machine; may be repeated.",
        ),
    ] = ()  # fmt: skip
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="DIR", help="Compile a copy of the bundle, which is made there."),
    ] = None
    sample: Annotated[
        tuple[str, ...],
        typer.Option(
            "--sample", metavar="RECORDING", rich_help_panel=CHECKS,
            help="Real input to compare on and to calibrate int8 on, the more varied the better; may be repeated. "
            "Drawn scenes and written sentences if not given.",
        ),
    ] = ()  # fmt: skip
    threads: ThreadsOption = None
    text_weights: TextWeightsOption = None
    quiet: QuietOption = False


@app.command(epilog=RULE)
@read_settings(ExportSettings)
def export(settings: ExportSettings) -> None:
    """Compile BUNDLE's networks: the head as a streaming step and over a window, the vision and the text encoder.

    Every graph is compared with torch on random and real input before it is written. It goes into the bundle, or into
    the cache if the bundle ships with kuaihl; `kuaihl score` finds it there. docs/engines.md says what runs where.
    """
    from kuaihl.engines.export.export import export_graphs, wanted_graphs
    from kuaihl.engines.runtimes.compiled import compiled_folder
    from kuaihl.engines.runtimes.runtime import kind_named, precision_named, target_named
    from kuaihl.models.bundle import load_bundle

    wanted = wanted_graphs([name.strip() for name in settings.graphs.split(",") if name.strip()])
    _check_options(settings, has_vision="vision" in wanted)
    bundle = load_bundle(settings.model)
    if settings.output is not None:
        bundle = copy_of(bundle, settings.output)
    report = log_only if settings.quiet else say
    for file, facts in export_graphs(
        bundle,
        kind_named(settings.to),
        precision_named(settings.precision),
        wanted,
        target=target_named(settings.target),
        samples=settings.sample,
        capabilities=settings.compute_capability,
        threads=settings.threads,
        text_weights=settings.text_weights,
    ):
        report(_file_words(file, facts))
    report(f"wrote {compiled_folder(bundle)}/")


def _check_options(settings: ExportSettings, *, has_vision: bool) -> None:
    """Raise UsageError for options that do not belong together."""
    kind, precision = settings.to, settings.precision
    if precision == "int8" and not settings.sample and has_vision:
        raise UsageError(
            "--precision int8 is calibrated on real pictures: give --sample a recording of a minute or more"
        )
    if settings.target != "portable" and (kind, precision) != ("onnx", "int8"):
        raise UsageError(
            f"--target {settings.target} is for --to onnx --precision int8; everything else runs alike everywhere"
        )
    if settings.compute_capability and kind != "tensorrt-rtx":
        raise UsageError(
            f"--compute-capability is for --to tensorrt-rtx; {kind} runs where it can or compiles on the card"
        )


def copy_of(bundle: "Bundle", output: Path) -> "Bundle":
    """The bundle in another folder, without its compiled files; a copy that an earlier run began is used again.

    Raises UsageError if the folder holds something else.
    """
    from kuaihl.models.atomic import write_atomic
    from kuaihl.models.bundle import FACTS_FILE, HEAD_FILE

    try:
        found = {path.name for path in output.iterdir() if path.suffix != ".part"} if output.exists() else set()
        begun = found <= {HEAD_FILE} or (
            FACTS_FILE in found and cmp(bundle.path / FACTS_FILE, output / FACTS_FILE, shallow=False)
        )
        if not begun:
            raise UsageError(f"{output}: there already; give --output a new folder, or export that bundle itself")
        output.mkdir(parents=True, exist_ok=True)
        for name in (HEAD_FILE, FACTS_FILE):  # the facts come last: they say that the head is whole
            write_atomic(output / name, (bundle.path / name).read_bytes())
    except OSError as error:
        raise UsageError(f"{output}: cannot be written ({error.strerror}); choose another folder") from error
    return replace(bundle, path=output)


def _file_words(file: Path, facts: "CompiledFacts") -> str:
    """A line on a written file: its size and its distance from torch."""
    said = ", ".join(
        f"{name.replace('_', ' ')} {value:.2g}" for name, value in facts.parity.items() if "cos" not in name
    )
    cosine = facts.parity.get("least_cosine")
    if cosine is not None:
        said = f"cosine to torch at least {cosine:.5f}"
    return f"{file.name:<44} {file.stat().st_size / 1e6:7.1f} MB  {said}".rstrip()
