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

import numpy as np

from kuaihl.engines.comments.formats.comment_format import MAX_TEXT
from kuaihl.engines.encoders.signals.emotes import has_emoji, without_emotes
from kuaihl.engines.encoders.signals.laughter import laughs, laughs_in_script, laughs_in_thai, token_laughs
from kuaihl.engines.types import Comment

_COUNTED_SECONDS = 30.0  # counts are per this many seconds
_SHORTEST = 1.0  # seconds; one comment in a stream's last tenth of a second is not a flood

_MIN_LETTERS = 3  # a comment in capitals has at least this many letters with case,
_CAPITALS = 0.7  # and at least this share of them are capitals
_EXCLAMATION = re.compile("[!！‼❗¡]")
_BOT_COMMAND = re.compile(r"!\w")  # !uptime is for a machine
_THAI = re.compile("[\u0e00-\u0e7f]")
_HAN = re.compile("[\u3400-\u9fff]")
_HAN_LETTERS = re.compile("[\u4e00-\u9fff]+")
_ASCII_MARKS = {code: None for code in range(128) if not chr(code).isalnum()}  # what `str.translate` is to delete
_NO_ASCII_LETTERS = {code: None for code in range(128) if not chr(code).isalpha()}
_BETWEEN_WORDS = "\r"  # no word has one
_MOST_READ = 1_000  # comments per segment; of more, only every second is read, or every third, and so on
_REMEMBERED = 16_384  # words: a chat repeats itself again and again
_LONGEST_REMEMBERED = 32  # characters


# Traits of a word, and of a comment that has such a word: bits, for hundreds of comments are read per segment.
_LAUGHS, _LAUGHS_IN_THAI, _IS_THAI, _IS_HAN, _EXCLAIMS, _HAS_EMOTE, _IN_CAPITALS = (1 << bit for bit in range(7))
_ALONE_SAY_LITTLE = _LAUGHS_IN_THAI | _EXCLAIMS | _IN_CAPITALS  # of a word: the rest of the comment decides


# How a word is written, or the text between spaces if a script has none:
#   its traits; IN_CAPITALS if it has one, because only a whole comment is in capitals;
#   its capital letters, and its letters with case, none of an emote's name;
#   its content, the same in every spelling of it but for runs of a character.
# A plain tuple: reading a word is so cheap that making a named one would be a tenth of it.
Word = tuple[int, int, int, str]


def comment_signals(comments: Sequence[Comment], seconds: float) -> dict[str, float]:
    """The signals of the group `comments` of a segment of `seconds`, each finite whatever was written."""
    chat = [comment for comment in comments if comment.kind == "chat"]
    texts = [comment.text[:MAX_TEXT] for comment in chat]
    read = texts[:: -(-len(texts) // _MOST_READ)] if texts else []
    have: dict[int, int] = {}  # the number of comments by their traits: few kinds, if many comments
    contents = []
    for text in read:
        traits, content = _read(text)
        have[traits] = have.get(traits, 0) + 1
        contents.append(content)
    alike = Counter(_collapse_runs(contents))
    authors = [comment.author for comment in chat]
    nameless = authors.count(None)  # each counts as another viewer's
    chatters = len(set(authors)) + max(nameless - 1, 0)
    paid = [comment for comment in comments if comment.kind == "gift" or comment.value]
    laughter = _LAUGHS
    if _count(have, _IS_THAI) > _count(have, _IS_HAN):
        laughter |= _LAUGHS_IN_THAI
    n = max(len(read), 1)
    return {
        "comments": log_count(len(chat), seconds),
        "chatters": log_count(chatters, seconds),
        "gifts": log_count(len(paid), seconds),
        "gift_value": log_count(sum(map(_value_of, paid)), seconds),
        "laughter": _count(have, laughter) / n,
        "capitals": _count(have, _IN_CAPITALS) / n,
        "exclamations": _count(have, _EXCLAIMS) / n,
        "repeats": (len(read) - list(alike.values()).count(1)) / n,
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
    """The traits of a comment, and the content of its words."""
    if not text.isascii() and _HAN_LETTERS.fullmatch(text):  # seldom said again, so not remembered
        return _read_han(text)
    parts = text.split()
    if len(text) <= _LONGEST_REMEMBERED:
        words = list(map(read_word, parts))
    else:
        words = [read_word(part) if len(part) <= _LONGEST_REMEMBERED else read_word.__wrapped__(part) for part in parts]
    traits = 0
    for word in words:
        traits |= word[0]
    if traits & _ALONE_SAY_LITTLE:
        if traits & _IN_CAPITALS and not _is_in_capitals(words):
            traits -= _IN_CAPITALS
        if traits & _EXCLAIMS and _BOT_COMMAND.match(text):
            traits -= _EXCLAIMS
        if traits & _IS_THAI and traits & _LAUGHS_IN_THAI:
            traits |= _LAUGHS
    return traits, _BETWEEN_WORDS.join([word[3] for word in words])


def _is_in_capitals(words: Sequence[Word]) -> bool:
    cased = sum([word[2] for word in words])
    return cased >= _MIN_LETTERS and sum([word[1] for word in words]) >= _CAPITALS * cased


@lru_cache(maxsize=_REMEMBERED)
def read_word(word: str) -> Word:
    if word.isascii():
        return _read_ascii(word)
    if _HAN_LETTERS.fullmatch(word):
        traits, content = _read_han(word)
        return traits, 0, 0, content
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
    if capitals:
        traits += _IN_CAPITALS
    cased = capitals + sum(map(str.islower, plain))
    return traits, capitals, cased, "".join(filter(str.isalnum, normal.casefold())) or normal


def _read_han(text: str) -> tuple[int, str]:
    """The traits and the content of text in Han characters alone."""
    return _IS_HAN + _LAUGHS * laughs_in_script(text), text


def _read_ascii(word: str) -> Word:
    """The same, of a word in ASCII: most are, and they need no look at other scripts."""
    core = word.rstrip("!?.,")
    if core.isalnum() and core.islower():  # no emote: each has a capital or a mark
        traits = _EXCLAIMS if "!" in word else 0
        if token_laughs.__wrapped__(core):  # the word is remembered as a whole
            traits += _LAUGHS
        if core.isalpha():
            return traits, 0, len(core), core
        if laughs_in_thai(core):
            traits += _LAUGHS_IN_THAI
        return traits, 0, len(core.translate(_NO_ASCII_LETTERS)), core
    plain = without_emotes(word)
    traits = 0 if plain == word else _HAS_EMOTE
    if "!" in word:
        traits += _EXCLAIMS
    if laughs(word):
        traits += _LAUGHS
    if laughs_in_thai(word):
        traits += _LAUGHS_IN_THAI
    letters = plain.translate(_NO_ASCII_LETTERS)
    capitals = 0 if letters.islower() else sum(map(str.isupper, letters))
    if capitals:
        traits += _IN_CAPITALS
    return traits, capitals, len(letters), word.lower().translate(_ASCII_MARKS) or word


def _collapse_runs(contents: Sequence[str]) -> list[str]:
    """The contents of comments with each run of a character reduced to one, and without the marks between words."""
    if not contents:
        return []
    codes = np.frombuffer("\n".join(contents).encode("utf-32-le", "surrogatepass"), "<u4")
    kept = np.ones(len(codes), np.bool_)
    np.not_equal(codes[1:], codes[:-1], out=kept[1:])
    kept &= codes != ord(_BETWEEN_WORDS)
    kept |= codes == ord("\n")
    return codes[kept].tobytes().decode("utf-32-le", "surrogatepass").split("\n")
