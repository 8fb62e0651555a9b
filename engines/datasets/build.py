"""Recordings, comments and labels in, a data set in the KLive layout out (DESIGN section 6).

Worker processes run the rooms through the encoders of a bundle's profile, as scoring does. Results of an earlier run
are kept; if a room fails, its reason is reported and the rest go on.
"""

import json
import threading
from collections import Counter
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, replace
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from kuaihl.engines.archive.bookkeeping import USUAL_RULES, Rules, Work, score_with_ledger, undone_first
from kuaihl.engines.archive.file_states import state_of_inputs
from kuaihl.engines.archive.jobs import NO_LIMITS, Job, JobResult, LeftOut, Limits, Progress, Runner, ScoreJob
from kuaihl.engines.archive.ledger import LEDGER_FILE, Ledger
from kuaihl.engines.archive.pool import score_archive
from kuaihl.engines.archive.recordings import comments_beside
from kuaihl.engines.datasets.label_sources import LabelSource
from kuaihl.engines.datasets.room_table import RoomFacts, share_out
from kuaihl.engines.encoders.encode import BATCH_OF_FILES, WRITTEN, encode
from kuaihl.engines.ingest.opening import open_source
from kuaihl.engines.ingest.packets import packets
from kuaihl.engines.outputs.run_record import identify_source
from kuaihl.engines.read_ahead import run_stage
from kuaihl.engines.segmenter.segmenter import segments
from kuaihl.engines.warnings import warnings_of
from kuaihl.models.data.klive import ROOMS_FILE, read_rooms
from kuaihl.models.data.klive_writer import DataSetWriter
from kuaihl.models.errors import DataError, SourceError
from kuaihl.models.facts import DataSetFacts, EncoderFacts, LabelFacts, RoomRecord
from kuaihl.models.signals import SignalsFacts, with_standard_scores

if TYPE_CHECKING:
    from kuaihl.engines.encoders.profiles import Encoders, Profile
    from kuaihl.engines.types import EncodedSegment


_ONE_PROCESS: Runner = partial(score_archive, processes=1)


@dataclass(frozen=True)
class BuildSettings:
    """What to build, where and how; sent to the workers."""

    folder: Path
    facts: DataSetFacts
    trained_with: tuple[EncoderFacts, ...] = ()  # encoders of a bundle, which these features must match
    device: str = "auto"
    asr: str = "auto"
    whisper_model: str | None = None
    text_weights: str | Path | None = None
    language: str | None = None
    frames: str = "keyframe"
    threads: int | None = None
    comments_offset: float = 0.0


def dataset_facts(
    profile: "Profile",
    label: LabelFacts,
    *,
    segment_seconds: float,
    asr: str,
    whisper_model: str | None,
    licence: str,
    text_weights: str | Path | None = None,
) -> DataSetFacts:
    """The facts in `dataset.json` on features made by a profile, with `text_weights` for text if they are given.

    Raises ModelError if weights are missing.
    """
    from kuaihl.engines.encoders.profiles import facts_of, text_width
    from kuaihl.engines.weights.resolve import resolve

    if asr == "none" or whisper_model:
        speech = EncoderFacts("speech", whisper_model if whisper_model and asr != "none" else "none", "", "")
    else:
        speech = facts_of(resolve(profile.speech))
    text = resolve(profile.text, text_weights)
    return DataSetFacts(
        profile=profile.name,
        encoders=(facts_of(resolve(profile.vision)), facts_of(text), speech),
        segment_seconds=segment_seconds,
        label=label,
        visual_width=profile.d_v,
        text_width=text_width(profile, text),
        patches=profile.patches,
        signals=SignalsFacts(),
        licence=licence,
    )


def build_dataset(
    rooms: Sequence[Job],
    settings: BuildSettings,
    *,
    source: LabelSource,
    known: Mapping[str, RoomFacts],
    left_out: Iterable[LeftOut] = (),
    runner: Runner = _ONE_PROCESS,
    rules: Rules = USUAL_RULES,
    limits: Limits = NO_LIMITS,
    tell: Callable[[Job, Progress], None] = lambda _job, _progress: None,
    report: Callable[[JobResult | str], None] = lambda _: None,
) -> Generator[JobResult]:
    """Build every room, labelled by `source`, and yield its result; the ledger of the data set has them, too.

    Recordings that share a room's id fail. Existing rooms are skipped unless their media or labels have changed, or
    `rules` say otherwise; those of other runs stay. The table of rooms is written when the last room is done, or when
    the caller leaves early. `tell` gets progress; `report` gets tries that others follow, and lines about the ledger.
    Raises DataError, ModelError.
    """
    writer = DataSetWriter(settings.folder, settings.facts)
    if (settings.folder / ROOMS_FILE).is_file():
        for record in read_rooms(settings.folder):
            writer.find_written(record.id)
    shared_ids = {name for name, count in Counter(_names_of(rooms)).items() if count > 1}
    for room in rooms:
        if room.room in shared_ids:
            yield JobResult(room, "failed", _shared_id(room))
    rooms = [room for room in rooms if room.room not in shared_ids]
    before = {} if rules.again else {name: writer.find_written(name) for name in _names_of(rooms)}
    splits = {name: facts.split for name, facts in known.items()}
    splits |= {name: record.split for name, record in before.items() if record}  # a room keeps its split
    shared = share_out(_names_of(rooms), splits)
    todo = {name: replace(known.get(name, RoomFacts()), split=split) for name, split in shared.items()}
    work = Work(
        prepare=partial(_prepare, settings, source, todo),
        is_done=lambda room: before.get(room.room) is not None and _is_unchanged(room, writer, settings, source),
        key=lambda _: (_hash_of(settings), ""),
        inputs=state_of_inputs,
        products=lambda _: None,  # labels are looked at, too
        warnings=lambda _: (),
    )
    try:
        with Ledger(settings.folder / LEDGER_FILE, report) as ledger:
            ledger.leave_out(left_out, only=True)
            ledger.enter(rooms)
            for result in score_with_ledger(
                undone_first(rooms, ledger), work, runner, ledger, rules=rules, limits=limits, tell=tell, report=report
            ):
                if result.status == "done":
                    writer.find_written(result.job.room)
                yield result
    finally:
        writer.finish()


def _hash_of(settings: BuildSettings) -> str:
    """Of all that a room depends on beside its files and labels."""
    said = asdict(replace(settings, folder=Path(), threads=None, device=""))
    return sha256(json.dumps(said, sort_keys=True, default=str).encode()).hexdigest()


def _names_of(rooms: Sequence[Job]) -> list[str]:
    return [room.room for room in rooms]


def _is_unchanged(room: Job, writer: DataSetWriter, settings: BuildSettings, labels: LabelSource) -> bool:
    """Whether a built room was made from this very recording, these comments and these labels, in this way."""
    try:
        return bool(writer.origin(room.room) == _origin_of(room, settings, labels))
    except (SourceError, DataError):
        return False  # a worker will meet and report it


def _origin_of(room: Job, settings: BuildSettings, labels: LabelSource) -> dict[str, Any]:
    """What a room depends on besides the facts of its data set. Raises SourceError, DataError if it cannot be read."""
    return {
        "source": _content_of(room.source),
        "comments": None if room.comments is None else _content_of(str(room.comments)),
        "comments_offset": settings.comments_offset,
        "frames": settings.frames,
        "language": settings.language,
        "labels": labels.identity(room),
    }


def _content_of(source: str) -> dict[str, Any]:
    """The identity of a file by its content, since an archive may move; of a stream by its name."""
    said = asdict(identify_source(source))
    return {key: value for key, value in said.items() if key != "name" or said["size"] is None}


def _with_readable_comments(room: Job, settings: BuildSettings) -> tuple[Job, tuple[str, ...]]:
    """The room, without comments and with a warning if nobody named them and they cannot be read."""
    from kuaihl.engines.comments.reader import read_comments

    if room.comments is None or room.comments != comments_beside(Path(room.source)):
        return room, ()
    try:
        read_comments(room.comments, offset=settings.comments_offset)
    except SourceError as error:
        return replace(room, comments=None), (f"built without comments: {error}",)
    return room, ()


def _shared_id(room: Job) -> DataError:
    return DataError(f"{room.source}: other recordings would be room {room.room} too; give each an id in a manifest")


def _prepare(settings: BuildSettings, source: LabelSource, known: Mapping[str, RoomFacts]) -> ScoreJob:
    """In a worker: load the encoders, and return the function that builds a room with them."""
    from kuaihl.engines.encoders.profiles import check_trained_with, load_encoders, profile_named

    encoders = load_encoders(
        profile_named(settings.facts.profile),
        device=settings.device,
        threads=settings.threads,
        asr=settings.asr,
        whisper_model=settings.whisper_model,
        language=settings.language,
        text_weights=settings.text_weights,
    )
    check_trained_with(settings.trained_with, encoders)
    writer = DataSetWriter(settings.folder, settings.facts)

    def build_one(room: Job, tell: Callable[[Progress], None]) -> Sequence[str]:
        facts = known[room.room]
        # Before it is read: what is written to it meanwhile must count as a change.
        origin = _origin_of(room, settings, source)
        found = source.find(room, settings.facts.segment_seconds)  # first: a room without labels is not worth encoding
        room, warnings = _with_readable_comments(room, settings)
        encoded = list(encoded_segments(room, encoders, settings, tell))
        if not encoded:
            raise SourceError(f"{room.source}: holds no picture and no sound that can be read; check that it is whole")
        starts = np.array([segment.start for segment in encoded])
        ends = np.array([segment.end for segment in encoded])
        arrays = _stack_features(encoded, encoders) | found.label(starts, ends)
        record = RoomRecord(
            id=room.room,
            streamer=room.streamer or facts.streamer or found.streamer,
            segments=len(encoded),
            split=facts.split,
            start_time=facts.start_time or found.start_time,
        )
        writer.write_room(record, arrays, origin)
        return warnings + warnings_of(event for segment in encoded for event in segment.events)

    return build_one


def encoded_segments(
    room: Job, encoders: "Encoders", settings: BuildSettings, tell: Callable[[Progress], None] = lambda _: None
) -> "Iterator[EncodedSegment]":
    """The segments of a recording with its comments, as scoring makes them. Raises SourceError."""
    from kuaihl.engines.comments.feed import CommentTrack
    from kuaihl.engines.comments.reader import read_comments
    from kuaihl.engines.segmenter.exact_frames import ExactFrames

    chat = CommentTrack(read_comments(room.comments, offset=settings.comments_offset)) if room.comments else None
    stop = threading.Event()
    with ExitStack() as stack:
        source = stack.enter_context(open_source(room.source))
        if source.is_live:
            raise SourceError(f"{room.source}: is a live stream; record it, then build from the recording")
        exact = stack.enter_context(ExactFrames(room.source)) if settings.frames == "exact" else None
        cut = segments(
            packets(source, stop=stop),
            segment_seconds=settings.facts.segment_seconds,
            exact=exact,
            comments=chat,
        )
        ahead = stack.enter_context(run_stage(cut, BATCH_OF_FILES, stop=stop))
        tell(Progress(duration=source.duration))
        encoding = encode(ahead, encoders, batch=BATCH_OF_FILES, language=settings.language)
        for number, segment in enumerate(encoding, start=1):
            yield segment
            tell(Progress(number, segment.end, duration=source.duration))


def _stack_features(encoded: "Sequence[EncodedSegment]", encoders: "Encoders") -> dict[str, NDArray[Any]]:
    """The features of a room's segments, and the text vectors of speech and of comments alone (Table III)."""
    speech = [segment.transcript.text for segment in encoded]
    comments = [[comment.text for comment in segment.comments if comment.kind in WRITTEN] for segment in encoded]
    return {
        "visual": np.stack([segment.features.visual for segment in encoded]),
        "text": np.stack([segment.features.text for segment in encoded]),
        "text_speech": encoders.text.encode(speech, [[] for _ in encoded]),
        "text_comments": encoders.text.encode(["" for _ in encoded], comments),
        "signals": with_standard_scores(segment.features.signals for segment in encoded),
    }
