"""The comments that a run reads: a setting in, a feed by time out."""

import logging
import tempfile
import threading
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from kuaihl.engines.archive.recordings import MIN_AGE, why_growing
from kuaihl.engines.archive.stored_recordings import find_comments
from kuaihl.engines.comments.chat_recorder import download_chat, is_page
from kuaihl.engines.comments.feed import CommentTrack
from kuaihl.engines.comments.filters import make_filter
from kuaihl.engines.comments.followed import FollowedComments
from kuaihl.engines.comments.page_chat import PageChat
from kuaihl.engines.comments.reader import collect_comments, read_comment_file
from kuaihl.engines.ingest.opening import is_stream
from kuaihl.engines.scoring.reading import Reading
from kuaihl.engines.scoring.settings import ScoreSettings
from kuaihl.engines.stores.urls import is_stored
from kuaihl.engines.types import Comment, CommentFeed, Event
from kuaihl.models.credentials import shown_source
from kuaihl.models.errors import SourceError

LOG = logging.getLogger("kuaihl")

AUTO = "auto"  # the file beside a recording, if there is one

Comments = str | Path | Iterable[Comment] | None


def comments_of(source: str, comments: Comments, *, is_live: bool) -> Comments:
    """The comments meant by the setting; for "auto", the file beside a recording, if there is one."""
    if comments != AUTO:
        is_path = isinstance(comments, str) and not is_stored(comments) and not is_page(comments)
        return Path(str(comments)) if is_path else comments
    return None if is_live or is_stream(source) else find_comments(source)


def open_comments(
    comments: Comments,
    settings: ScoreSettings,
    report: Callable[[str], None],
    reading: Reading,
    *,
    found: bool,
    folder: Path | None,
    stop: threading.Event,
) -> CommentFeed | None:
    """The comments by time: a file is read whole, or followed if it grows with its source, or may do so with a pipe.

    The chat of a page is fetched whole for a recording, until `stop` is set; of a stream it is kept in `folder`.
    Raises UsageError for a filter that is none, and SourceError if the comments cannot be read.
    If the file was `found` beside the recording, an event reports it instead. Beside one that grows, it may still come.
    """
    if isinstance(comments, str) and is_page(comments):
        if reading.is_live or reading.is_pipe:
            keep = make_filter(settings.ignore_user, settings.ignore_words)
            return PageChat(comments, folder, offset=settings.comments_offset, keep=keep)
        return _fetch_comments(comments, settings, report, stop)
    if reading.is_growing and found:
        return NotedComments(ComingComments(reading.name, settings))
    if (reading.is_live or reading.is_growing) and isinstance(comments, str | Path):
        feed = _follow(comments, settings, is_of_source=reading.is_growing)
        return NotedComments(feed) if reading.is_growing else feed
    if reading.is_pipe and isinstance(comments, str | Path):
        followed = _follow_if_growing(Path(comments), settings)
        if followed is not None:
            report(f"{Path(comments).name} may still be written: its comments are followed")
            return followed
    return _read_comments(comments, settings, report, found=found)


def _follow(comments: str | Path, settings: ScoreSettings, *, is_of_source: bool = False) -> FollowedComments:
    keep = make_filter(settings.ignore_user, settings.ignore_words)
    return FollowedComments(comments, offset=settings.comments_offset, keep=keep, is_of_source=is_of_source)


def _follow_if_growing(path: Path, settings: ScoreSettings) -> FollowedComments | None:
    """The comments of a pipe if their file is empty, or changed in the last minute and can be followed; else None.

    A pipe does not tell whether its media is on air.
    """
    is_empty = path.is_file() and not path.stat().st_size
    if not is_empty and why_growing(path, None, MIN_AGE) is None:
        return None
    try:
        followed = _follow(path, settings)
    except SourceError:
        return None
    return followed if is_empty or followed.is_recognised else None


def _fetch_comments(
    url: str, settings: ScoreSettings, report: Callable[[str], None], stop: threading.Event
) -> CommentTrack | None:
    report(f"fetching the chat of {shown_source(url)}")
    with tempfile.TemporaryDirectory() as place:
        path = download_chat(url, Path(place), stop)
        return _read_comments(path, settings, report, found=False)


def _read_comments(
    comments: Comments, settings: ScoreSettings, report: Callable[[str], None], *, found: bool
) -> CommentTrack | None:
    if comments is None:
        return None
    keep = make_filter(settings.ignore_user, settings.ignore_words)
    if isinstance(comments, str | Path):
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


class ComingComments:
    """The comments beside a recording that grows, from the moment at which their recorder has made a file that can be
    followed."""

    def __init__(self, recording: str, settings: ScoreSettings) -> None:
        self._recording, self._offset = recording, settings.comments_offset
        self._keep = make_filter(settings.ignore_user, settings.ignore_words)
        self._feed: CommentFeed | None = None
        self._fault = self._told = ""
        self.has_chat = False
        self._look()

    def _look(self) -> None:
        if self._feed is not None or (path := find_comments(self._recording)) is None:
            return
        try:
            self._feed = FollowedComments(path, offset=self._offset, keep=self._keep, is_of_source=True)
        except SourceError as error:
            self._fault = str(error)

    def take(self, start: float, end: float) -> tuple[Comment, ...]:
        self._look()
        found = () if self._feed is None else self._feed.take(start, end)
        self.has_chat = self._feed is not None and self._feed.has_chat
        return found

    def take_events(self, now: float) -> Sequence[Event]:
        if self._feed is not None:
            return self._feed.take_events(now)
        if self._fault == self._told:
            return ()
        self._told = self._fault
        return [Event("comments", now, f"{self._fault}; tried again at each segment")]


class NotedComments:
    """A feed, and a note of what each segment got of it."""

    def __init__(self, feed: CommentFeed) -> None:
        self._feed = feed
        self._taken: list[tuple[float, float, tuple[Comment, ...], bool]] = []
        self.has_chat = feed.has_chat

    def take(self, start: float, end: float) -> tuple[Comment, ...]:
        found = self._feed.take(start, end)
        self.has_chat = self._feed.has_chat
        self._taken.append((start, end, found, self.has_chat))
        return found

    def take_events(self, now: float) -> Sequence[Event]:
        return self._feed.take_events(now)

    def agree(self, whole: CommentFeed | None) -> bool:
        """Whether each segment got what it gets of the `whole` file; None if there is none."""
        if whole is None:
            return not any(had_chat for _, _, _, had_chat in self._taken)
        return all(had_chat and whole.take(start, end) == found for start, end, found, had_chat in self._taken)


def comments_found(feed: CommentFeed | None, comments: Comments, source: str) -> Comments:
    """The comments of a source that has grown, also those that came beside it meanwhile."""
    return find_comments(source) if comments is None and isinstance(feed, NotedComments) else comments


def came_in_time(feed: CommentFeed | None, comments: Comments, settings: ScoreSettings) -> bool:
    """Whether each segment of a source that has grown got what it gets of the finished file. Raises SourceError."""
    if not isinstance(feed, NotedComments):
        return True
    return feed.agree(_read_comments(comments, settings, LOG.debug, found=False))


def words_for(comments: Comments) -> str | None:
    """The entry for the comments in highlights.json: their file, or "in memory"."""
    return None if comments is None else str(comments) if isinstance(comments, str | Path) else "in memory"
