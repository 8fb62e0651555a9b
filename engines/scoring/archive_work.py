"""How the recordings of an archive are scored, by whatever runner, and when one of them is done."""

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cache, partial
from hashlib import sha256
from typing import TYPE_CHECKING

from kuaihl.engines.archive.bookkeeping import Work
from kuaihl.engines.archive.file_states import state_of, state_of_inputs
from kuaihl.engines.archive.jobs import Following, InHand, Job, Progress, ScoreJob
from kuaihl.engines.archive.rebuilding import found_warnings
from kuaihl.engines.archive.stored_recordings import find_comments
from kuaihl.engines.outputs.lock import FolderInUse
from kuaihl.engines.outputs.run_folder import HIGHLIGHTS_FILE, RECORD_FILE, SCORES_FILE, has_scores, tidy_finished
from kuaihl.engines.outputs.run_record import can_go_on, reason_to_score
from kuaihl.engines.scoring.record import find_encoders, make_record
from kuaihl.engines.scoring.remake import remake_if_lacking
from kuaihl.engines.scoring.settings import ScoreSettings
from kuaihl.engines.sinks.settings import SPOOLS, SinkSettings, deliver_left
from kuaihl.engines.sinks.spool import has_waiting
from kuaihl.engines.warnings import warnings_of
from kuaihl.models.bundle import load_bundle
from kuaihl.models.errors import KuaihlError, SourceError

if TYPE_CHECKING:
    from kuaihl.engines.scoring.journal import Earlier

Report = Callable[[KuaihlError | str], None]

_NO_SINKS = SinkSettings()


def scoring_work(
    settings: ScoreSettings,
    *,
    again: bool,
    report: Report,
    notify: Report,
    follow: Following | None = None,
    sinks: SinkSettings = _NO_SINKS,
    together: bool = False,
) -> Work:
    """The work of scoring each job into its run folder, `again` also what is done.

    Jobs that grow are followed as `follow` says. `sinks` are told what happens, and get what could not be delivered.
    Jobs of one worker share batches of the encoders if it does them `together`.
    `report` gets lines about earlier runs; `notify` those of the workers, and can be pickled. Raises ModelError if the
    bundle or weights are missing.
    """
    bundle = load_bundle(settings.model)
    encoders = find_encoders(settings, bundle)

    undelivered: list[Job] = []

    def is_done(job: Job) -> bool:
        """Whether an earlier run scored it to its end from the same media, comments, options and weights.

        If its highlights, clips or other files are not those wanted now, they are made again from its scores.
        """
        if job.grows or not has_scores(job.output):
            return False
        try:
            wanted = make_record(job.source, settings, bundle, encoders, comments=job.comments, streamer=job.streamer)
        except SourceError:
            return False  # a worker will meet and report it
        if (reason := reason_to_score(job.output, wanted)) is not None:
            goes_on = "goes on where an earlier run was interrupted"
            report(f"{job.source}: {goes_on if can_go_on(job.output, wanted) else f'scored again, for {reason}'}")
            return False
        try:
            remake_if_lacking(job.output, wanted, settings, job.source, report)
            if not undelivered and deliver_left(sinks, job.output, report) == "left":
                undelivered.append(job)  # a receiver is away: the next run tries all again
        except KuaihlError as error:
            notify(error.within(job.source))
        tidy_finished(job.output)
        return True

    @cache
    def options_of(streamer: str | None) -> str:
        record = make_record("-", settings, bundle, encoders, streamer=streamer)
        said = {"options": record.options, "products": record.products, "encoders": record.encoders}
        return sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()

    return Work(
        prepare=partial(_prepare, settings, "replace" if again else "update", notify, together, follow, sinks),
        is_done=is_done,
        key=lambda job: (options_of(job.streamer), bundle.head_sha256),
        inputs=state_of_inputs,
        products=lambda job: _state_of_products(job, sinks),
        warnings=lambda job: found_warnings(job.output),
    )


def _state_of_products(job: Job, sinks: SinkSettings) -> str | None:
    """The state of a run folder; None if some of it is gone, or if some of its events wait to be delivered."""
    if sinks.has_any and has_waiting(job.output / SPOOLS):
        return None
    return state_of(str(job.output), *(f"{job.output}/{name}" for name in (SCORES_FILE, HIGHLIGHTS_FILE, RECORD_FILE)))


def _prepare(
    settings: ScoreSettings,
    earlier: "Earlier",
    notify: Report,
    together: bool,
    follow: Following | None,
    sinks: SinkSettings,
) -> ScoreJob:
    """In a worker: load the models, and return the function that scores a job with them.

    What another process has scored since this one began is left alone, if `earlier` is "update".
    """
    from kuaihl.engines.encoders.scheduler import encode_together
    from kuaihl.engines.runtimes.device import set_threads
    from kuaihl.engines.runtimes.shared_step import SharedStep
    from kuaihl.engines.scoring.journal import AlreadyScored
    from kuaihl.engines.scoring.model import load_model
    from kuaihl.engines.scoring.reading import follow_file, read_here
    from kuaihl.engines.scoring.run import Run

    model = load_model(settings, notify)
    encode = None
    if together:
        encode = encode_together(model.encoders, set_threads(settings.threads))
        model = replace(model, step=SharedStep(model.step, lambda _stage, _seconds: None))

    def score_one(job: Job, tell: Callable[[Progress], None]) -> Sequence[str]:
        is_beside = job.comments == find_comments(job.source)
        comments = "auto" if is_beside and not (follow and job.grows and not follow.beside) else job.comments
        try:
            run = Run(
                model,
                job.source,
                settings,
                output=job.output,
                comments=comments,
                streamer=job.streamer,
                earlier=earlier,
                sinks=sinks,
                room=job.output.name,
                open_reading=partial(follow_file, settled=follow.settled) if follow and job.grows else read_here,
                encode=encode,
            )
        except (FolderInUse, AlreadyScored) as error:
            raise InHand(error.line(error.subject, remedy="")) from error
        start = run.segments[-1].end if run.segments else settings.start
        tell(Progress(len(run.segments), start, start, run.duration))
        for number, scored in enumerate(run, start=len(run.segments) + 1):
            tell(Progress(number, scored.end, start, run.duration))
        result = run.finish()
        result.check_clips()
        return warnings_of(event for segment in result.segments for event in segment.events)

    return score_one
