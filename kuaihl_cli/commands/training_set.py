"""What `kuaihl train` is given to learn from: a folder of live rooms, PHD's csv, or an h5 file of TVSum or SumMe."""

import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kuaihl.models.errors import UsageError

if TYPE_CHECKING:
    from kuaihl.models.bundle import Bundle
    from kuaihl.models.klive import KLive
    from kuaihl.models.network_dims import NetworkDims
    from kuaihl.models.network_size import NetworkSize
    from kuaihl.models.video_set import VideoSet

BELONGS = {"features": ".csv", "fps": ".csv", "splits": ".h5", "split": ".h5"}  # options that one kind alone reads


def open_training_set(path: Path, options: dict[str, Any]) -> "KLive | VideoSet":
    """Open what `path` is, told by how its name ends. Raises DataError, UsageError for options of another kind."""
    kind = ".h5" if path.suffix == ".hdf5" else path.suffix if path.suffix in (".csv", ".h5") else ""
    for name, of in BELONGS.items():
        if options[name] is not None and of != kind:
            raise UsageError(f"--{name} is for {'PHD (a csv)' if of == '.csv' else 'TVSum and SumMe (an h5 file)'}")
    if kind and options["samples"] != "masked":
        raise UsageError("--samples is for data sets of live rooms: nobody counted the viewers of videos")
    if kind and (left_out := {"audio", "comments"} & set(options["without"])):
        raise UsageError(f"--without {min(left_out)} is for live rooms: a video has one text; give --without text")
    if kind == ".csv":
        from kuaihl.models.video_set import open_phd
        from kuaihl_cli.train import is_main_process

        if not options["features"] or not options["fps"]:
            raise UsageError(f"{path}: PHD needs --features DIR and --fps X")
        data = open_phd(path, options["features"], options["fps"])
        if not options["quiet"] and is_main_process():
            print(data.about, file=sys.stderr)
        return data
    if kind == ".h5":
        from kuaihl.models.video_set import open_summaries

        if (options["splits"] is None) != (options["split"] is None):
            raise UsageError("--splits FILE and --split N go together: a bundle is trained on one split")
        return open_summaries(path, options["splits"], options["split"] or 0)
    from kuaihl.models.klive import open_klive

    return open_klive(path)


def dims_of(
    data: "KLive | VideoSet", options: dict[str, Any], start: "Bundle | None" = None, size: "NetworkSize | None" = None
) -> "NetworkDims":
    """The network for that data, of that size or as `start` has it.

    Raises ModelError for one that cannot be, UsageError for one that data cannot feed.
    """
    from kuaihl.models.architectures import ARCHITECTURES
    from kuaihl.models.klive import KLive
    from kuaihl.models.streamer_index import streamer_index
    from kuaihl.models.training_plan import dims_for

    shape = {name: options[name] for name in ("width", "layers", "heads", "window")}
    held = {"dropout": options.get("dropout")}
    if size is not None:
        shape |= {name: getattr(size, name) for name in ("width", "layers", "heads") if options[name] is None}
        held |= {name: getattr(size, name) for name in ("dropout", "id_dropout") if options.get(name) is None}
    reads_counts = ARCHITECTURES[options["arch"]].reads_counts
    if ARCHITECTURES[options["arch"]].reads_signals:
        without, beyond = options["without"], options.get("beyond", ())
    elif options.get("beyond"):
        raise UsageError(f"--with {options['beyond'][0]}: --arch {options['arch']} reads none; leave it out")
    else:
        without, beyond = (*options["without"], "signals"), ()
    if options["arch"] == "linear":
        from kuaihl.models.linear import linear_dims

        return linear_dims(dims_for(data.facts, 0, without, beyond), options["width"], options["window"])
    if isinstance(data, KLive):
        rooms = len(data.rooms_of("train")) if reads_counts else 0
        dims = dims_for(data.facts, len(streamer_index(data.rooms)), without, beyond, **shape, rooms=rooms)
        if start is not None:
            read = ("patches", "streamers", "use_id", "use_text", "use_visual", "signals", "interest")
            return replace(start.dims, **{name: getattr(dims, name) for name in read})
        return replace(dims, **given(held))
    if reads_counts:
        raise UsageError(f"{data.path}: holds no counts per segment, and --arch {options['arch']} reads nothing else")
    return data.dims(replace(dims_for(data.facts, 0, without, beyond, **shape), **given(held)), options["window"])


def given(options: dict[str, Any]) -> dict[str, Any]:
    """Those that were."""
    return {name: value for name, value in options.items() if value is not None}


def counts_of(data: "KLive | VideoSet") -> dict[str, Any]:
    """How much there was to learn from, for the bundle."""
    from kuaihl.models.klive import KLive

    if not isinstance(data, KLive):
        return {"videos": dict(data.counts)}
    splits = {split: data.rooms_of(split) for split in ("train", "validation", "test")}
    return {
        "rooms": {split: len(rooms) for split, rooms in splits.items()},
        "segments": {split: sum(room.segments for room in rooms) for split, rooms in splits.items()},
    }
