"""`kuaihl eval BUNDLE... --data DATASET`: how well bundles order the segments of a data set, side by side."""

import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from kuaihl.models.errors import UsageError
from kuaihl_cli.command import RULE, application, read_settings
from kuaihl_cli.options import DeviceOption, ThreadsOption, above_zero
from kuaihl_cli.terminal.messages import say

if TYPE_CHECKING:
    from kuaihl.models.bundle import Bundle
    from kuaihl.models.evaluation.compare import Comparison, SystemResult

Kind = Literal["klive", "phd", "tvsum", "summe"]
_KINDS: tuple[Kind, ...] = ("klive", "phd", "tvsum", "summe")
OTHER_SETS, REPORT = "PHD, TVSum and SumMe", "Report"

app = application()


@dataclass(frozen=True, kw_only=True)
class EvalSettings:
    """The options of `kuaihl eval`."""

    bundles: Annotated[
        tuple[str, ...], typer.Argument(metavar="BUNDLE", show_default=False, help="The bundles to measure.")
    ] = ()
    data: Annotated[Path, typer.Option("--data", metavar="DATASET", help="The data set to measure on.")]
    kind: Annotated[
        Kind | None, typer.Option("--kind", help="What DATASET is; needed only if it cannot be seen from its name")
    ] = None
    split: Annotated[
        str,
        typer.Option(
            "--split", metavar="NAME|N",
            help="The rooms of a klive set to measure on; with --splits, the number of a split, from 0.",
        ),
    ] = "test"  # fmt: skip
    features: Annotated[
        Path | None,
        typer.Option(
            "--features", metavar="DIR", rich_help_panel=OTHER_SETS,
            help="phd: a folder with a feature file per video, <youtubeId>.safetensors.",
        ),
    ] = None  # fmt: skip
    fps: Annotated[
        float | None,
        typer.Option(
            "--fps", metavar="X", rich_help_panel=OTHER_SETS, parser=above_zero, help="phd: feature frames per second."
        ),
    ] = None
    annotations: Annotated[
        Path | None,
        typer.Option(
            "--annotations", metavar="MAT", rich_help_panel=OTHER_SETS,
            help="tvsum: ydata-tvsum50.mat, the score of each annotator for each frame.",
        ),
    ] = None  # fmt: skip
    splits: Annotated[
        Path | None,
        typer.Option(
            "--splits", metavar="FILE", rich_help_panel=OTHER_SETS,
            help="tvsum, summe: the published splits. As many bundles as splits are tested on one split each.",
        ),
    ] = None  # fmt: skip
    published: Annotated[
        Path | None,
        typer.Option(
            "--published", metavar="CSV|none", rich_help_panel=REPORT,
            help="Your own csv of published figures instead of the paper's, or none (docs/evaluation.md).",
        ),
    ] = None  # fmt: skip
    bootstrap: Annotated[
        int,
        typer.Option(
            "--bootstrap", min=0, max=100_000, metavar="N", rich_help_panel=REPORT,
            help="Draws of rooms (or videos) for the 95% intervals; 0 leaves the intervals out.",
        ),
    ] = 1000  # fmt: skip
    seed: Annotated[
        int, typer.Option("--seed", min=0, metavar="N", rich_help_panel=REPORT, help="The seed of these draws.")
    ] = 0
    as_json: Annotated[bool, typer.Option("--json", rich_help_panel=REPORT, help="Print everything as JSON.")] = False
    device: DeviceOption = "auto"
    threads: ThreadsOption = None


@app.command(epilog=RULE)
@read_settings(EvalSettings)
def eval(settings: EvalSettings) -> None:
    """Measure how well each BUNDLE orders the segments of DATASET; several make the layout of Table I.

    A live room's segment has a label, its LVTR: of all impressions, the share watched for over 60 s. A model scores
    segment i+1 when segment i is over. Kendall's tau-b compares the order of the scores with the order of the
    labels: 1 if they agree on every pair of segments, 0 if no better than chance. At Δ = 0.2 only segments
    whose true LVTR is above 0.2 are compared, with one another: are the good moments in order? "Over all segments"
    compares segments of all rooms, so knowing the streamers helps; "a room" compares within each room and takes the
    mean. Brackets give the range of 95% of the figures when rooms are redrawn at random.

    The paper's Table I stands beside bundles on live rooms and PHD, marked as published. KLive's rooms are not public,
    so its taus are from other data than yours.

    \b
    klive  a data set folder (kuaihl dataset): tau of segments with a true LVTR
           above Δ = 0, 0.2, 0.4, 0.6
    phd    testing.csv, with --features and --fps: mean average precision
    tvsum  an h5 file, with --annotations: tau and Spearman's rho with each
           annotator, after Otani et al. 2019; ydata-tvsum50.mat itself,
           without bundles: how far its annotators agree with one another
    summe  an h5 file: the same with its users' summaries

    \b
    kuaihl eval bundle --data simulated
    kuaihl eval kuaihl-bundle antpivot-bundle --data mine --json > table1.json
    kuaihl eval --data ydata-tvsum50.mat
    """
    from kuaihl_cli.commands.eval_tables import Heading, print_json, print_tables, with_published

    kind = settings.kind or _kind_of(settings.data)
    published = _published_rows(kind, settings.bundles, settings.published)
    contest = measure(kind, settings)
    heading = Heading(kind, str(settings.data), settings.split, settings.bootstrap, settings.seed, contest.counted)
    rows = with_published(contest.rows, published)
    (print_json if settings.as_json else print_tables)(heading, rows)


def _published_rows(kind: str, bundles: Sequence[str], source: Path | None) -> "tuple[SystemResult, ...]":
    """The paper's Table I beside bundles, the user's csv if given, nothing if it is "none". Raises DataError."""
    from kuaihl.models.evaluation.published import paper_rows, read_published

    if source is None:
        return paper_rows(kind) if bundles else ()
    return () if source == Path("none") else read_published(source)


def _kind_of(data: Path) -> Kind:
    """The kind of a data set, judged by its path. Raises UsageError."""
    if data.is_dir():
        return "klive"
    if data.suffix == ".csv":
        return "phd"
    for kind in _KINDS[2:]:
        if data.suffix in (".h5", ".hdf5", ".mat") and kind in data.name.lower():
            return kind
    if not data.exists():
        raise UsageError(f"{data}: no such data set")
    raise UsageError(f"{data}: cannot tell what data set it is; say --kind {', '.join(_KINDS)}")


def measure(kind: Kind, settings: EvalSettings) -> "Comparison":
    """Load the bundles, then measure. Raises UsageError for options that do not belong together."""
    from kuaihl.engines.runtimes.device import choose_device, set_threads
    from kuaihl.models.bundle import load_bundle

    _check_options(kind, settings)
    bundles = [load_bundle(name) for name in settings.bundles]
    set_threads(settings.threads)
    common: dict[str, Any] = {"draws": settings.bootstrap, "seed": settings.seed, "progress": _show_progress}
    if bundles:
        common["device"] = choose_device(settings.device)
    if kind == "klive":
        from kuaihl.models.data.klive import open_klive
        from kuaihl.models.evaluation.compare import compare_on_klive

        return compare_on_klive(bundles, open_klive(settings.data), settings.split, **common)
    if kind == "phd":
        from kuaihl.models.data.phd import PhdSet, read_phd
        from kuaihl.models.data.phd_counts import found_counts
        from kuaihl.models.evaluation.compare import compare_on_phd

        assert settings.features is not None and settings.fps is not None  # as checked
        targets = read_phd(settings.data)
        say(found_counts(settings.data, targets, settings.features))
        data = PhdSet(
            targets,
            settings.features,
            frames_per_second=settings.fps,
            text_width=bundles[0].dims.text_width,
        )
        return compare_on_phd(bundles, data, **common)
    if settings.data.suffix == ".mat":
        return _annotators_alone(settings)
    return _measure_summaries(kind, bundles, settings, common)


def _check_options(kind: Kind, settings: EvalSettings) -> None:
    """Check the options that a kind needs, and those that other kinds cannot use."""
    alone = kind == "tvsum" and settings.data.suffix == ".mat"
    if alone and settings.bundles:
        raise UsageError(f"{settings.data} holds no features: give the h5 file as --data and this as --annotations")
    if kind == "phd" and not (settings.bundles and settings.features and settings.fps):
        raise UsageError("phd needs a bundle, --features DIR and --fps X")
    if kind == "tvsum" and not alone and not settings.annotations:
        raise UsageError("tvsum needs --annotations ydata-tvsum50.mat: the h5 file holds no annotator's scores")
    belongs: tuple[tuple[str, object, tuple[Kind, ...]], ...] = (
        ("features", settings.features, ("phd",)),
        ("fps", settings.fps, ("phd",)),
        ("annotations", settings.annotations, ("tvsum",)),
        ("splits", settings.splits, ("tvsum", "summe")),
    )
    for name, value, kinds in belongs:
        if value is not None and kind not in kinds:
            raise UsageError(f"--{name} is for {' and '.join(kinds)}, and {settings.data} is {kind}")


def _annotators_alone(settings: EvalSettings) -> "Comparison":
    """The agreement of the annotators in TVSum's own file."""
    from kuaihl.models.data.tvsum_mat import read_tvsum_mat
    from kuaihl.models.evaluation.bootstrap import draw_rooms
    from kuaihl.models.evaluation.compare import Comparison, human_row

    videos = read_tvsum_mat(settings.data)
    drawn = draw_rooms(len(videos), settings.bootstrap, settings.seed)
    return Comparison({"videos": len(videos)}, (human_row([video.annotations for video in videos], drawn),))


def _measure_summaries(
    kind: Kind, bundles: "Sequence[Bundle]", settings: EvalSettings, common: dict[str, Any]
) -> "Comparison":
    """TVSum or SumMe in the h5 layout: all videos, or the test videos of the splits."""
    from kuaihl.models.data.summary_h5 import read_splits, read_summaries, summary_keys
    from kuaihl.models.data.tvsum_mat import read_tvsum_mat
    from kuaihl.models.evaluation.compare import compare_on_summaries, match_ratings

    path = settings.data
    keys = summary_keys(path)
    tested = [keys]
    if settings.splits:
        tested = [split.test for split in read_splits(settings.splits, keys)]
        if settings.split.isdecimal():
            if int(settings.split) >= len(tested):
                raise UsageError(f"--split {settings.split}: {settings.splits} has splits 0 to {len(tested) - 1}")
            tested = [tested[int(settings.split)]]
    ratings = read_tvsum_mat(settings.annotations) if kind == "tvsum" and settings.annotations else None
    folds = []
    for fold in tested:
        videos = read_summaries(path, fold)
        given = (
            match_ratings(videos, ratings) if ratings else [video.user_summary.astype("float64") for video in videos]
        )
        folds.append(list(zip(videos, given, strict=True)))
    return compare_on_summaries(bundles, folds, **common)


def _show_progress(name: str, items: Iterable[Any]) -> Iterable[Any]:
    """Show the progress, only on a terminal."""
    if not sys.stderr.isatty():
        return items
    from rich.console import Console
    from rich.progress import track as bar

    return bar(items, description=f"scoring {name}", console=Console(stderr=True), transient=True)
