"""Sizes and times of change of files as one text: whether anything has been written to since, at the cost of stats."""

import os

from kuaihl.engines.archive.jobs import Job


def state_of_inputs(job: Job) -> str | None:
    """The state of a recording and of its comments; None for a URL or a file that is gone.

    That of an object is as it was listed.
    """
    if "://" in job.source or isinstance(job.comments, str):
        return job.listed or None
    if job.comments is None:
        return state_of(job.source)
    state = state_of(job.source, str(job.comments))
    return None if state is None else f"{state} {job.comments.name}"


def state_of(*files: str) -> str | None:
    """The state of files, None if one is gone; that of a folder tells what was made or moved in it."""
    try:
        found = [os.stat(file) for file in files]  # noqa: PTH116 (a path object takes as long as the call)
    except (OSError, ValueError):
        return None
    return " ".join(f"{one.st_size}:{one.st_mtime_ns}" for one in found)
