"""`--runner`: the options that say where recordings are done, and the runner that they make."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated, Literal

import typer

from kuaihl.engines.archive.jobs import Runner
from kuaihl.engines.archive.pool import score_archive
from kuaihl.models.errors import UsageError
from kuaihl_cli.limits import LimitOptions

RAY = "Ray"  # a panel of the help


@dataclass(frozen=True, kw_only=True)
class RunnerOptions(LimitOptions):
    """Where recordings are done, beside how many at once and within which limits."""

    runner: Annotated[
        Literal["local", "ray"],
        typer.Option("--runner", rich_help_panel=RAY, help="Where workers run: on this machine, or on a Ray cluster"),
    ] = "local"
    address: Annotated[
        str | None,
        typer.Option(
            "--address", metavar="HOST:PORT", rich_help_panel=RAY,
            help="The Ray cluster, or auto for that of this machine. If not given, Ray is started here.",
        ),
    ] = None  # fmt: skip


def threads_of_each(options: RunnerOptions, threads: int | None) -> int:
    """The CPU threads of each worker: those asked for, or else a fair share. Ray sets aside as many CPUs for it."""
    if threads:
        return threads
    return 1 if options.runner == "ray" else max(1, (os.cpu_count() or 1) // options.jobs)


def make_runner(
    options: RunnerOptions,
    *,
    jobs: int,
    threads: int,
    device: str,
    outputs: Path | None,
    report: Callable[[str], None],
    per_worker: int | None = None,
) -> Runner:
    """The runner that the options name, of `jobs` recordings at once.

    Nodes must see the folder of `outputs`, and `report` gets what workers say.

    Raises UsageError for options that only Ray has.
    """
    if options.runner == "local":
        for setting, value in (("address", options.address), ("per_worker", per_worker)):
            if value is not None:
                raise UsageError("is for the runner ray", setting=setting, value=value)
        return partial(score_archive, processes=jobs)
    from kuaihl.engines.archive.ray_cluster import Crew
    from kuaihl.engines.archive.ray_runner import score_on_ray

    crew = Crew(jobs, options.address, per_worker=per_worker or 1, cpus=threads, device=device, outputs=outputs)
    return partial(score_on_ray, crew=crew, report=report)
