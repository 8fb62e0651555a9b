"""`kuaihl eval BUNDLE... --data DATASET`: how well bundles order what a data set holds, side by side."""

import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from kuaihl.models.errors import UsageError
from kuaihl_cli.options import debug_option

if TYPE_CHECKING:
    from kuaihl.models.bundle import Bundle
    from kuaihl.models.contest import Contest, Row

KINDS = ("klive", "phd", "tvsum", "summe")


@click.command()
@click.argument("bundles", nargs=-1, metavar="[BUNDLE]...")
@click.option("--data", type=click.Path(path_type=Path), required=True, metavar="DATASET", help="What to measure on.")
@click.option(
    "--kind", type=click.Choice(KINDS),
    help="What DATASET is; needed only where it cannot be seen from it.",
)  # fmt: skip
@click.option(
    "--split", default="test", show_default=True, metavar="NAME|N",
    help="Rooms of a klive set to measure on; with --splits, the number of a split, from 0.",
)  # fmt: skip
@click.option(
    "--features", type=click.Path(path_type=Path), metavar="DIR",
    help="phd: a feature file a video, <youtubeId>.safetensors.",
)  # fmt: skip
@click.option("--fps", type=click.FloatRange(0.0, min_open=True), metavar="X", help="phd: frames a second of them.")
@click.option(
    "--annotations", type=click.Path(path_type=Path), metavar="MAT",
    help="tvsum: ydata-tvsum50.mat, what each annotator gave each frame.",
)  # fmt: skip
@click.option(
    "--splits", type=click.Path(path_type=Path), metavar="FILE",
    help="tvsum, summe: the published splits. As many bundles as splits are tested each on its own.",
)  # fmt: skip
@click.option(
    "--published", type=click.Path(path_type=Path), metavar="CSV|none",
    help="Your own csv of published figures in place of the paper's, or none (docs/evaluation.md).",
)  # fmt: skip
@click.option(
    "--bootstrap", "draws", type=click.IntRange(0, 100_000), default=1000, show_default=True, metavar="N",
    help="Draws of rooms (or videos) for the 95% intervals; 0 for none.",
)  # fmt: skip
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="Of those draws.")
@click.option("--json", "as_json", is_flag=True, help="Print everything as JSON.")
@click.option("--device", default="auto", show_default=True, envvar="KUAIHL_DEVICE", help="auto, cpu, cuda or cuda:N.")
@click.option("--threads", type=click.IntRange(1, 256), metavar="N", envvar="KUAIHL_THREADS", help="CPU threads.")
@debug_option
def eval(bundles: Sequence[str], as_json: bool, **options: Any) -> None:
    """Measure how well each BUNDLE orders the segments of DATASET; several make the layout of Table I.

    A live room's segment has a label, its LVTR: of all impressions, the share watched for over 60 s. A model scores
    segment i+1 when segment i is over. Kendall's tau-b compares the order of the scores with the order of the
    labels: 1 if they agree on every pair of segments, 0 if no better than chance. At Δ = 0.2 only segments
    whose true LVTR is above 0.2 are compared, with one another: are the good moments in order? "Over all segments"
    compares segments of all rooms, so knowing the streamers helps; "a room" compares within each room and takes the
    mean. In brackets is where 95% of the figures fall when rooms are drawn again at random.

    The paper's Table I stands beside bundles on live rooms and PHD, marked as published. KLive's rooms are not public,
    so its taus are of other data than yours.

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
    from kuaihl_cli.eval_tables import Heading, print_json, print_tables, with_published

    kind = options["kind"] or kind_of(options["data"])
    published = published_rows(kind, bundles, options["published"])
    contest = measure(kind, bundles, options)
    heading = Heading(kind, str(options["data"]), options["split"], options["draws"], options["seed"], contest.counted)
    rows = with_published(contest.rows, published)
    (print_json if as_json else print_tables)(heading, rows)


def published_rows(kind: str, bundles: Sequence[str], source: Path | None) -> "tuple[Row, ...]":
    """The paper's Table I beside bundles, one's own csv if there is one, nothing if it is "none". Raises DataError."""
    from kuaihl.models.published import paper_rows, read_published

    if source is None:
        return paper_rows(kind) if bundles else ()
    return () if source == Path("none") else read_published(source)


def kind_of(data: Path) -> str:
    """What a data set is, by what can be seen of it from outside. Raises UsageError."""
    if data.is_dir():
        return "klive"
    if data.suffix == ".csv":
        return "phd"
    for kind in ("tvsum", "summe"):
        if data.suffix in (".h5", ".hdf5", ".mat") and kind in data.name.lower():
            return kind
    if not data.exists():
        raise UsageError(f"{data}: no such data set")
    raise UsageError(f"{data}: cannot tell what data set it is; say --kind {', '.join(KINDS)}")


def measure(kind: str, names: Sequence[str], options: dict[str, Any]) -> "Contest":
    """Load the bundles, then measure. Raises UsageError for options that do not belong together."""
    from kuaihl.engines.profiles import choose_device, set_threads
    from kuaihl.models.bundle import load_bundle

    check_options(kind, names, options)
    bundles = [load_bundle(name) for name in names]
    set_threads(options["threads"])
    common: dict[str, Any] = {"draws": options["draws"], "seed": options["seed"], "track": track}
    if bundles:
        common["device"] = choose_device(options["device"])
    if kind == "klive":
        from kuaihl.models.contest import klive_contest
        from kuaihl.models.klive import open_klive

        return klive_contest(bundles, open_klive(options["data"]), options["split"], **common)
    if kind == "phd":
        from kuaihl.models.contest import phd_contest
        from kuaihl.models.phd import PhdSet, read_phd
        from kuaihl.models.phd_counts import found_counts

        targets = read_phd(options["data"])
        print(found_counts(options["data"], targets, options["features"]), file=sys.stderr)
        data = PhdSet(
            targets,
            options["features"],
            frames_per_second=options["fps"],
            text_width=bundles[0].dims.text_width,
        )
        return phd_contest(bundles, data, **common)
    if options["data"].suffix == ".mat":
        return annotators_alone(options)
    return measure_summaries(kind, bundles, options, common)


def check_options(kind: str, names: Sequence[str], options: dict[str, Any]) -> None:
    """What a kind needs, and what no other kind can use."""
    alone = kind == "tvsum" and options["data"].suffix == ".mat"
    if alone and names:
        raise UsageError(f"{options['data']} holds no features: give the h5 file as --data and this as --annotations")
    if kind == "phd" and not (names and options["features"] and options["fps"]):
        raise UsageError("phd needs a bundle, --features DIR and --fps X")
    if kind == "tvsum" and not alone and not options["annotations"]:
        raise UsageError("tvsum needs --annotations ydata-tvsum50.mat: the h5 file holds no annotator's scores")
    belongs = {"features": ("phd",), "fps": ("phd",), "annotations": ("tvsum",), "splits": ("tvsum", "summe")}
    for name, kinds in belongs.items():
        if options[name] is not None and kind not in kinds:
            raise UsageError(f"--{name} is for {' and '.join(kinds)}, and {options['data']} is {kind}")


def annotators_alone(options: dict[str, Any]) -> "Contest":
    """The human agreement of TVSum's own file."""
    from kuaihl.models.contest import Contest, human_row
    from kuaihl.models.evaluation import draw_rooms
    from kuaihl.models.tvsum_mat import read_tvsum_mat

    videos = read_tvsum_mat(options["data"])
    drawn = draw_rooms(len(videos), options["draws"], options["seed"])
    return Contest({"videos": len(videos)}, (human_row([video.annotations for video in videos], drawn),))


def measure_summaries(
    kind: str, bundles: "Sequence[Bundle]", options: dict[str, Any], common: dict[str, Any]
) -> "Contest":
    """TVSum or SumMe in the h5 layout: all videos, or the test videos of the splits."""
    from kuaihl.models.contest import rated, summary_contest
    from kuaihl.models.summary_h5 import read_splits, read_summaries, summary_keys
    from kuaihl.models.tvsum_mat import read_tvsum_mat

    path = options["data"]
    keys = summary_keys(path)
    tested = [keys]
    if options["splits"]:
        tested = [split.test for split in read_splits(options["splits"], keys)]
        if options["split"].isdecimal():
            if int(options["split"]) >= len(tested):
                raise UsageError(f"--split {options['split']}: {options['splits']} has splits 0 to {len(tested) - 1}")
            tested = [tested[int(options["split"])]]
    ratings = read_tvsum_mat(options["annotations"]) if kind == "tvsum" else None
    folds = []
    for fold in tested:
        videos = read_summaries(path, fold)
        given = rated(videos, ratings) if ratings else [video.user_summary.astype("float64") for video in videos]
        folds.append(list(zip(videos, given, strict=True)))
    return summary_contest(bundles, folds, **common)


def track(name: str, items: Iterable[Any]) -> Iterable[Any]:
    """Show how far it is, on a terminal alone."""
    if not sys.stderr.isatty():
        return items
    from rich.console import Console
    from rich.progress import track as bar

    return bar(items, description=f"scoring {name}", console=Console(stderr=True), transient=True)
