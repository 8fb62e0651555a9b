"""A bundle: one trained model and all that is needed to run it, in one directory (DESIGN section 6).

`bundle.json` describes the model and `head.safetensors` holds the weights. The JSON carries the weights' SHA-256, so
the two cannot be mixed up. Bundles never use pickle.
"""

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, cast

from kuaihl.models.architectures import ARCHITECTURES, build_network
from kuaihl.models.atomic import fill_folder, write_atomic
from kuaihl.models.dims import UNKNOWN_STREAMER, NetworkDims
from kuaihl.models.errors import ModelError, Remedy, reason_of
from kuaihl.models.facts import EncoderFacts, LabelFacts
from kuaihl.models.json_text import parse_json
from kuaihl.models.signals import SIGNALS_VERSION, SignalsFacts, parse_signals

if TYPE_CHECKING:
    from torch import Tensor, device, nn

    from kuaihl.models.features import TextSource
    from kuaihl.models.network.kuaihl import KuaiHL
    from kuaihl.models.network.linear import LaggedLinear

_A_BUNDLE = Remedy("give a bundle's directory", {"model": "DIR"})
_ONE_THAT_STREAMS = Remedy("give a bundle of architecture kuaihl or linear", {"model": "DIR"})
_BUNDLE_FORMAT = 2  # raised by one if a key is renamed
FACTS_FILE, HEAD_FILE = "bundle.json", "head.safetensors"
HeadDtype = Literal["float32", "float16"]


@dataclass(frozen=True)
class Bundle:
    """A bundle on disk with its facts read and checked; `network` loads the weights."""

    path: Path
    dims: NetworkDims
    profile: str  # the name of the encoders' profile
    encoders: tuple[EncoderFacts, ...]
    segment_seconds: float
    label: LabelFacts
    licence_weights: str
    licence_data: str
    head_sha256: str
    architecture: str = "kuaihl"  # its name in `architectures`
    head_dtype: str = "float32"  # as stored; the network computes in float32
    metrics: Mapping[str, Any] = field(default_factory=dict)  # at training time
    streamers: Mapping[str, int] = field(default_factory=dict)  # name -> index, from 1
    score_quantiles: Mapping[str, float] = field(default_factory=dict)  # "0.9" -> score, on training data
    signals: SignalsFacts | None = None  # the signals that it reads beside words and pictures, if any

    @property
    def name(self) -> str:
        return self.path.resolve().name

    @property
    def text(self) -> "TextSource":
        """The text vectors that the model was trained to read.

        Vectors without audio or without comments are separate ones (Table III).
        """
        plan = self.metrics.get("plan")
        said = plan.get("text") if isinstance(plan, Mapping) else None
        return cast("TextSource", said) if said in ("speech", "comments") else "both"

    def streamer_index(self, name: str | None) -> int:
        """The index of a streamer; 0, "unknown", for one that training never saw."""
        return UNKNOWN_STREAMER if name is None else self.streamers.get(name, UNKNOWN_STREAMER)

    def check_streams(self) -> None:
        """Raise ModelError if the network cannot follow a stream, as a baseline cannot."""
        if ARCHITECTURES[self.architecture].reads_counts:
            raise ModelError(
                f"{self.path}: {self.architecture} is a baseline to compare with and cannot follow a stream, "
                "which carries no counts per segment",
                remedy=_ONE_THAT_STREAMS,
            )
        if not ARCHITECTURES[self.architecture].streams:
            raise ModelError(
                f"{self.path}: {self.architecture} is a baseline to compare with and cannot follow a stream",
                remedy=_ONE_THAT_STREAMS,
            )

    def streaming_network(self, device: "str | device" = "cpu") -> "KuaiHL | LaggedLinear":
        """The network, if it can follow a stream. Raises as `check_streams` and `network` do."""
        self.check_streams()
        return cast("KuaiHL | LaggedLinear", self.network(device))

    def network(self, device: "str | device" = "cpu") -> "nn.Module":
        """The trained network, ready to score. Raises ModelError naming the file if the weights cannot be used."""
        import torch

        with torch.random.fork_rng(devices=[]):  # these weights are replaced: spare the caller's random numbers
            network = build_network(self.architecture, self.dims)
        weights = _read_head(self)
        expected = {name: part.shape for name, part in network.state_dict().items()}
        for name in sorted(expected.keys() ^ weights.keys()):
            raise ModelError(
                f"{self.path / HEAD_FILE}: weights do not fit {FACTS_FILE} ({name} is "
                f"{'missing' if name in expected else 'not in the network'}); get the bundle again"
            )
        for name, shape in expected.items():
            if weights[name].shape != shape:
                raise ModelError(
                    f"{self.path / HEAD_FILE}: {name} is {list(weights[name].shape)}, {FACTS_FILE} says {list(shape)}; "
                    "get the bundle again"
                )
            if not bool(weights[name].isfinite().all()):
                raise ModelError(f"{self.path / HEAD_FILE}: {name} holds NaN or infinity; train the bundle again")
        network.load_state_dict({name: part.float() for name, part in weights.items()}, assign=True)
        return network.to(device).eval()


def save_bundle(
    path: Path,
    network: "nn.Module",
    *,
    architecture: str = "kuaihl",
    profile: str,
    encoders: tuple[EncoderFacts, ...],
    label: LabelFacts,
    licence_weights: str,
    licence_data: str,
    segment_seconds: float = 30.0,
    metrics: Mapping[str, Any] | None = None,
    streamers: Mapping[str, int] | None = None,
    score_quantiles: Mapping[str, float] | None = None,
    head_dtype: HeadDtype = "float32",
) -> Bundle:
    """Write a bundle to `path`, whole or not at all; an existing bundle is replaced.

    Raises ModelError if `path` is something else or cannot be written, or if the weights are not finite.
    """
    import torch
    from safetensors.torch import save

    if path.exists() and not (path / FACTS_FILE).is_file() and not (path.is_dir() and not any(path.iterdir())):
        raise ModelError(f"{path}: exists and is not a bundle; choose another place or remove it")
    dtype = getattr(torch, head_dtype)
    weights = {name: part.detach().cpu().to(dtype).contiguous() for name, part in network.state_dict().items()}
    for name, part in weights.items():
        if not bool(part.isfinite().all()):
            raise ModelError(f"{path}: {name} holds NaN or infinity as {head_dtype}; the training has diverged")
    head = save(weights)
    bundle = Bundle(
        path=path,
        dims=cast(NetworkDims, network.dims),
        architecture=architecture,
        profile=profile,
        encoders=encoders,
        segment_seconds=segment_seconds,
        label=label,
        licence_weights=licence_weights,
        licence_data=licence_data,
        head_sha256=hashlib.sha256(head).hexdigest(),
        head_dtype=head_dtype,
        metrics=dict(metrics or {}),
        streamers=dict(streamers or {}),
        score_quantiles=dict(score_quantiles or {}),
        signals=SignalsFacts() if cast(NetworkDims, network.dims).signals else None,
    )
    _check_streamers(bundle)
    facts = {"format": _BUNDLE_FORMAT, "architecture": architecture} | asdict(bundle)
    del facts["path"]
    text = json.dumps(facts, ensure_ascii=False, indent=2, allow_nan=False) + "\n"

    def fill(folder: Path) -> None:
        write_atomic(folder / HEAD_FILE, head)
        write_atomic(folder / FACTS_FILE, text)

    try:
        fill_folder(path, fill, replace=True)
    except OSError as error:
        raise ModelError(f"{path}: cannot be written ({error.strerror}); choose another place") from error
    return bundle


# The least and the most of each number of a network; more would be built for hours, or not at all.
_RANGES = {
    "visual_width": (1, 1 << 14), "text_width": (1, 1 << 14), "patches": (1, 1 << 12), "width": (1, 1 << 13),
    "heads": (1, 256), "layers": (0, 64), "text_layers": (0, 16), "window": (1, 1 << 12), "feed_forward": (1, 16),
    "streamers": (0, 1 << 20), "dropout": (0, 1), "id_dropout": (0, 1), "rooms": (0, 1 << 20),
    "history_width": (0, 1 << 14), "signals": (0, 1 << 10),
}  # fmt: skip


def load_bundle(source: str | Path) -> Bundle:
    """Read and check the facts of the bundle at `source`: a directory, or the name of one that ships with kuaihl.

    Raises ModelError, in one line, if there is no bundle or it cannot be used.
    """
    path = _find_bundle(source)
    file = path / FACTS_FILE
    try:
        facts = parse_json(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise ModelError(f"{file}: cannot be read ({error.strerror})", remedy=_A_BUNDLE) from error
    except ValueError as error:
        raise ModelError(f"{file}: is not JSON ({reason_of(error)}); get the bundle again") from error
    if not isinstance(facts, dict) or "format" not in facts:
        raise ModelError(f"{file}: says no format version, so it is not a bundle's", remedy=_A_BUNDLE)
    if facts["format"] != _BUNDLE_FORMAT:
        raise ModelError(
            f"{file}: bundle format {facts['format']}, this kuaihl reads {_BUNDLE_FORMAT}; "
            "update kuaihl or train the bundle again"
        )
    architecture = facts.get("architecture")
    if not isinstance(architecture, str) or architecture not in ARCHITECTURES:
        raise ModelError(f"{file}: architecture {reason_of(repr(architecture))} is not known; update kuaihl")
    try:
        bundle = _parse(path, facts)
    except KeyError as error:
        raise ModelError(f"{file}: {error.args[0]} is missing; get the bundle again") from error
    except (TypeError, ValueError, AttributeError, OverflowError) as error:
        raise ModelError(f"{file}: {reason_of(error)}; get the bundle again") from error
    _check_streamers(bundle)
    if not (path / HEAD_FILE).is_file():
        raise ModelError(f"{path / HEAD_FILE}: missing; get the bundle again")
    return bundle


def _find_bundle(source: str | Path) -> Path:
    """The directory of a bundle: `source` itself, or the built-in bundle of that name. Raises ModelError."""
    path = Path(source)
    if path.is_dir():
        return path
    builtin = _built_in_folder()
    if path.parent == Path() and (builtin / path / FACTS_FILE).is_file():
        return builtin / path
    names = sorted(entry.parent.name for entry in builtin.glob(f"*/{FACTS_FILE}"))
    raise ModelError(f"{source}: no such bundle; give a directory or one of: {', '.join(names) or '(none built in)'}")


def _built_in_folder() -> Path:
    """The folder of the bundles that ship with kuaihl."""
    return Path(str(files("kuaihl.models") / "bundles"))


def is_built_in(path: Path) -> bool:
    """Whether a bundle's directory is part of the installed package."""
    return path.absolute().parent == _built_in_folder().absolute()


def _parse(path: Path, facts: dict[str, Any]) -> Bundle:
    for name, (least, most) in _RANGES.items():
        value = facts["dims"].get(name, least)
        if isinstance(value, int | float) and not least <= value <= most:
            raise ValueError(f"dims.{name} is {reason_of(repr(value), 40)}, not {least} to {most:,}")
    dims = NetworkDims(**({"text_layers": 1} | facts["dims"]))  # older bundles do not store it: W_z was one layer
    for entry in fields(NetworkDims):
        value = getattr(dims, entry.name)
        if type(value) is not entry.type and not (entry.type is float and type(value) is int):
            raise ValueError(f"dims.{entry.name} is {value!r}")
    signals = parse_signals(facts["signals"]) if dims.signals else None
    if signals is not None and signals != SignalsFacts():
        raise ValueError(
            f"it reads signals of version {signals.version}, this kuaihl measures {SIGNALS_VERSION}; train it again"
        )
    if not (math.isfinite(facts["segment_seconds"]) and facts["segment_seconds"] > 0):
        raise ValueError(f"segment_seconds is {facts['segment_seconds']}")
    return Bundle(
        path=path,
        dims=dims,
        architecture=str(facts["architecture"]),
        profile=str(facts["profile"]),
        encoders=tuple(EncoderFacts(**encoder) for encoder in facts["encoders"]),
        segment_seconds=float(facts["segment_seconds"]),
        label=LabelFacts(**facts["label"]),
        licence_weights=str(facts["licence_weights"]),
        licence_data=str(facts["licence_data"]),
        head_sha256=str(facts["head_sha256"]),
        head_dtype=str(facts["head_dtype"]),
        metrics=dict(facts["metrics"]),
        streamers={str(name): int(index) for name, index in facts["streamers"].items()},
        score_quantiles={str(level): float(score) for level, score in facts["score_quantiles"].items()},
        signals=signals,
    )


def _check_streamers(bundle: Bundle) -> None:
    for name, index in bundle.streamers.items():
        if not 0 < index <= bundle.dims.streamers:
            raise ModelError(
                f"{bundle.path / FACTS_FILE}: streamer {name!r} has index {index}, the network knows 1 to "
                f"{bundle.dims.streamers}; train the bundle again"
            )


def _read_head(bundle: Bundle) -> "dict[str, Tensor]":
    from safetensors import SafetensorError
    from safetensors.torch import load

    file = bundle.path / HEAD_FILE
    try:
        data = file.read_bytes()
    except OSError as error:
        raise ModelError(f"{file}: cannot be read ({error.strerror}); get the bundle again") from error
    if hashlib.sha256(data).hexdigest() != bundle.head_sha256:
        raise ModelError(f"{file}: damaged or of another bundle (its SHA-256 differs); get the bundle again")
    try:
        return load(data)
    except (SafetensorError, ValueError, KeyError) as error:
        raise ModelError(f"{file}: is no safetensors file ({reason_of(error)}); get the bundle again") from error
