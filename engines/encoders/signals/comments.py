"""The comments of a segment in, their signals out: how many, by how many, and how they are written.

A comment is what somebody wrote: gifts are counted apart, likes and joins are not counted. A paid message is both a
comment and a gift. Shares are 0 if nobody wrote. A comment counts by its first 1,000 characters.
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

COUNTED_SECONDS = 30.0  # a count is per so many seconds
SHORTEST = 1.0  # seconds; one comment in a stream's last tenth of a second is no flood

MIN_LETTERS = 3  # letters with case that a comment in capitals has at least,
CAPITALS = 0.7  # and the share of them that are capitals
EXCLAMATION = re.compile("[!！‼❗¡]")
BOT_COMMAND = re.compile(r"!\w")  # !uptime is for a machine
THAI = re.compile("[\u0e00-\u0e7f]")
HAN = re.compile("[\u3400-\u9fff]")
SMALL_LETTERS = re.compile("[a-z]+")
HAN_LETTERS = re.compile("[\u4e00-\u9fff]+")
MOST_READ = 1_000  # comments of a segment; of more, every second is read, or third, and so on
REMEMBERED = 16_384  # words: a chat says the same again and again
LONGEST_REMEMBERED = 32  # characters


# Traits of a word, and of a comment that has such a word: bits, for hundreds of comments are read each segment.
LAUGHS, LAUGHS_IN_THAI, IS_THAI, IS_HAN, EXCLAIMS, HAS_EMOTE, IN_CAPITALS = (1 << bit for bit in range(7))


class Word(NamedTuple):
    """How a word is written, or what stands between spaces where a script has none."""

    traits: int  # not IN_CAPITALS: that is for a comment to say
    capitals: int  # letters of those that have case; none of an emote's name
    cased: int
    said: str  # what it says: the same in every spelling of it


def comment_signals(comments: Sequence[Comment], seconds: float) -> dict[str, float]:
    """The signals of the group `comments` of a segment of `seconds`, each finite whatever was written."""
    chat = [comment for comment in comments if comment.kind == "chat"]
    texts = [comment.text[:MAX_TEXT] for comment in chat]
    written = [read(text) for text in texts[:: -(-len(texts) // MOST_READ)]] if texts else []
    authors = Counter([comment.author for comment in chat])
    chatters = len(authors) + max(authors[None] - 1, 0)  # each nameless comment is somebody's
    paid = [comment for comment in comments if comment.kind == "gift" or comment.value]
    said = Counter([said for _, said in written])
    have = Counter([traits for traits, _ in written])  # few kinds of comments, if many comments
    laughter = LAUGHS
    if count(have, IS_THAI) > count(have, IS_HAN):
        laughter |= LAUGHS_IN_THAI
    n = max(len(written), 1)
    return {
        "comments": log_count(len(chat), seconds),
        "chatters": log_count(chatters, seconds),
        "gifts": log_count(len(paid), seconds),
        "gift_value": log_count(sum(map(value_of, paid)), seconds),
        "laughter": count(have, laughter) / n,
        "capitals": count(have, IN_CAPITALS) / n,
        "exclamations": count(have, EXCLAIMS) / n,
        "repeats": sum([times for times in said.values() if times > 1]) / n,
        "emotes": count(have, HAS_EMOTE) / n,
        "comment_length": math.log1p(sum(map(len, texts)) / max(len(texts), 1)),
    }


def log_count(count: float, seconds: float) -> float:
    """ln(1 + count per 30 s)."""
    return math.log1p(count * COUNTED_SECONDS / max(seconds, SHORTEST))


def value_of(comment: Comment) -> float:
    """What was paid for it, 0 if that is not told."""
    return comment.value if comment.value is not None and 0 < comment.value < math.inf else 0.0


def count(have: Mapping[int, int], traits: int) -> int:
    """Comments that have one of the traits, of those counted by all they have."""
    return sum([times for those, times in have.items() if those & traits])


def read(text: str) -> tuple[int, str]:
    """The traits of a comment, and what it says."""
    traits = capitals = cased = 0
    said = ""
    for part in text.split():
        word = read_word(part) if len(part) <= LONGEST_REMEMBERED else read_word.__wrapped__(part)
        traits |= word[0]
        capitals += word[1]
        cased += word[2]
        said += word[3]
    if cased >= MIN_LETTERS and capitals >= CAPITALS * cased:
        traits |= IN_CAPITALS
    if traits & EXCLAIMS and BOT_COMMAND.match(text):
        traits -= EXCLAIMS
    if traits & IS_THAI and traits & LAUGHS_IN_THAI:
        traits |= LAUGHS
    return traits, said


@lru_cache(maxsize=REMEMBERED)
def read_word(word: str) -> Word:
    if SMALL_LETTERS.fullmatch(word):  # as most are
        return Word(LAUGHS * token_laughs(word), 0, len(word), collapsed(word))
    if HAN_LETTERS.fullmatch(word):
        return Word(IS_HAN + LAUGHS * laughs(word), 0, 0, collapsed(word))
    normal = unicodedata.normalize("NFKC", word)
    plain = without_emotes(word)
    traits = IS_THAI * bool(THAI.search(word)) + IS_HAN * bool(HAN.search(word))
    if plain != word or has_emoji(word):
        traits += HAS_EMOTE
    if EXCLAMATION.search(word):
        traits += EXCLAIMS
    if laughs(normal):
        traits += LAUGHS
    if laughs_in_thai(normal):
        traits += LAUGHS_IN_THAI
    capitals = sum(map(str.isupper, plain))
    said = collapsed("".join(filter(str.isalnum, normal.casefold())) or normal)
    return Word(traits, capitals, capitals + sum(map(str.islower, plain)), said)


def collapsed(text: str) -> str:
    """With each run of a character once."""
    return "".join([character for character, _ in groupby(text)]) if len(set(text)) < len(text) else text
