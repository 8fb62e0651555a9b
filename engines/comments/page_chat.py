"""The live chat of a page's URL as comments by time: a recorder writes it to a file, which is followed."""

import tempfile
from functools import partial
from pathlib import Path

from kuaihl.engines.comments.chat_recorder import ChatRecorder
from kuaihl.engines.comments.filters import Keep
from kuaihl.engines.comments.followed import FollowedComments
from kuaihl.engines.types import Comment, Event
from kuaihl.models.credentials import shown_source


class PageChat:
    """The chat from `start` to `close`. Nothing that happens to the recorder ends the run: it becomes an event."""

    def __init__(self, url: str, folder: Path | None, *, offset: float, keep: Keep) -> None:
        """The chat is kept in `folder`, where the next run goes on with it; without one, nowhere.

        Raises UsageError without yt-dlp.
        """
        self._name = shown_source(url)
        self._temporary = tempfile.TemporaryDirectory() if folder is None else None
        self._recorder = ChatRecorder(url, Path(self._temporary.name) if self._temporary else folder or Path())
        self._follow = partial(FollowedComments, self._recorder.path, offset=offset, keep=keep)
        self._followed: FollowedComments  # from the start on
        self._since: float | None = None  # an earlier run has taken what was said before
        self._told = ""
        self.has_chat = False

    def start(self) -> None:
        """Begin to record, with the lock of the folder. Raises SourceError if what lies there is no chat."""
        self._recorder.start()
        self._followed = self._follow()
        if self._since is not None:
            self._followed.skip_until(self._since)

    def skip_until(self, time: float) -> None:
        """As of a followed file, before the start; nor does anything count that was said while nobody scored."""
        self._since = time

    def take(self, start: float, end: float) -> tuple[Comment, ...]:
        """As of a followed file."""
        found = self._followed.take(start, end)
        if self._since is not None:
            found, self._since = tuple(one for one in found if one.time >= start), None
        self.has_chat = self._followed.has_chat and not self._recorder.fault
        return found

    def take_events(self, now: float) -> list[Event]:
        """An event at `now` if the recorder has ended, or records again, since the last call; or one of the file."""
        events, fault = self._followed.take_events(now), self._recorder.fault
        if fault != self._told:
            self._told = fault
            words = f"{fault}; it is started again" if fault else "recorded again"
            events.append(Event("comments", now, f"{self._name}: {words}"))
        return events

    def close(self) -> None:
        """End the recorder. Idempotent."""
        self._recorder.close()
        if self._temporary is not None:
            self._temporary.cleanup()
