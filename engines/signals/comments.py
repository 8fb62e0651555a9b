"""The comments of a segment in, their signals out: how many, by how many, and how they are written.

A comment is what somebody wrote: gifts are counted apart, likes and joins are not counted. A paid message is both a
comment and a gift. Shares are 0 if nobody wrote. A comment counts by its first 1,000 characters.
"""

import math
import re
from collections import Counter
from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

from kuaihl.engines.comments.comment import Comment
from kuaihl.engines.comments.comment_format import MAX_TEXT
from kuaihl.engines.signals.emotes import without_emotes
from kuaihl.engines.signals.laughter import THAI, fold, laughs, laughs_in_thai

COUNTED_SECONDS = 30.0  # a count is per so many seconds
SHORTEST = 1.0  # seconds; one comment in a stream's last tenth of a second is no flood

MIN_LETTERS = 3  # letters with case that a comment in capitals has at least,
CAPITALS = 0.7  # and the share of them that are capitals
MARKS = frozenset("!！‼❗¡")
BOT_COMMAND = re.compile(r"!\w")  # !uptime is for a machine
SAME_AGAIN = re.compile(r"(.)\1+", re.DOTALL)
HAN = re.compile("[\u3400-\u9fff]")


class Traits(NamedTuple):
    """How one comment is written."""

    laughs: bool
    thai_laughter: bool  # 555: laughter if the chat is Thai
    thai: bool
    han: bool
    capitals: bool
    exclaims: bool
    emotes: bool
    said: str  # what it says: the same in every spelling of it


def comment_signals(comments: Sequence[Comment], seconds: float) -> dict[str, float]:
    """The signals of the group `comments` of a segment of `seconds`, each finite whatever was written."""
    written = [traits_of(comment.text[:MAX_TEXT]) for comment in comments if comment.kind == "chat"]
    authors = Counter(comment.author for comment in comments if comment.kind == "chat")
    chatters = len(authors) + max(authors[None] - 1, 0)  # each nameless comment is somebody's
    values = [comment_value(comment) for comment in comments]
    gifts = sum(1 for comment, value in zip(comments, values, strict=True) if comment.kind == "gift" or value)
    said = Counter(one.said for one in written)
    thai = sum(one.thai for one in written) > sum(one.han for one in written)
    n = max(len(written), 1)
    return {
        "comments": log_count(len(written), seconds),
        "chatters": log_count(chatters, seconds),
        "gifts": log_count(gifts, seconds),
        "gift_value": log_count(sum(values), seconds),
        "laughter": sum(one.laughs or (thai and one.thai_laughter) for one in written) / n,
        "capitals": sum(one.capitals for one in written) / n,
        "exclamations": sum(one.exclaims for one in written) / n,
        "repeats": sum(count for count in said.values() if count > 1) / n,
        "emotes": sum(one.emotes for one in written) / n,
        "comment_length": math.log1p(
            sum(min(len(comment.text), MAX_TEXT) for comment in comments if comment.kind == "chat") / n
        ),
    }


def log_count(count: float, seconds: float) -> float:
    """ln(1 + count per 30 s)."""
    return math.log1p(count * COUNTED_SECONDS / max(seconds, SHORTEST))


def comment_value(comment: Comment) -> float:
    """What was paid for it, 0 if nothing or not told."""
    return comment.value if comment.value is not None and 0 < comment.value < math.inf else 0.0


@lru_cache(maxsize=2048)  # a chat says the same again and again
def traits_of(text: str) -> Traits:
    folded = fold(text)
    plain, emotes = without_emotes(text)
    letters = "".join(filter(str.isalnum, folded)) or folded.strip()
    return Traits(
        laughs=laughs(text, folded),
        thai_laughter=laughs_in_thai(folded),
        thai=not text.isascii() and THAI.search(text) is not None,
        han=not text.isascii() and HAN.search(text) is not None,
        capitals=in_capitals(plain),
        exclaims=not MARKS.isdisjoint(text) and BOT_COMMAND.match(text) is None,
        emotes=emotes,
        said=SAME_AGAIN.sub(r"\1", letters),
    )


def in_capitals(text: str) -> bool:
    """Whether it shouts: at least MIN_LETTERS letters that have case, CAPITALS of them capitals."""
    if text == text.lower():
        return False
    capitals = sum(map(str.isupper, text))
    cased = capitals + sum(map(str.islower, text))
    return cased >= MIN_LETTERS and capitals >= CAPITALS * cased
