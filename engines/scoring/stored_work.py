"""The work of scoring an archive whose run folders go to an object store: each is put there once it is whole."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial

from kuaihl.engines.archive.bookkeeping import Work
from kuaihl.engines.archive.jobs import Job, Progress, ScoreJob
from kuaihl.engines.outputs.run_folder import has_scores
from kuaihl.engines.outputs.stored_run import put_run, version_of, with_stored_run
from kuaihl.engines.scoring.archive_work import Report
from kuaihl.engines.sinks.settings import SPOOLS
from kuaihl.engines.sinks.spool import has_waiting
from kuaihl.engines.stores.urls import join_url
from kuaihl.models.errors import BatchError, KuaihlError, SourceError


def kept_in_store(work: Work, address: str, report: Report) -> Work:
    """The same work, whose results are below an address; the folders of its jobs are only worked in.

    A job is done if a whole run is at the address, made from the same content, options and weights. One that an earlier
    process finished and did not put is put. `report` gets what keeps a result from being read or put: then a worker
    tries.
    """

    def is_done(job: Job) -> bool:
        try:
            if has_scores(job.output):
                if work.is_done(job):
                    _put(job, address)
                    return True
                return False
            url, workplace = _address_of(job, address), job.output.parent
            return bool(with_stored_run(url, workplace, lambda copy: work.is_done(replace(job, output=copy))))
        except KuaihlError as error:
            report(error.within(job.source))
            return False

    def products(job: Job) -> str | None:
        if has_scores(job.output):  # events of it wait, or it was not put
            return None
        try:
            return version_of(_address_of(job, address))
        except SourceError:
            return None  # `is_done` reports it

    def warnings(job: Job) -> Sequence[str]:
        url, workplace = _address_of(job, address), job.output.parent
        try:
            return with_stored_run(url, workplace, lambda copy: work.warnings(replace(job, output=copy))) or ()
        except KuaihlError:
            return ()

    return replace(
        work,
        prepare=partial(_prepare, work.prepare, address),
        is_done=is_done,
        products=products,
        warnings=warnings,
    )


def _prepare(prepare: Callable[[], ScoreJob], address: str) -> ScoreJob:
    """In a worker: the function that scores a job and puts its run folder."""
    score = prepare()

    def score_and_put(job: Job, tell: Callable[[Progress], None]) -> Sequence[str]:
        try:
            warnings = score(job, tell)
        except BatchError:  # a clip could not be cut; everything else is there
            _put(job, address)
            raise
        _put(job, address)
        return warnings

    return score_and_put


def _put(job: Job, address: str) -> None:
    """Put a job's run folder, which stays while events of it wait to be delivered."""
    put_run(job.output, _address_of(job, address), keep=has_waiting(job.output / SPOOLS))


def _address_of(job: Job, address: str) -> str:
    return join_url(address, job.output.name)
