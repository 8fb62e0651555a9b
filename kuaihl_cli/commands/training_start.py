"""The start of `kuaihl train`: a network of a size that suits the labels, or the weights of a bundle."""

from typing import TYPE_CHECKING

from kuaihl.models.errors import UsageError
from kuaihl.models.training.network_size import AUTO, PROFILE, size_named
from kuaihl_cli.commands.train_settings import TrainSettings
from kuaihl_cli.terminal.messages import is_main_process, say

if TYPE_CHECKING:
    from kuaihl.models.bundle import Bundle
    from kuaihl.models.data.klive import KLive
    from kuaihl.models.network.kuaihl import KuaiHL
    from kuaihl.models.training.network_size import NetworkSize
    from kuaihl.models.training.plan import TrainingPlan
    from kuaihl.models.training.video_set import VideoSet


def start_of(data: "KLive | VideoSet", settings: TrainSettings) -> "Bundle | None":
    """The bundle of --from, checked. Raises ModelError, UsageError if training cannot start from it."""
    from kuaihl.models.bundle import load_bundle
    from kuaihl.models.data.klive import KLive
    from kuaihl.models.training.fine_tuning import check_start

    if settings.start is None:
        return None
    if settings.arch != "kuaihl":
        raise UsageError(f"--from is for --arch kuaihl, not {settings.arch}; leave one of them out")
    if not isinstance(data, KLive):
        raise UsageError(f"{data.path}: --from is for data sets of live rooms; leave it out")
    settled = {  # by the bundle
        "size": settings.size,
        "width": settings.width,
        "layers": settings.layers,
        "heads": settings.heads,
        "window": settings.window,
        "dropout": settings.dropout,
    }
    for name, value in settled.items():
        if value is not None:
            raise UsageError(f"--{name}: what begins --from a bundle keeps the bundle's; leave one of them out")
    bundle = load_bundle(settings.start)
    check_start(bundle, data.facts)
    return bundle


def size_of(data: "KLive | VideoSet", settings: TrainSettings) -> "NetworkSize | None":
    """The requested size; on edge features, one that suits the labels. None for the profile's own."""
    from kuaihl.models.data.klive import KLive

    asked = settings.size
    sized = settings.arch == "kuaihl" and isinstance(data, KLive)
    if asked not in (None, PROFILE) and not sized:
        raise UsageError(f"--size {asked} is for --arch kuaihl on data sets of live rooms; leave it out")
    if not isinstance(data, KLive) or not sized or settings.start is not None:
        return None
    name = asked or (AUTO if data.facts.profile == "edge" else PROFILE)
    size = size_named(name, _labels_of(data) if name == AUTO else 0)
    if name == AUTO and size and not settings.quiet and is_main_process():
        say(f"size {size.name}, for {_labels_of(data):,} labels; --size chooses another")
    return size


def _labels_of(data: "KLive") -> int:
    """The number of labels of the training split that count. Raises DataError."""
    return sum(int(data.labels(record)[1].sum()) for record in data.rooms_of("train"))


def network_to_start_from(data: "KLive | VideoSet", plan: "TrainingPlan", settings: TrainSettings) -> "KuaiHL | None":
    """The network of --from; prints which of its parts start fresh because the bundle lacks them. Raises ModelError."""
    from kuaihl.models.network.kuaihl import KuaiHL
    from kuaihl.models.training.fine_tuning import begin_from

    bundle = start_of(data, settings)
    if bundle is None:
        return None
    network = bundle.network()
    assert isinstance(network, KuaiHL)
    if (fresh := begin_from(network, plan.dims)[1]) and not settings.quiet and is_main_process():
        say(f"{bundle.path} has no {', '.join(sorted(fresh))}: trained from scratch")
    return network
