"""The comments that a run reads: a setting in, a feed by time out."""

from collections.abc import Callable, Iterable
from pathlib import Path

from kuaihl.engines.archive.stored_recordings import find_comments
from kuaihl.engines.comments.feed import CommentTrack
from kuaihl.engines.comments.filters import make_filter
from kuaihl.engines.comments.followed import FollowedComments
from kuaihl.engines.comments.reader import collect_comments, read_comment_file
from kuaihl.engines.ingest.opening import is_stream
from kuaihl.engines.scoring.settings import ScoreSettings
from kuaihl.engines.stores.urls import is_stored
from kuaihl.engines.types import Comment, CommentFeed
from kuaihl.models.errors import SourceError

AUTO = "auto"  # the file beside a recording, if there is one

Comments = str | Path | Iterable[Comment] | None


def comments_of(source: str, comments: Comments, *, is_live: bool) -> Comments:
    """The comments meant by the setting; for "auto", the file beside a recording, if there is one."""
    if comments != AUTO:
        return Path(comments) if isinstance(comments, str) and not is_stored(comments) else comments
    return None if is_live or is_stream(source) else find_comments(source)


def open_comments(
    comments: Comments, settings: ScoreSettings, report: Callable[[str], None], *, is_live: bool, found: bool
) -> CommentFeed | None:
    """The comments by time: a file is read whole, or followed if the source is live.

    Raises UsageError for a filter that is none, and SourceError if the file cannot be read.
    If it was `found` beside the recording, an event reports it instead.
    """
    if comments is None:
        return None
    keep = make_filter(settings.ignore_user, settings.ignore_words)
    if isinstance(comments, str | Path):
        if is_live:
            return FollowedComments(comments, offset=settings.comments_offset, keep=keep)
        try:
            name, read = Path(comments).name, read_comment_file(comments, offset=settings.comments_offset)
        except SourceError as error:
            if not found:
                raise
            return CommentTrack(fault=f"scored without comments: {error}")
    else:
        name, read = "the caller", collect_comments(comments, offset=settings.comments_offset)
    asides = [f"{read.skipped} entries left out"] if read.skipped else []
    asides += [f"{read.before_start} from before the stream's start"] if read.before_start else []
    kept = [comment for comment in read.comments if keep(comment)]
    asides += [f"{len(read.comments) - len(kept)} ignored"] if len(kept) < len(read.comments) else []
    aside = f" ({', '.join(asides)})" if asides else ""
    report(f"{len(read.comments)} comments from {name}, {read.format}{aside}")
    return CommentTrack(kept)


def words_for(comments: Comments) -> str | None:
    """The entry for the comments in highlights.json: their file, or "in memory"."""
    return None if comments is None else str(comments) if isinstance(comments, str | Path) else "in memory"
