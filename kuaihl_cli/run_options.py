"""The options that `kuaihl score` and `kuaihl batch` share, and the settings of a run that they make.

What is made from scores is also chosen by `kuaihl highlights`.
"""

from dataclasses import dataclass

from kuaihl.engines.comments.filters import make_filter
from kuaihl.engines.highlights.clip_style import USUAL_NAME
from kuaihl.engines.scoring.settings import Products, ScoreSettings
from kuaihl.models.errors import UsageError
from kuaihl_cli.options import (
    NO_PADDING,
    USUAL_LENGTH,
    AspectOption,
    AsrOption,
    BoundariesOption,
    CaptionsOption,
    ClipNameOption,
    ClipsOption,
    CommentsOffsetOption,
    DeviceOption,
    EngineOption,
    ExactOption,
    FitOption,
    FormatOption,
    FramesOption,
    IgnoreUserOption,
    IgnoreWordsOption,
    LanguageOption,
    LengthOption,
    MinScoreOption,
    ModelOption,
    NoCommentsOption,
    NoOverlapOption,
    PaddingOption,
    PerHourOption,
    PlotOption,
    PrecisionOption,
    QuietOption,
    ReportOption,
    SegmentSecondsOption,
    TextWeightsOption,
    ThreadsOption,
    TimeoutOption,
    TopOption,
    WhisperModelOption,
)


@dataclass(frozen=True, kw_only=True)
class ProductOptions:
    """The options of what is made from scores."""

    top: TopOption = None
    min_score: MinScoreOption = None
    per_hour: PerHourOption = None
    length: LengthOption = USUAL_LENGTH
    padding: PaddingOption = NO_PADDING
    no_overlap: NoOverlapOption = False
    boundaries: BoundariesOption = "sentences"
    formats: FormatOption = ""
    clips: ClipsOption = False
    exact: ExactOption = False
    clip_name: ClipNameOption = USUAL_NAME
    aspect: AspectOption = None
    fit: FitOption = None
    captions: CaptionsOption = None
    plot: PlotOption = False
    report: ReportOption = False


@dataclass(frozen=True, kw_only=True)
class RunOptions(ProductOptions):
    """The options that `score` and `batch` share."""

    comments_offset: CommentsOffsetOption = 0.0
    no_comments: NoCommentsOption = False
    ignore_user: IgnoreUserOption = ()
    ignore_words: IgnoreWordsOption = ()
    model: ModelOption = "edge"
    device: DeviceOption = "auto"
    engine: EngineOption = "auto"
    precision: PrecisionOption = "auto"
    threads: ThreadsOption = None
    asr: AsrOption = "auto"
    whisper_model: WhisperModelOption = None
    language: LanguageOption = None
    text_weights: TextWeightsOption = None
    segment_seconds: SegmentSecondsOption = None
    frames: FramesOption = "keyframe"
    timeout: TimeoutOption = 10.0
    quiet: QuietOption = False


def products_of(options: ProductOptions) -> Products:
    """What is to be made from scores."""
    return Products(
        top=options.top,
        min_score=options.min_score,
        length=options.length,
        padding=options.padding,
        per_hour=options.per_hour,
        overlap=not options.no_overlap,
        boundaries=options.boundaries,
        clips=options.clips,
        exact=options.exact,
        clip_name=options.clip_name,
        aspect=options.aspect,
        fit=options.fit,
        captions=options.captions,
        plot=options.plot,
        report=options.report,
        formats=options.formats,
    )


def check_speech(asr: str, language: str | None, whisper_model: str | None) -> None:
    """Raise UsageError if it is said how to transcribe speech that is left out."""
    for option, value in {"--language": language, "--whisper-model": whisper_model}.items():
        if asr == "none" and value:
            raise UsageError(f"--asr none and {option} exclude each other: give one of them")


def run_settings(
    options: RunOptions, *, threads: int | None, start: float = 0.0, end: float | None = None
) -> ScoreSettings:
    """The settings of a run from its options; `start` and `end` in seconds of the recording's clock.

    Raises UsageError for a filter of comments that is none, and for options that exclude each other.
    """
    make_filter(options.ignore_user, options.ignore_words)
    check_speech(options.asr, options.language, options.whisper_model)
    return ScoreSettings(
        **vars(products_of(options)),
        model=options.model,
        device=options.device,
        engine=options.engine,
        precision=options.precision,
        asr=options.asr,
        whisper_model=options.whisper_model,
        language=options.language,
        segment_seconds=options.segment_seconds,
        frames=options.frames,
        threads=threads,
        comments_offset=options.comments_offset,
        ignore_user=options.ignore_user,
        ignore_words=options.ignore_words,
        timeout=options.timeout,
        text_weights=options.text_weights,
        start=start,
        end=end,
    )
