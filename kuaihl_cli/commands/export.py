"""`kuaihl export BUNDLE --to onnx|tensorrt|tensorrt-rtx`: compile a bundle for where it will run."""

import shutil
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from kuaihl.models.errors import UsageError
from kuaihl_cli.options import debug_option, text_weights_option

if TYPE_CHECKING:
    from kuaihl.engines.compiled import CompiledFacts
    from kuaihl.models.bundle import Bundle


@click.command()
@click.argument("model", metavar="BUNDLE")
@click.option(
    "--to", "kind", type=click.Choice(["onnx", "tensorrt", "tensorrt-rtx"]), required=True, help="What will execute it."
)
@click.option(
    "--precision", type=click.Choice(["fp32", "fp16", "bf16", "int8"]), default="fp32", show_default=True,
    help="In what it will compute; int8 is for the vision and text encoders, the head stays in floats.",
)  # fmt: skip
@click.option(
    "--target", type=click.Choice(["portable", "vnni"]), default="portable", show_default=True,
    help="The processors that int8 in ONNX Runtime is for: every x86-64, or those with VNNI, where it is quicker so.",
)  # fmt: skip
@click.option(
    "--sample", "samples", multiple=True, metavar="RECORDING",
    help="Real input to compare on and to calibrate int8 on, the more varied the better; may be repeated. "
    "Drawn scenes and written sentences if not given.",
)  # fmt: skip
@text_weights_option
@click.option("--graphs", default="", metavar="step,vision,…", help="Only these of step, window, vision and text.")
@click.option(
    "--compute-capability", "capabilities", multiple=True, metavar="8.9",
    help="TensorRT for RTX: the card to compile for, may be repeated; by default the one in this machine.",
)  # fmt: skip
@click.option(
    "--output", "-o", type=click.Path(path_type=Path), metavar="DIR", help="Compile a copy of the bundle, made there."
)
@click.option("--threads", type=click.IntRange(1, 256), metavar="N", envvar="KUAIHL_THREADS", help="CPU threads.")
@click.option("--quiet", "-q", is_flag=True, help="Say nothing but errors.")
@debug_option
def export(
    model: str,
    kind: str,
    precision: str,
    target: str,
    samples: tuple[str, ...],
    text_weights: str | None,
    graphs: str,
    capabilities: tuple[str, ...],
    output: Path | None,
    threads: int | None,
    quiet: bool,
) -> None:
    """Compile BUNDLE's networks: the head as a streaming step and over a window, the vision and the text encoder.

    Every graph is compared with torch on random and real input before it is written, into the bundle or, of one that
    ships with kuaihl, into the cache. `kuaihl score` finds it there; docs/engines.md says what runs where.
    """
    from kuaihl.engines.compiled import compiled_folder
    from kuaihl.engines.engine import kind_named, precision_named, target_named
    from kuaihl.engines.export import export_graphs, wanted_graphs
    from kuaihl.models.bundle import load_bundle

    wanted = wanted_graphs([name.strip() for name in graphs.split(",") if name.strip()])
    if precision == "int8" and not samples and "vision" in wanted:
        raise UsageError(
            "--precision int8 is calibrated on real pictures: give --sample a recording of a minute or more"
        )
    if target != "portable" and (kind, precision) != ("onnx", "int8"):
        raise UsageError(f"--target {target} is for --to onnx --precision int8; everything else runs alike everywhere")
    if capabilities and kind != "tensorrt-rtx":
        raise UsageError(
            f"--compute-capability is for --to tensorrt-rtx; {kind} runs where it can or compiles on the card"
        )
    bundle = load_bundle(model)
    if output is not None:
        bundle = copy_of(bundle, output)
    for file, facts in export_graphs(
        bundle,
        kind_named(kind),
        precision_named(precision),
        wanted,
        target=target_named(target),
        samples=samples,
        capabilities=capabilities,
        threads=threads,
        text_weights=text_weights,
    ):
        if not quiet:
            print(in_words(file, facts), file=sys.stderr, flush=True)
    if not quiet:
        print(f"wrote {compiled_folder(bundle)}/", file=sys.stderr)


def copy_of(bundle: "Bundle", output: Path) -> "Bundle":
    """The bundle in another folder, without what was compiled of it. Raises UsageError where something is there."""
    from kuaihl.models.bundle import FACTS_FILE, HEAD_FILE

    if output.exists() and not (output.is_dir() and not any(output.iterdir())):
        raise UsageError(f"{output}: there already; give --output a new folder, or export that bundle itself")
    try:
        output.mkdir(parents=True, exist_ok=True)
        for name in (HEAD_FILE, FACTS_FILE):
            shutil.copyfile(bundle.path / name, output / name)
    except OSError as error:
        raise UsageError(f"{output}: cannot be written ({error.strerror}); choose another folder") from error
    return replace(bundle, path=output)


def in_words(file: Path, facts: "CompiledFacts") -> str:
    """A line of what was written: its size and how far it is from torch."""
    said = ", ".join(
        f"{name.replace('_', ' ')} {value:.2g}" for name, value in facts.parity.items() if "cos" not in name
    )
    cosine = facts.parity.get("least_cosine")
    if cosine is not None:
        said = f"cosine to torch at least {cosine:.5f}"
    return f"{file.name:<44} {file.stat().st_size / 1e6:7.1f} MB  {said}".rstrip()
