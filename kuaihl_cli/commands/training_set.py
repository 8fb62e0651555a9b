"""The input of `kuaihl train`: a folder of live rooms, PHD's csv, or an h5 file of TVSum or SumMe."""

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from kuaihl.models.errors import UsageError
from kuaihl_cli.commands.train_settings import TrainSettings
from kuaihl_cli.terminal.messages import is_main_process, say

if TYPE_CHECKING:
    from kuaihl.models.bundle import Bundle
    from kuaihl.models.data.klive import KLive
    from kuaihl.models.dims import NetworkDims
    from kuaihl.models.training.network_size import NetworkSize
    from kuaihl.models.training.video_set import VideoSet


def open_training_set(settings: TrainSettings) -> "KLive | VideoSet":
    """Open DATASET, whose suffix gives its kind. Raises DataError, UsageError for options of another kind."""
    path = settings.dataset
    kind = ".h5" if path.suffix == ".hdf5" else path.suffix if path.suffix in (".csv", ".h5") else ""
    belongs: tuple[tuple[str, object, str], ...] = (
        ("features", settings.features, ".csv"),
        ("fps", settings.fps, ".csv"),
        ("splits", settings.splits, ".h5"),
        ("split", settings.split, ".h5"),
    )
    for name, value, of in belongs:
        if value is not None and of != kind:
            raise UsageError(f"--{name} is for {'PHD (a csv)' if of == '.csv' else 'TVSum and SumMe (an h5 file)'}")
    if kind and settings.samples != "masked":
        raise UsageError("--samples is for data sets of live rooms: nobody counted the viewers of videos")
    if kind and (left_out := {"audio", "comments"} & set(settings.without)):
        raise UsageError(f"--without {min(left_out)} is for live rooms: a video has one text; give --without text")
    if kind == ".csv":
        from kuaihl.models.training.video_set import open_phd

        if not settings.features or not settings.fps:
            raise UsageError(f"{path}: PHD needs --features DIR and --fps X")
        data = open_phd(path, settings.features, settings.fps)
        if not settings.quiet and is_main_process():
            say(data.about)
        return data
    if kind == ".h5":
        from kuaihl.models.training.video_set import open_summaries

        if (settings.splits is None) != (settings.split is None):
            raise UsageError("--splits FILE and --split N go together: a bundle is trained on one split")
        return open_summaries(path, settings.splits, settings.split or 0)
    from kuaihl.models.data.klive import open_klive

    return open_klive(path)


def dims_of(
    data: "KLive | VideoSet", settings: TrainSettings, start: "Bundle | None" = None, size: "NetworkSize | None" = None
) -> "NetworkDims":
    """The network for that data, of that size or the one of `start`.

    Raises ModelError for an impossible network, UsageError for one that does not fit the data.
    """
    from kuaihl.models.architectures import ARCHITECTURES
    from kuaihl.models.data.klive import KLive, streamer_index
    from kuaihl.models.training.plan import dims_for

    shape: dict[str, int | None] = {
        "width": settings.width,
        "layers": settings.layers,
        "heads": settings.heads,
        "window": settings.window,
    }
    held: dict[str, float | None] = {"dropout": settings.dropout}
    if size is not None:
        of_size = {"width": size.width, "layers": size.layers, "heads": size.heads}
        shape |= {name: value for name, value in of_size.items() if shape[name] is None}
        held = {
            "dropout": size.dropout if settings.dropout is None else settings.dropout,
            "id_dropout": size.id_dropout,
        }
    architecture = ARCHITECTURES[settings.arch]
    reads_counts = architecture.reads_counts
    if architecture.reads_signals:
        without, beyond = settings.without, settings.beyond
    elif settings.beyond:
        raise UsageError(f"--with {settings.beyond[0]}: --arch {settings.arch} reads none; leave it out")
    else:
        without, beyond = (*settings.without, "signals"), ()
    if settings.arch == "linear":
        from kuaihl.models.network.linear import linear_dims

        return linear_dims(dims_for(data.facts, 0, without, beyond), settings.width, settings.window)
    if isinstance(data, KLive):
        rooms = len(data.rooms_of("train")) if reads_counts else 0
        dims = dims_for(data.facts, len(streamer_index(data.rooms)), without, beyond, **shape, rooms=rooms)
        if start is not None:
            read = ("patches", "streamers", "use_id", "use_text", "use_visual", "signals", "interest")
            return replace(start.dims, **{name: getattr(dims, name) for name in read})
        return replace(dims, **_drop_missing(held))
    if reads_counts:
        raise UsageError(f"{data.path}: holds no counts per segment, and --arch {settings.arch} reads nothing else")
    return data.dims(replace(dims_for(data.facts, 0, without, beyond, **shape), **_drop_missing(held)), settings.window)


def _drop_missing(values: dict[str, float | None]) -> dict[str, Any]:
    """The values that are given."""
    return {name: value for name, value in values.items() if value is not None}


def counts_of(data: "KLive | VideoSet") -> dict[str, Any]:
    """The amounts of training data, for the bundle."""
    from kuaihl.models.data.klive import KLive

    if not isinstance(data, KLive):
        return {"videos": dict(data.counts)}
    splits = {split: data.rooms_of(split) for split in ("train", "validation", "test")}
    return {
        "rooms": {split: len(rooms) for split, rooms in splits.items()},
        "segments": {split: sum(room.segments for room in rooms) for split, rooms in splits.items()},
    }
