"""The comments of a segment in, their signals out: how many, by how many viewers, and how they are written.

A comment is text that somebody wrote: gifts are counted apart, likes and joins are not counted. A paid message is both
a comment and a gift. Shares are 0 if nobody wrote. Only the first 1,000 characters of a comment count.
"""

import math
import re
import unicodedata
from collections import Counter
from collections.abc import Mapping, Sequence
from functools import lru_cache
from itertools import groupby
from typing import NamedTuple

from kuaihl.engines.comments.formats.comment_format import MAX_TEXT
from kuaihl.engines.encoders.signals.emotes import has_emoji, without_emotes
from kuaihl.engines.encoders.signals.laughter import laughs, laughs_in_thai, token_laughs
from kuaihl.engines.types import Comment

_COUNTED_SECONDS = 30.0  # counts are per this many seconds
_SHORTEST = 1.0  # seconds; one comment in a stream's last tenth of a second is not a flood

_MIN_LETTERS = 3  # a comment in capitals has at least this many letters with case,
_CAPITALS = 0.7  # and at least this share of them are capitals
_EXCLAMATION = re.compile("[!！‼❗¡]")
_BOT_COMMAND = re.compile(r"!\w")  # !uptime is for a machine
_THAI = re.compile("[\u0e00-\u0e7f]")
_HAN = re.compile("[\u3400-\u9fff]")
_SMALL_LETTERS = re.compile("[a-z]+")
_HAN_LETTERS = re.compile("[\u4e00-\u9fff]+")
_MOST_READ = 1_000  # comments per segment; of more, only every second is read, or every third, and so on
_REMEMBERED = 16_384  # words: a chat repeats itself again and again
_LONGEST_REMEMBERED = 32  # characters


# Traits of a word, and of a comment that has such a word: bits, for hundreds of comments are read per segment.
_LAUGHS, _LAUGHS_IN_THAI, _IS_THAI, _IS_HAN, _EXCLAIMS, _HAS_EMOTE, _IN_CAPITALS = (1 << bit for bit in range(7))


class Word(NamedTuple):
    """The way a word is written, or the text between spaces if a script has none."""

    traits: int  # without IN_CAPITALS, which only a whole comment has
    capitals: int  # capital letters among the `cased`, which have case; none of an emote's name
    cased: int
    said: str  # its content: the same in every spelling of it


def comment_signals(comments: Sequence[Comment], seconds: float) -> dict[str, float]:
    """The signals of the group `comments` of a segment of `seconds`, each finite whatever was written."""
    chat = [comment for comment in comments if comment.kind == "chat"]
    texts = [comment.text[:MAX_TEXT] for comment in chat]
    written = [_read(text) for text in texts[:: -(-len(texts) // _MOST_READ)]] if texts else []
    authors = Counter([comment.author for comment in chat])
    chatters = len(authors) + max(authors[None] - 1, 0)  # each nameless comment counts as another viewer's
    paid = [comment for comment in comments if comment.kind == "gift" or comment.value]
    said = Counter([said for _, said in written])
    have = Counter([traits for traits, _ in written])  # few kinds of comments, if many comments
    laughter = _LAUGHS
    if _count(have, _IS_THAI) > _count(have, _IS_HAN):
        laughter |= _LAUGHS_IN_THAI
    n = max(len(written), 1)
    return {
        "comments": log_count(len(chat), seconds),
        "chatters": log_count(chatters, seconds),
        "gifts": log_count(len(paid), seconds),
        "gift_value": log_count(sum(map(_value_of, paid)), seconds),
        "laughter": _count(have, laughter) / n,
        "capitals": _count(have, _IN_CAPITALS) / n,
        "exclamations": _count(have, _EXCLAIMS) / n,
        "repeats": sum([times for times in said.values() if times > 1]) / n,
        "emotes": _count(have, _HAS_EMOTE) / n,
        "comment_length": math.log1p(sum(map(len, texts)) / max(len(texts), 1)),
    }


def log_count(count: float, seconds: float) -> float:
    """ln(1 + count per 30 s)."""
    return math.log1p(count * _COUNTED_SECONDS / max(seconds, _SHORTEST))


def _value_of(comment: Comment) -> float:
    """The price paid for it, 0 if unknown."""
    return comment.value if comment.value is not None and 0 < comment.value < math.inf else 0.0


def _count(have: Mapping[int, int], traits: int) -> int:
    """The number of comments with one of `traits`; `have` counts comments by all their traits."""
    return sum([times for those, times in have.items() if those & traits])


def _read(text: str) -> tuple[int, str]:
    """The traits of a comment, and its content as in `Word.said`."""
    traits = capitals = cased = 0
    said = ""
    for part in text.split():
        word = read_word(part) if len(part) <= _LONGEST_REMEMBERED else read_word.__wrapped__(part)
        traits |= word[0]
        capitals += word[1]
        cased += word[2]
        said += word[3]
    if cased >= _MIN_LETTERS and capitals >= _CAPITALS * cased:
        traits |= _IN_CAPITALS
    if traits & _EXCLAIMS and _BOT_COMMAND.match(text):
        traits -= _EXCLAIMS
    if traits & _IS_THAI and traits & _LAUGHS_IN_THAI:
        traits |= _LAUGHS
    return traits, said


@lru_cache(maxsize=_REMEMBERED)
def read_word(word: str) -> Word:
    if _SMALL_LETTERS.fullmatch(word):  # as most are
        return Word(_LAUGHS * token_laughs(word), 0, len(word), _collapse_runs(word))
    if _HAN_LETTERS.fullmatch(word):
        return Word(_IS_HAN + _LAUGHS * laughs(word), 0, 0, _collapse_runs(word))
    normal = unicodedata.normalize("NFKC", word)
    plain = without_emotes(word)
    traits = _IS_THAI * bool(_THAI.search(word)) + _IS_HAN * bool(_HAN.search(word))
    if plain != word or has_emoji(word):
        traits += _HAS_EMOTE
    if _EXCLAMATION.search(word):
        traits += _EXCLAIMS
    if laughs(normal):
        traits += _LAUGHS
    if laughs_in_thai(normal):
        traits += _LAUGHS_IN_THAI
    capitals = sum(map(str.isupper, plain))
    said = _collapse_runs("".join(filter(str.isalnum, normal.casefold())) or normal)
    return Word(traits, capitals, capitals + sum(map(str.islower, plain)), said)


def _collapse_runs(text: str) -> str:
    """`text` with each run of a character reduced to one."""
    return "".join([character for character, _ in groupby(text)]) if len(set(text)) < len(text) else text
