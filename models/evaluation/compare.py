"""Systems side by side on one data set, as in the paper's Table I: bundles and data in, one row of figures each out.

Live rooms (the KLive layout) are measured by tau above thresholds of LVTR. PHD is measured by mean average precision,
and TVSum and SumMe by rank correlation with their annotators. Rows other than bundles show the best that could be
reached: the noise ceiling if the true rate is known, the agreement of humans if there are several.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal, TypeVar

import numpy as np
from numpy.typing import NDArray

from kuaihl.models.architectures import ARCHITECTURES
from kuaihl.models.bundle import Bundle
from kuaihl.models.data.checks import see_contents
from kuaihl.models.errors import DataError, Remedy, UsageError
from kuaihl.models.evaluation.average_precision import average_precision
from kuaihl.models.evaluation.bootstrap import (
    DRAWS,
    Estimate,
    Evaluation,
    difference,
    draw_rooms,
    evaluate,
    mean_estimate,
)
from kuaihl.models.evaluation.summary_protocol import RankAgreement, human_agreement, measure_agreement

if TYPE_CHECKING:
    from kuaihl.models.data.klive import KLive
    from kuaihl.models.data.phd import PhdSet
    from kuaihl.models.data.summary_h5 import SummaryVideo
    from kuaihl.models.data.tvsum_mat import RatedVideo
    from kuaihl.models.evaluation.room_scores import ScoredRoom

ALL, _EACH = "tau over all segments", "tau per room, mean"
_PRESENT_ALL, _PRESENT_EACH = "interest: tau over all segments", "interest: tau per room, mean"
PRECISION, RANKS = "mean average precision", "rank correlation with annotators, mean"
_PROTOCOL, _PLAIN = "mAP", "mAP per frame"  # only the first is comparable with the paper's mAP column
_CEILING, _HUMANS = "noise ceiling", "humans"

Role = Literal["bundle", "ceiling", "humans", "published"]
Figures = Mapping[str, Mapping[str, Estimate]]  # table -> column -> figure
Item = TypeVar("Item")
Progress = Callable[[str, Iterable[Any]], Iterable[Any]]  # passes items on and reports progress


@dataclass(frozen=True)
class SystemResult:
    """A system and its results."""

    system: str
    role: Role
    figures: Figures
    facts: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Comparison:
    """Results of several systems on one data set."""

    counted: Mapping[str, Any]  # rooms and labels, or videos
    rows: tuple[SystemResult, ...]


def _show_nothing(_name: str, items: Iterable[Item]) -> Iterable[Item]:
    """Report no progress."""
    return items


def compare_on_klive(
    bundles: Sequence[Bundle],
    data: "KLive",
    split: str,
    *,
    device: str = "cpu",
    draws: int = DRAWS,
    seed: int = 0,
    progress: Progress = _show_nothing,
) -> Comparison:
    """Every bundle on the rooms of a split, and the ceiling if it is known.

    Raises DataError if no label of the split counts. Raises UsageError if there is no such split or a bundle reads
    other features.
    """
    from kuaihl.models.evaluation.room_scores import ceiling_rooms, score_rooms

    for bundle in bundles:
        _check_features(bundle, data)
    records = data.rooms_of(split)
    if not records:
        there = sorted({room.split for room in data.rooms})
        raise UsageError(f"{data.path}: has no {split} split; it has {', '.join(there)}")
    rows: list[SystemResult] = []
    counted: dict[str, Any] = {}

    def measure(system: str, role: Role, rooms: "Sequence[Any]", facts: Mapping[str, Any]) -> None:
        found = evaluate(rooms, draws=draws, seed=seed)
        if not found.labels:
            raise DataError(f"{data.path}: the {split} split has no label that counts", remedy=see_contents(data.path))
        counted.update(
            rooms=found.rooms,
            labels=found.labels,
            labels_above=by_threshold(found.labels_above),
            rooms_counted=by_threshold(found.rooms_counted),
        )
        figures = _figures_of(found) | _present_figures(rooms, draws=draws, seed=seed)
        rows.append(SystemResult(system, role, figures, facts))

    for bundle in bundles:
        network = bundle.network(device)
        scored = score_rooms(network, data, progress(bundle.name, records), bundle.streamers, text=bundle.text)
        measure(bundle.name, "bundle", scored, _facts_of(bundle) | {"text": bundle.text})
    ceiling = ceiling_rooms(data, records)
    if ceiling:
        measure(_CEILING, "ceiling", ceiling, {})
    if not rows:
        raise UsageError(f"{data.path}: knows no true rate, so without a bundle there is nothing to measure")
    return Comparison(counted, _with_differences(rows))


def compare_on_phd(
    bundles: Sequence[Bundle],
    data: "PhdSet",
    *,
    device: str = "cpu",
    draws: int = DRAWS,
    seed: int = 0,
    progress: Progress = _show_nothing,
) -> Comparison:
    """Every bundle on PHD's target videos: mAP by the protocol of published figures, and over all frames and users.

    Raises UsageError if a bundle reads other features.
    """
    from kuaihl.models.evaluation.phd_protocol import protocol_precision
    from kuaihl.models.evaluation.video_scores import score_targets

    rows = []
    drawn = draw_rooms(len(data.targets), draws, seed)
    known = np.array([data.history(number).any() for number in range(len(data.targets))])
    for bundle in bundles:
        _check_widths(bundle, data.patches, data.visual_width, f"{data.folder}")
        protocol, plain = [], []
        scored = progress(bundle.name, score_targets(bundle.network(device), data))
        for one, target in zip(scored, data.targets, strict=True):
            protocol.append(protocol_precision(one.scores, data.frames_per_second, target.highlights))
            plain.append(average_precision(one.scores, one.labels))
        each = {_PROTOCOL: np.where(known, protocol, np.nan), _PLAIN: np.array(plain)}
        figures = {PRECISION: {name: mean_estimate(values, drawn) for name, values in each.items()}}
        rows.append(SystemResult(bundle.name, "bundle", figures, _facts_of(bundle)))
    counted = {
        "videos": len(data.targets),
        "videos missing": data.missing,
        "videos of users without history": int((~known).sum()),
    }
    return Comparison(counted, _with_differences(rows))


def compare_on_summaries(
    bundles: Sequence[Bundle],
    folds: "Sequence[Sequence[tuple[SummaryVideo, NDArray[np.float64]]]]",
    *,
    device: str = "cpu",
    draws: int = DRAWS,
    seed: int = 0,
    progress: Progress = _show_nothing,
) -> Comparison:
    """Bundles on videos [T sampled frames] with their annotators' ratings [A, N], and human agreement on the same.

    A single fold tests every bundle. With as many folds as bundles, bundle k is tested on fold k, and they make one row
    together.
    """
    from kuaihl.models.evaluation.video_scores import score_videos

    if len(folds) not in (1, len(bundles)):
        raise UsageError(
            f"{len(folds)} splits need as many bundles, each trained on its own",
            remedy=Remedy("choose one", {"split": "N"}),
        )
    rows, systems = [], [[bundle] for bundle in bundles] if len(folds) == 1 else [list(bundles)]
    videos = [video for fold in folds for video in fold]
    drawn = draw_rooms(len(videos), draws, seed)
    for system in systems:
        found: list[RankAgreement] = []
        for bundle, fold in zip(system, folds, strict=True):
            for video, _ in fold:
                _check_widths(bundle, 1, video.features.shape[1], video.key)
            scores = score_videos(bundle.network(device), [video for video, _ in fold])
            for (video, given), given_scores in zip(fold, progress(bundle.name, scores), strict=True):
                found.append(measure_agreement(video.to_frames(given_scores), given))
        name = " + ".join(bundle.name for bundle in system)
        rows.append(SystemResult(name, "bundle", _rank_figures(found, drawn), _facts_of(system[0])))
    humans = human_row([given for _, given in videos], drawn)
    return Comparison({"videos": len(videos)}, (*_with_differences(rows), humans))


def _with_differences(rows: Sequence[SystemResult]) -> tuple[SystemResult, ...]:
    """Give each bundle but the first further tables: its differences from the first."""
    first, others = rows[0], rows[1:]
    return first, *(replace(row, figures={**row.figures, **_differences_to(row, first)}) for row in others)


def _differences_to(row: SystemResult, first: SystemResult) -> Figures:
    """Tables of differences, for a bundle."""
    if row.role != "bundle":
        return {}
    return {
        f"{table}: more than {first.system}": {
            column: difference(figure, first.figures[table][column]) for column, figure in figures.items()
        }
        for table, figures in row.figures.items()
        if table in first.figures
    }


def human_row(annotations: Sequence[NDArray[np.float64]], drawn: NDArray[np.float64]) -> SystemResult:
    """The agreement of videos' annotators with one another."""
    return SystemResult(_HUMANS, "humans", _rank_figures([human_agreement(given) for given in annotations], drawn))


def match_ratings(videos: "Sequence[SummaryVideo]", ratings: "Sequence[RatedVideo]") -> list[NDArray[np.float64]]:
    """TVSum's ratings of the h5 file's numbered videos, matched by the number of frames, which no two videos share.

    Raises DataError if a video has no ratings.
    """
    by_frames = {video.annotations.shape[1]: video.annotations for video in ratings}
    for video in videos:
        if video.n_frames not in by_frames:
            raise DataError(f"{video.key}: none of the annotated videos has its {video.n_frames} frames")
    return [by_frames[video.n_frames] for video in videos]


def _figures_of(found: Evaluation) -> dict[str, dict[str, Estimate]]:
    return {ALL: by_threshold(found.tau), _EACH: by_threshold(found.tau_per_room)}


def _present_figures(rooms: "Sequence[ScoredRoom]", *, draws: int, seed: int) -> dict[str, dict[str, Estimate]]:
    """The same for the second output, with the labels of the segments themselves; empty if a room lacks it."""
    present = [room.present for room in rooms if room.present is not None]
    if len(present) < len(rooms):
        return {}
    found = evaluate(present, draws=draws, seed=seed)
    return {_PRESENT_ALL: by_threshold(found.tau), _PRESENT_EACH: by_threshold(found.tau_per_room)}


def by_threshold(found: Mapping[float, Item]) -> dict[str, Item]:
    """Columns of Table I."""
    return {f"Δ = {threshold:g}": value for threshold, value in found.items()}


def _rank_figures(found: Sequence[RankAgreement], drawn: NDArray[np.float64]) -> Figures:
    columns = {"Kendall's tau": [one.tau for one in found], "Spearman's rho": [one.rho for one in found]}
    return {RANKS: {name: mean_estimate(np.array(values), drawn) for name, values in columns.items()}}


def _facts_of(bundle: Bundle) -> dict[str, Any]:
    """The facts that distinguish one system from another."""
    causal = ARCHITECTURES[bundle.architecture].causal and bundle.dims.causal
    return {"bundle": str(bundle.path), "architecture": bundle.architecture, "causal": causal}


def _check_features(bundle: Bundle, data: "KLive") -> None:
    """Raise UsageError if the data set's features are not those that the bundle was trained on."""
    facts = data.facts
    for role in ("vision", "text"):
        ours, theirs = (
            {(one.name, one.sha256) for one in encoders if one.role == role}
            for encoders in (bundle.encoders, facts.encoders)
        )
        if ours and theirs and ours != theirs:
            raise UsageError(
                f"{bundle.path}: reads {role} features of {_format_names(ours)}, {data.path} holds "
                f"{_format_names(theirs)}; "
                "build the data set with the bundle's encoders"
            )
    if bundle.dims.signals and facts.signals != bundle.signals:
        raise UsageError(
            f"{bundle.path}: reads signals of version {bundle.signals and bundle.signals.version}, {data.path} holds "
            f"{facts.signals.version if facts.signals else 'none'}; build the data set again"
        )
    _check_widths(bundle, facts.patches, facts.visual_width, str(data.path))
    if facts.text_width != bundle.dims.text_width:
        raise UsageError(f"{bundle.path}: reads text {bundle.dims.text_width} wide, {data.path}: {facts.text_width}")


def _check_widths(bundle: Bundle, patches: int, width: int, source: str) -> None:
    """Raise UsageError if the visual features differ in shape from those that the bundle was trained on."""
    dims = bundle.dims
    if (patches, width) != (dims.patches, dims.visual_width):
        raise UsageError(
            f"{bundle.path}: reads {dims.patches} visual tokens per segment, {dims.visual_width} wide; "
            f"{source} has {patches}, {width} wide: measure it on the kind of data that it was trained on"
        )


def _format_names(encoders: set[tuple[str, str]]) -> str:
    """Names, with the start of the hash if it is known."""
    return ", ".join(f"{name} ({digest[:12]})" if digest else name for name, digest in sorted(encoders))
