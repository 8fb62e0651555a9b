"""The share of PHD that is there, beside the paper's (supplement, section I-B): one line for people."""

from collections.abc import Sequence
from pathlib import Path

from kuaihl.models.data.phd import PhdTarget

_PAPER = {"training": (12_541, 81_056), "testing": (833, 7_595)}  # users and videos


def found_counts(path: Path, targets: Sequence[PhdTarget], features: Path) -> str:
    """Users and videos of the csv `path`, of those with `features`, and of the paper if the file's name tells which.

    A user counts if a target video has features; videos are targets and histories together.
    """
    videos = {video for target in targets for video in (target.video, *(span.video for span in target.history))}
    there = {video for video in videos if (features / f"{video}.safetensors").is_file()}
    users = {target.user for target in targets}
    with_target = {target.user for target in targets if target.video in there}
    parts = [
        f"{len(users):,} users and {len(videos):,} videos",
        f"features of {len(with_target):,} users' targets and of {len(there):,} videos",
    ]
    if path.stem in _PAPER:
        parts.append("the paper has {:,} and {:,}".format(*_PAPER[path.stem]))
    return f"{path.name}: {'; '.join(parts)}"
