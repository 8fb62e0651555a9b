"""ONNX graphs compiled to TensorRT engines: strongly typed, one profile, for the named compute capabilities.

TensorRT for RTX compiles without a GPU; loading the result finishes it for the card there. Full TensorRT times
kernels on the card that it builds for, so it needs one.
"""

import hashlib
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from kuaihl.engines.runtimes.compiled import (
    CompiledFacts,
    compile_remedy,
    engine_file,
    read_compiled,
    read_facts,
    write_compiled,
)
from kuaihl.engines.runtimes.graphs import Graph
from kuaihl.engines.runtimes.runtime import Precision
from kuaihl.engines.runtimes.tensorrt_package import Gpu, TensorRt, TensorRtKind, gpu_of, load_tensorrt
from kuaihl.models.errors import ModelError, Remedy, UsageError, reason_of

Shape = tuple[int, ...]
Profile = Mapping[str, tuple[Shape, Shape, Shape]]  # of every input: minimum, usual, maximum


def profile_of(graph: Graph) -> Profile:
    """The shapes that a graph's inputs may have."""
    least, usual, most = (
        {name: getattr(sizes, which) for name, sizes in graph.ranges.items()} for which in ("least", "usual", "most")
    )
    return {port.name: (port.shape_for(least), port.shape_for(usual), port.shape_for(most)) for port in graph.inputs}


def build_engine(kind: TensorRtKind, onnx: bytes, profile: Profile, capabilities: Sequence[str] = ()) -> bytes:
    """Compile a self-contained ONNX graph; `capabilities` such as "8.9", none for the card of this machine.

    Raises UsageError if the package, its GPU or a capability is missing, ModelError if the graph does not compile.
    """
    tensorrt = load_tensorrt(kind)
    _check_capabilities(tensorrt, capabilities)
    tensorrt.complaints.clear()
    builder = tensorrt.api.Builder(tensorrt.logger)
    network = _typed_network(tensorrt, builder)
    _read_onnx(tensorrt, network, onnx)
    config = _configure(tensorrt, builder, capabilities)
    config.add_optimization_profile(_optimisation_profile(builder, network, profile))
    with _silent_stdout():
        engine = builder.build_serialized_network(network, config)
    if engine is None:
        raise ModelError(f"{kind} {tensorrt.version} cannot compile the graph: {tensorrt.complaints.first_line()}")
    return bytes(engine)


def _typed_network(tensorrt: TensorRt, builder: Any) -> Any:
    """An empty network whose types are those of the ONNX graph: precision is the exporter's choice."""
    flags = tensorrt.api.NetworkDefinitionCreationFlag
    # From version 11, and in TensorRT for RTX, networks are strongly typed without the flag.
    flag = getattr(flags, "STRONGLY_TYPED", None)
    return builder.create_network(0 if flag is None else 1 << int(flag))


def _read_onnx(tensorrt: TensorRt, network: Any, onnx: bytes) -> None:
    """Parse `onnx` into `network`. Raises ModelError if it is not ONNX, or has an operator that TensorRT lacks."""
    parser = tensorrt.api.OnnxParser(network, tensorrt.logger)
    if parser.parse(onnx):
        return
    said = reason_of(parser.get_error(0).desc()) if parser.num_errors else tensorrt.complaints.first_line()
    raise ModelError(f"{tensorrt.kind} {tensorrt.version} cannot read the ONNX graph: {said}")


def _configure(tensorrt: TensorRt, builder: Any, capabilities: Sequence[str]) -> Any:
    config = builder.create_builder_config()
    flags = tensorrt.api.BuilderFlag
    config.clear_flag(flags.TF32)  # TF32 has 10 bits of mantissa, and parity in fp32 requires 1e-4
    if hasattr(flags, "REQUIRE_USER_ALLOCATION"):
        config.set_flag(flags.REQUIRE_USER_ALLOCATION)  # without it TensorRT for RTX cannot be captured in CUDA graphs
    if tensorrt.kind == "tensorrt-rtx" and capabilities:
        config.num_compute_capabilities = len(capabilities)
        for index, capability in enumerate(capabilities):
            config.set_compute_capability(getattr(tensorrt.api.ComputeCapability, _sm_name(capability)), index)
    return config


def _optimisation_profile(builder: Any, network: Any, profile: Profile) -> Any:
    """The optimisation profile. Raises ModelError if the network's inputs are not those of `profile`."""
    inputs = [network.get_input(index).name for index in range(network.num_inputs)]
    if set(inputs) != set(profile):
        raise ModelError(f"the ONNX graph takes {', '.join(inputs)}, and not {', '.join(profile)}; export it again")
    found = builder.create_optimization_profile()
    for name, shapes in profile.items():
        try:
            found.set_shape(name, *shapes)
        except ValueError as error:
            raise ModelError(f"the ONNX graph's {name} cannot have the sizes {shapes}: {reason_of(error)}") from error
    return found


def _check_capabilities(tensorrt: TensorRt, capabilities: Sequence[str]) -> None:
    """Raise UsageError for a capability that this package cannot build for on this machine."""
    if tensorrt.kind == "tensorrt-rtx":
        known = builder_capabilities(tensorrt)
        if unknown := [capability for capability in capabilities if capability not in known]:
            raise UsageError(
                f"{tensorrt.kind} {tensorrt.version} does not build for compute capability {', '.join(unknown)}; "
                f"it has {', '.join(known)}"
            )
        return
    gpu = gpu_of("cuda")
    if gpu is None:
        raise UsageError(
            f"{tensorrt.kind} builds only on the NVIDIA GPU that is to run the engine, and there is none here; "
            "tensorrt-rtx builds without one"
        )
    if other := [capability for capability in capabilities if capability != gpu.capability]:
        raise UsageError(
            f"{tensorrt.kind} builds only for the GPU at hand, {gpu.name} of compute capability {gpu.capability}, "
            f"and not for {', '.join(other)}"
        )


def builder_capabilities(tensorrt: TensorRt) -> list[str]:
    """All compute capabilities that TensorRT for RTX has names for."""
    numbers = [int(name[2:]) for name in dir(tensorrt.api.ComputeCapability) if name[:2] == "SM" and name[2:].isdigit()]
    return [f"{number // 10}.{number % 10}" for number in sorted(numbers)]


def _sm_name(capability: str) -> str:
    return "SM" + capability.replace(".", "")


_NAME_A_CARD = Remedy("name one's compute capability", {"compute_capability": "8.9"})


def cards_to_build_for(kind: TensorRtKind, capabilities: Sequence[str]) -> list[str]:
    """The compute capabilities asked for, or this machine's. Raises UsageError for one that cannot be built here."""
    _check_capabilities(load_tensorrt(kind), capabilities)
    return list(capabilities) or [_capability_to_build(kind, None, gpu_of("cuda"))]


def _capability_to_build(kind: TensorRtKind, capability: str | None, gpu: Gpu | None) -> str:
    """The capability asked for, or that of `gpu`. Raises UsageError if there is neither."""
    if capability is not None:
        return capability
    if gpu is not None:
        return gpu.capability
    raise UsageError(
        "there is no NVIDIA GPU here to build for" + (", and it takes one" if kind == "tensorrt" else ""),
        setting="to",
        value=kind,
        remedy=_NAME_A_CARD if kind == "tensorrt-rtx" else None,
    )


@contextmanager
def _silent_stdout() -> Iterator[None]:
    """Silence what TensorRT's compiler prints past its logger: standard output is for the command's results."""
    sys.stdout.flush()
    kept, nowhere = os.dup(1), os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 1)
        yield
    finally:
        os.dup2(kept, 1)
        os.close(kept)
        os.close(nowhere)


def compile_graph(
    bundle: Path, graph: Graph, onnx_file: Path, kind: TensorRtKind, precision: Precision, capability: str | None = None
) -> Path:
    """Compile a graph's ONNX file into the bundle with its facts; returns the engine's file.

    `capability` such as "8.9", None for this machine's card. Raises as `build_engine`, and ModelError if the ONNX file
    is not whole or the bundle cannot be written to.
    """
    tensorrt, gpu = load_tensorrt(kind), gpu_of("cuda")
    target = _capability_to_build(kind, capability, gpu)
    rebuild = compile_remedy(str(bundle), "onnx", precision)
    onnx, origin = read_compiled(onnx_file, read_facts(onnx_file, rebuild).source_sha256, rebuild)
    try:
        engine = build_engine(kind, onnx, profile_of(graph), (target,))
    except ModelError as error:
        raise error.within(str(onnx_file)) from error
    facts = CompiledFacts(
        graph=graph.name,
        kind=kind,
        precision=precision,
        sha256=hashlib.sha256(engine).hexdigest(),
        source_sha256=origin.source_sha256,
        made_with={kind: tensorrt.version},
        inputs=graph.input_names,
        outputs=graph.outputs,
        sizes={name: (sizes.least, sizes.usual, sizes.most) for name, sizes in graph.ranges.items()},
        onnx_sha256=origin.sha256,
        gpu=gpu.name if gpu and gpu.capability == target else "",
        compute_capability=target,
        tensorrt=tensorrt.version,
    )
    file = engine_file(bundle, graph.name, precision, kind, target, tensorrt.version)
    write_compiled(file, engine, facts)
    return file
