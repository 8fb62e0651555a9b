"""Options that several commands share, each declared once as an `Annotated` alias, and the panels of the help."""

import re
from pathlib import Path
from typing import Annotated

import typer

from kuaihl.engines.highlights.choice import BoundariesName
from kuaihl.engines.highlights.clip_style import CaptionsName, FitName
from kuaihl.engines.scoring.settings import AsrName, EngineName, FramesName, PrecisionName
from kuaihl_cli.terminal.timecode import TimePair, parse_padding, parse_range, time_between

# Panels of the commands' help; options without one are in the first panel, "Options".
MODEL, SPEECH, SEGMENTS, HIGHLIGHTS = "Model and engine", "Speech and text", "Segments", "Highlights and outputs"
PROGRAMS, LIMITS = "Events for other programs", "Limits and retries"
CLIPS, COMMENTS, SOURCES, LOGGING = "Clips", "Comments", "Sources", "Configuration and log"


def above_zero(value: str | float) -> float:
    """A parser for options that take a number above 0."""
    try:
        number = float(value)
    except ValueError:
        number = 0.0
    if not number > 0:
        raise typer.BadParameter(f"{value} is not a number above 0.")
    return number


def below_one(value: str | float) -> float:
    """A parser for options that take a share: a number from 0 to below 1."""
    try:
        number = float(value)
    except ValueError:
        number = -1.0
    if not 0 <= number < 1:
        raise typer.BadParameter(f"{value} is not a number from 0 to below 1.")
    return number


def parse_bytes(value: str | int) -> int:
    """A parser for options that take a size: `4GB`, `1500 MB`, a number of bytes."""
    found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([kmgt]?)(i?)b?", str(value).strip(), re.IGNORECASE)
    if found is None:
        raise typer.BadParameter(f"{value} is not a size such as 4GB.")
    size = float(found[1]) * (1024 if found[3] else 1000) ** " kmgt".index(found[2].lower() or " ")
    if not size >= 1:
        raise typer.BadParameter(f"{value} is not a size above 0.")
    return int(size)


USUAL_LENGTH, NO_PADDING = TimePair(10.0, 120.0), TimePair(0.0, 0.0)

BundleArgument = Annotated[
    str, typer.Argument(metavar="BUNDLE", help="A bundle: a folder, or the name of one that ships with kuaihl.")
]
DatasetArgument = Annotated[Path, typer.Argument(metavar="DATASET", help="A data set: a folder.")]

ModelOption = Annotated[
    str,
    typer.Option(
        "--model", metavar="BUNDLE", rich_help_panel=MODEL,
        help="The bundle that scores: a folder, or the name of one that ships with kuaihl.",
    ),
]  # fmt: skip
DeviceOption = Annotated[
    str,
    typer.Option("--device", metavar="DEVICE", rich_help_panel=MODEL, help="auto, cpu, cuda, cuda:N or mps."),
]
EngineOption = Annotated[
    EngineName,
    typer.Option(
        "--engine", rich_help_panel=MODEL,
        help="What executes the networks; auto takes what `kuaihl export` compiled, else torch.",
    ),
]  # fmt: skip
PrecisionOption = Annotated[
    PrecisionName,
    typer.Option("--precision", rich_help_panel=MODEL, help="The number format that the networks compute in."),
]
ThreadsOption = Annotated[
    int | None,
    typer.Option(
        "--threads", min=1, max=256, metavar="N", rich_help_panel=MODEL, help="CPU threads; all cores if not given."
    ),
]
AsrOption = Annotated[
    AsrName,
    typer.Option("--asr", rich_help_panel=SPEECH, help="What transcribes speech."),
]
WhisperModelOption = Annotated[
    str | None,
    typer.Option(
        "--whisper-model", metavar="NAME", rich_help_panel=SPEECH,
        help="Other Whisper weights: a folder or a name on the hub. The bundle's profile names the default.",
    ),
]  # fmt: skip
LanguageOption = Annotated[
    str | None,
    typer.Option(
        "--language", metavar="CODE", rich_help_panel=SPEECH,
        help="The language that is spoken, such as en or zh; detected if not given.",
    ),
]  # fmt: skip
TextWeightsOption = Annotated[
    str | None,
    typer.Option(
        "--text-weights", metavar="DIR", rich_help_panel=SPEECH,
        help="Other text weights: a BERT's folder as on the hub, of the width that the bundle was trained on.",
    ),
]  # fmt: skip
SegmentSecondsOption = Annotated[
    float | None,
    typer.Option(
        "--segment-seconds", parser=time_between(2.0, 300.0), metavar="TIME", rich_help_panel=SEGMENTS,
        help="The length of a segment, 2 s to 5 min; the bundle's own (30 s) if not given.",
    ),
]  # fmt: skip
FramesOption = Annotated[
    FramesName,
    typer.Option(
        "--frames", rich_help_panel=SEGMENTS,
        help="Which frames are read: keyframes as they pass, or the exact instants (local files only, slower).",
    ),
]  # fmt: skip
CommentsOffsetOption = Annotated[
    float,
    typer.Option(
        "--comments-offset", parser=time_between(-1e9), metavar="TIME", rich_help_panel=COMMENTS,
        help="Time added to every comment's, for chat and video that drift; may be negative.",
    ),
]  # fmt: skip
IgnoreUserOption = Annotated[
    tuple[str, ...],
    typer.Option(
        "--ignore-user", metavar="NAME", show_default=False, rich_help_panel=COMMENTS,
        help="Leave out this viewer's comments; /…/ is a pattern; may be repeated.",
    ),
]  # fmt: skip
IgnoreWordsOption = Annotated[
    tuple[str, ...],
    typer.Option(
        "--ignore-words", metavar="TEXT", show_default=False, rich_help_panel=COMMENTS,
        help="Leave out comments with this text; /…/ is a pattern; may be repeated.",
    ),
]  # fmt: skip
NoCommentsOption = Annotated[
    bool,
    typer.Option(
        "--no-comments", rich_help_panel=COMMENTS, help="Leave the comments that lie beside a recording unread."
    ),
]
TimeoutOption = Annotated[
    float,
    typer.Option(
        "--timeout", parser=time_between(0.5), metavar="TIME", rich_help_panel=SOURCES,
        help="The longest wait for a network source to answer.",
    ),
]  # fmt: skip
TopOption = Annotated[
    int | None,
    typer.Option("--top", min=1, metavar="K", rich_help_panel=HIGHLIGHTS, help="Keep the K best highlights."),
]
MinScoreOption = Annotated[
    float | None,
    typer.Option(
        "--min-score", min=0.0, max=1.0, metavar="X", rich_help_panel=HIGHLIGHTS,
        help="Leave out highlights with a lower score.",
    ),
]  # fmt: skip
LengthOption = Annotated[
    TimePair,
    typer.Option(
        "--length", parser=parse_range, metavar="LEAST:MOST", show_default=False, rich_help_panel=HIGHLIGHTS,
        help="How long a highlight is at least and at most, without padding; 10s:120s if not given.",
    ),
]  # fmt: skip
PaddingOption = Annotated[
    TimePair,
    typer.Option(
        "--padding", parser=parse_padding, metavar="TIME[,TIME]", show_default=False, rich_help_panel=HIGHLIGHTS,
        help="Time added before and after every highlight, as in 2s or 2s,4s.",
    ),
]  # fmt: skip
PerHourOption = Annotated[
    float | None,
    typer.Option(
        "--per-hour", parser=above_zero, metavar="N", rich_help_panel=HIGHLIGHTS,
        help="Keep the N best highlights per hour of media.",
    ),
]  # fmt: skip
NoOverlapOption = Annotated[
    bool,
    typer.Option(
        "--no-overlap", rich_help_panel=HIGHLIGHTS, help="Let padded highlights meet instead of sharing media."
    ),
]
BoundariesOption = Annotated[
    BoundariesName,
    typer.Option(
        "--boundaries", rich_help_panel=HIGHLIGHTS,
        help="What moves start and end: loudness, then sentences and keyframes; the latter alone; or nothing.",
    ),
]  # fmt: skip
ClipsOption = Annotated[
    bool,
    typer.Option(
        "--clips",
        rich_help_panel=CLIPS,
        help="Cut the highlights to media files, without re-encoding; while a stream runs, as they close.",
    ),
]
ExactOption = Annotated[
    bool,
    typer.Option(
        "--exact", rich_help_panel=CLIPS,
        help="Begin clips at the frame, not at the keyframe before; what lies between is re-encoded.",
    ),
]  # fmt: skip
ClipNameOption = Annotated[
    str,
    typer.Option(
        "--clip-name", metavar="TEMPLATE", rich_help_panel=CLIPS,
        help="Their names, of {source}, {rank}, {time}, {start}, {end}, {length}, {score} and {words}.",
    ),
]  # fmt: skip
AspectOption = Annotated[
    str | None,
    typer.Option(
        "--aspect", metavar="W:H", rich_help_panel=CLIPS, help="Bring the picture to an aspect, such as 9:16."
    ),
]
FitOption = Annotated[
    FitName | None,
    typer.Option(
        "--fit", rich_help_panel=CLIPS,
        help="How: crop to the middle, the default, or show all of it over a blurred copy.",
    ),
]  # fmt: skip
CaptionsOption = Annotated[
    CaptionsName | None,
    typer.Option(
        "--captions", rich_help_panel=CLIPS,
        help="What is spoken: in a file beside each clip (ass), or in its picture (burn).",
    ),
]  # fmt: skip
PlotOption = Annotated[
    bool,
    typer.Option("--plot", rich_help_panel=HIGHLIGHTS, help="Draw the curves with highlights shaded: scores.png."),
]
ReportOption = Annotated[
    bool,
    typer.Option(
        "--report",
        rich_help_panel=HIGHLIGHTS,
        help="Write a page that shows the highlights and explains them: report.html.",
    ),
]
FormatOption = Annotated[
    str,
    typer.Option(
        "--format", "-f", metavar="csv,otio,…", show_default=False, rich_help_panel=HIGHLIGHTS,
        help="More files beside highlights.json: csv, srt, vtt; otio, edl, fcpxml, xmeml, resolve, llc, llc-csv, "
        "auto-editor for editors; ffmetadata, vtt-chapters, youtube, twitch.",
    ),
]  # fmt: skip
MinAgeOption = Annotated[
    float,
    typer.Option(
        "--min-age", parser=time_between(0.0), metavar="TIME",
        help="Leave a file that changed less than this ago, for it may still be written.",
    ),
]  # fmt: skip
TimeLimitOption = Annotated[
    float,
    typer.Option(
        "--time-limit", parser=time_between(1.0), metavar="TIME", rich_help_panel=LIMITS,
        help="The longest time that one recording may take.",
    ),
]  # fmt: skip
TimeFactorOption = Annotated[
    float,
    typer.Option(
        "--time-factor", parser=above_zero, metavar="X", rich_help_panel=LIMITS,
        help="A recording whose length is known may take X times as long, but 10 min in any case.",
    ),
]  # fmt: skip
MemoryLimitOption = Annotated[
    int | None,
    typer.Option(
        "--memory-limit", parser=parse_bytes, metavar="SIZE", rich_help_panel=LIMITS,
        help="The most memory that a worker may hold: 4GB, 1500MB. By default there is no limit.",
    ),
]  # fmt: skip
TriesOption = Annotated[
    int,
    typer.Option(
        "--tries", min=1, max=100, metavar="N", rich_help_panel=LIMITS,
        help="How often a recording may fail before it is quarantined: left alone until it changes.",
    ),
]  # fmt: skip
RetryOption = Annotated[
    bool, typer.Option("--retry-quarantined", rich_help_panel=LIMITS, help="Try quarantined recordings again.")
]
WorkOption = Annotated[
    Path | None,
    typer.Option(
        "--work", metavar="DIR", rich_help_panel=SOURCES,
        help="Where rooms are scored before they are put to an object store; by default a folder of the cache.",
    ),
]  # fmt: skip
JobsOption = Annotated[int, typer.Option("--jobs", "-j", min=1, max=256, metavar="N", help="Worker processes.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]
DocumentOption = Annotated[bool, typer.Option("--json", help="Print highlights.json to standard output.")]
QuietOption = Annotated[
    bool, typer.Option("--quiet", "-q", rich_help_panel=LOGGING, help="Print nothing but errors to the terminal.")
]
SeedOption = Annotated[int, typer.Option("--seed", min=0, metavar="N", help="The seed of every random draw.")]
