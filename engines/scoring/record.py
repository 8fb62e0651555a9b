"""The record of a run (run.json) from its settings; known before any model is loaded."""

from collections.abc import Iterable, Mapping
from pathlib import Path

from kuaihl.engines.comments.chat_recorder import is_page
from kuaihl.engines.encoders.profiles import facts_of_weights, profile_named
from kuaihl.engines.outputs.highlights_json import Setting
from kuaihl.engines.outputs.run_record import RunRecord, SourceIdentity, identify_source
from kuaihl.engines.scoring.conclude import product_entries
from kuaihl.engines.scoring.settings import ScoreSettings
from kuaihl.engines.stores.urls import is_stored
from kuaihl.engines.types import Comment, MediaFacts
from kuaihl.models.bundle import Bundle
from kuaihl.models.credentials import shown_source
from kuaihl.models.facts import EncoderFacts


def make_record(
    source: str,
    settings: ScoreSettings,
    bundle: Bundle,
    encoders: Iterable[EncoderFacts],
    *,
    comments: str | Path | Iterable[Comment] | None = None,
    streamer: str | None = None,
    execution: Mapping[str, Setting] | None = None,
    media: MediaFacts | None = None,
    grows: bool = False,
) -> RunRecord:
    """The record of scoring `source`. Raises SourceError if the source or the file of comments cannot be read.

    A file that `grows` has no identity yet but its name.
    Device and threads are left out, and `execution` is not compared: they change scores only within rounding.
    """
    identity = SourceIdentity(source) if grows else identify_source(source)
    return RunRecord(
        source=identity,
        comments=_identify_comments(comments, grows=identity.size is None),
        bundle=bundle.name,
        bundle_sha256=bundle.head_sha256,
        encoders={facts.role: facts.sha256 for facts in encoders},
        options={
            "segment_seconds": settings.segment_seconds or bundle.segment_seconds,
            "frames": settings.frames,
            "precision": settings.precision,
            "asr": settings.asr,
            "whisper_model": settings.whisper_model,
            "language": settings.language,
            "comments_offset": settings.comments_offset,
            "ignore_user": _joined(settings.ignore_user),
            "ignore_words": _joined(settings.ignore_words),
            "streamer": streamer,
            "start": settings.start,
            "end": settings.end,
        },
        products=product_entries(settings),
        execution=execution or {},
        media=media,
    )


def _joined(texts: Iterable[str]) -> str | None:
    """None if there are none: folders of earlier versions do not name the option."""
    return "\n".join(texts) or None


def find_encoders(settings: ScoreSettings, bundle: Bundle) -> tuple[EncoderFacts, ...]:
    """The facts of the encoders that these settings will load. Raises ModelError if their weights are missing."""
    return facts_of_weights(profile_named(bundle.profile), settings.text_weights)


def _identify_comments(comments: str | Path | Iterable[Comment] | None, *, grows: bool) -> SourceIdentity | None:
    """A file of comments by its content; one that grows, and a page, by name. Comments in memory have no identity."""
    if comments is None:
        return None
    if not isinstance(comments, str | Path):
        return SourceIdentity("in memory")
    if is_page(comments):
        return SourceIdentity(shown_source(str(comments)))
    if grows or not (is_stored(str(comments)) or Path(comments).exists()):
        return SourceIdentity(str(comments))
    return identify_source(str(comments))
