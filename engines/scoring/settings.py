"""The settings of a run, as one value: the command, a batch's workers and the Python API all fill it in."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from kuaihl.engines.highlights.choice import Choice
from kuaihl.engines.highlights.clip_style import ClipStyle
from kuaihl.models.errors import UsageError

EngineName = Literal["auto", "torch", "onnx", "tensorrt", "tensorrt-rtx"]
PrecisionName = Literal["auto", "fp32", "fp16", "bf16", "int8"]
AsrName = Literal["auto", "ctranslate2", "openai-whisper", "none"]
FramesName = Literal["keyframe", "exact"]


@dataclass(frozen=True, kw_only=True)
class Products(Choice, ClipStyle):
    """What to make from scores: a choice of highlights, clips, and the files beside highlights.json."""

    plot: bool = False
    report: bool = False
    formats: str = ""  # names of more files, joined by commas

    def __post_init__(self) -> None:
        Choice.__post_init__(self)
        ClipStyle.__post_init__(self)


@dataclass(frozen=True, kw_only=True)
class ScoreSettings(Products):
    """How to score: the first eight fields load a model, the others and the products apply to one run."""

    model: str = "edge"  # a bundle's folder, or the name of one that ships
    device: str = "auto"  # or cpu, cuda, cuda:N, mps
    engine: EngineName = "auto"
    precision: PrecisionName = "auto"
    threads: int | None = None  # CPU threads; None: all
    asr: AsrName = "auto"
    whisper_model: str | None = None  # None: the one of the bundle's profile
    text_weights: str | None = None  # as above
    language: str | None = None  # the spoken one; None: detected
    segment_seconds: float | None = None  # None: the bundle's own
    frames: FramesName = "keyframe"
    comments_offset: float = 0.0  # seconds added to every comment's time
    ignore_user: tuple[str, ...] = ()  # whose comments do not count: names, or /patterns/
    ignore_words: tuple[str, ...] = ()  # comments with one of these texts, or /patterns/, do not count
    timeout: float = 10.0  # seconds to wait for a network source
    start: float = 0.0  # seconds on the recording's clock; earlier media is left out
    end: float | None = None  # media from here on is left out


def check_settings(source: str, settings: ScoreSettings, output: Path | None) -> None:
    """Raise UsageError for settings known to fail before anything is read."""
    from kuaihl.engines.ingest.opening import is_stream  # every command reads this module, and few need these
    from kuaihl.engines.outputs.formats import parse_formats
    from kuaihl.engines.stores.urls import is_stored

    formats = parse_formats(settings.formats)
    if output is None and (settings.clips or settings.plot or settings.report or formats):
        raise UsageError("clips, plots, reports and formats are files in a run folder; name the output folder")
    if settings.end is not None and settings.end <= settings.start:
        raise UsageError(f"the end at {settings.end:g} s is not after the start at {settings.start:g} s")
    if is_stream(source):
        check_stream_settings(source, settings)
    if settings.frames == "exact" and is_stored(source):
        raise UsageError(f"needs a file on disk, and {source} is in a store", setting="frames", value=settings.frames)


def check_stream_settings(source: str, settings: ScoreSettings) -> None:
    """Raise UsageError for what needs a file, because a stream can be read only once."""
    from kuaihl.engines.outputs.formats import media_formats

    edited = ",".join(media_formats(settings.formats))
    wanted: dict[str, tuple[object, str | None]] = {
        "exact": (settings.exact, None),
        "aspect": (settings.aspect is not None, settings.aspect),
        "captions": (settings.captions is not None, settings.captions),
        "format": (edited, edited),
        "frames": (settings.frames == "exact", settings.frames),
        "start": (settings.start, f"{settings.start:g}"),
        "end": (settings.end is not None, f"{settings.end or 0.0:g}"),
    }
    for name, (is_wanted, value) in wanted.items():
        if is_wanted:
            raise UsageError(
                f"needs a file, and {source} is a stream; record it, then score the recording",
                setting=name,
                value=value,
            )
