"""Predict the highlights of recordings and live streams.

    import kuaihl

    result = kuaihl.score("stream.flv")  # .segments, .highlights
    for segment in kuaihl.load("edge").stream("rtmp://server/live/room"):
        print(segment.start, segment.score)

Importing this package imports neither torch nor any other heavy package; the first call does.
"""

from typing import TYPE_CHECKING

from kuaihl.models.errors import (
    BatchError,
    DataError,
    KuaihlError,
    ModelError,
    SourceError,
    SourceUnavailable,
    UsageError,
)

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from kuaihl.engines.highlights.choice import BoundariesName
    from kuaihl.engines.highlights.clip_style import CaptionsName, FitName
    from kuaihl.engines.highlights.clips import Clip
    from kuaihl.engines.highlights.online import HighlightClosed, HighlightDropped, HighlightOpened
    from kuaihl.engines.scoring.conclude import ScoreResult
    from kuaihl.engines.scoring.model import Model
    from kuaihl.engines.scoring.run import Run
    from kuaihl.engines.scoring.settings import AsrName, EngineName, FramesName, PrecisionName
    from kuaihl.engines.types import Comment, Event, Highlight, ScoredSegment, Sentence

    __version__: str

__all__ = [
    "BatchError",
    "Clip",
    "Comment",
    "DataError",
    "Event",
    "Highlight",
    "HighlightClosed",
    "HighlightDropped",
    "HighlightOpened",
    "KuaihlError",
    "Model",
    "ModelError",
    "Run",
    "ScoreResult",
    "ScoredSegment",
    "Sentence",
    "SourceError",
    "SourceUnavailable",
    "UsageError",
    "__version__",
    "load",
    "score",
]

# The modules of names that are imported only on first use.
_LAZY = {
    "Clip": "kuaihl.engines.highlights.clips",
    "Comment": "kuaihl.engines.types",
    "Event": "kuaihl.engines.types",
    "Highlight": "kuaihl.engines.types",
    "HighlightClosed": "kuaihl.engines.highlights.online",
    "HighlightDropped": "kuaihl.engines.highlights.online",
    "HighlightOpened": "kuaihl.engines.highlights.online",
    "Model": "kuaihl.engines.scoring.model",
    "Run": "kuaihl.engines.scoring.run",
    "ScoreResult": "kuaihl.engines.scoring.conclude",
    "ScoredSegment": "kuaihl.engines.types",
    "Sentence": "kuaihl.engines.types",
}


def load(
    model: "str | Path" = "edge",
    *,
    device: str = "auto",
    engine: "EngineName" = "auto",
    precision: "PrecisionName" = "auto",
    threads: int | None = None,
    asr: "AsrName" = "auto",
    whisper_model: "str | Path | None" = None,
    text_weights: "str | Path | None" = None,
) -> "Model":
    """Load a bundle, given as a folder or the name of a shipped one, with its encoders. The model scores any sources.

    `device` is auto, cpu, cuda, cuda:N or mps. `engine` executes the networks and `precision` is its number format;
    auto takes the fastest one compiled, with the scores of fp32. `threads` is the number of CPU threads, None for all.
    `asr` transcribes speech, "none" leaves it out. `whisper_model` and `text_weights` name other weights than the
    bundle's.

    Raises UsageError for invalid options, ModelError for a bundle or weights that cannot be used.
    """
    from kuaihl.engines.scoring.model import load_model
    from kuaihl.engines.scoring.settings import ScoreSettings

    settings = ScoreSettings(
        model=str(model),
        device=device,
        engine=engine,
        precision=precision,
        threads=threads,
        asr=asr,
        whisper_model=None if whisper_model is None else str(whisper_model),
        text_weights=None if text_weights is None else str(text_weights),
    )
    return load_model(settings)


def score(
    source: "str | Path",
    *,
    model: "str | Path" = "edge",
    device: str = "auto",
    engine: "EngineName" = "auto",
    precision: "PrecisionName" = "auto",
    threads: int | None = None,
    asr: "AsrName" = "auto",
    whisper_model: "str | Path | None" = None,
    text_weights: "str | Path | None" = None,
    comments: "str | Path | Iterable[Comment] | None" = "auto",
    comments_offset: float = 0.0,
    ignore_user: tuple[str, ...] = (),
    ignore_words: tuple[str, ...] = (),
    streamer: str | None = None,
    language: str | None = None,
    segment_seconds: float | None = None,
    frames: "FramesName" = "keyframe",
    timeout: float = 10.0,
    start: float = 0.0,
    end: float | None = None,
    top: int | None = None,
    min_score: float | None = None,
    length: tuple[float, float] = (10.0, 120.0),
    padding: tuple[float, float] = (0.0, 0.0),
    per_hour: float | None = None,
    overlap: bool = True,
    boundaries: "BoundariesName" = "sentences",
    output: "str | Path | None" = None,
    resume: bool = False,
    clips: bool = False,
    exact: bool = False,
    clip_name: str = "{source}_{rank:02}_{time}",
    aspect: str | None = None,
    fit: "FitName | None" = None,
    captions: "CaptionsName | None" = None,
    plot: bool = False,
    report: bool = False,
    formats: "str | Iterable[str]" = (),
) -> "ScoreResult":
    """Load a model, score one source to its end, and return its segments and highlights.

    The options and errors are those of `load` and `Model.stream`. For several sources, load once and call the model's
    `score`.
    """
    loaded = load(
        model,
        device=device,
        engine=engine,
        precision=precision,
        threads=threads,
        asr=asr,
        whisper_model=whisper_model,
        text_weights=text_weights,
    )
    return loaded.score(
        source,
        comments=comments,
        comments_offset=comments_offset,
        ignore_user=ignore_user,
        ignore_words=ignore_words,
        streamer=streamer,
        language=language,
        segment_seconds=segment_seconds,
        frames=frames,
        timeout=timeout,
        start=start,
        end=end,
        top=top,
        min_score=min_score,
        length=length,
        padding=padding,
        per_hour=per_hour,
        overlap=overlap,
        boundaries=boundaries,
        output=output,
        resume=resume,
        clips=clips,
        exact=exact,
        clip_name=clip_name,
        aspect=aspect,
        fit=fit,
        captions=captions,
        plot=plot,
        report=report,
        formats=formats,
    )


if not TYPE_CHECKING:  # a type checker sees the names above, and so reports an unknown one

    def __getattr__(name: str) -> object:
        if name == "__version__":
            from importlib.metadata import version

            return version("kuaihl")
        if name not in _LAZY:
            raise AttributeError(f"module 'kuaihl' has no attribute {name!r}")
        from importlib import import_module

        value = globals()[name] = getattr(import_module(_LAZY[name]), name)
        return value

    def __dir__() -> list[str]:
        return sorted({*globals(), *__all__})
