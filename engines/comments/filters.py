"""Comments that do not count: those of bots, and those with words that say nothing of the stream."""

import re
from collections.abc import Callable, Sequence

from kuaihl.engines.types import Comment
from kuaihl.models.errors import UsageError

Keep = Callable[[Comment], bool]


def keep_all(_comment: Comment) -> bool:
    """Every comment counts."""
    return True


def make_filter(users: Sequence[str], words: Sequence[str]) -> Keep:
    """Whether a comment counts: nobody of `users` wrote it, and none of `words` is in it; case makes no difference.

    Each is a text, for a user the whole name; or between slashes a regular expression, which is searched for. Raises
    UsageError for one that is none.
    """
    if not users and not words:
        return keep_all
    authors = [_matcher("ignore_user", one, whole=True) for one in users]
    texts = [_matcher("ignore_words", one, whole=False) for one in words]

    def keep(comment: Comment) -> bool:
        author, text = comment.author, comment.text
        if author is not None and any(matches(author) for matches in authors):
            return False
        return not any(matches(text) for matches in texts)

    return keep


def _matcher(setting: str, text: str, *, whole: bool) -> Callable[[str], bool]:
    pattern = re.fullmatch(r"/(.+)/", text, re.DOTALL)
    if not text.strip():
        raise UsageError("is empty, and would leave out every comment", setting=setting)
    try:
        found = re.compile(pattern[1] if pattern else re.escape(text), re.IGNORECASE)
    except (re.error, RecursionError, OverflowError) as error:
        raise UsageError(f"is no regular expression ({error})", setting=setting, value=text) from error
    search = found.fullmatch if whole and not pattern else found.search
    return lambda value: search(value) is not None
