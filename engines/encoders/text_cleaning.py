"""Chat and speech as text for an encoder: emoji spelled out or gone, repeats cut, noise gone (DESIGN section 4).

The paper removes emoticons and suppresses duplicates (supplement, section I-A): the paper profile has `spell_out`
False. With `spell_out`, as in the edge profile, emoji and slang of feeling become words: chat_words.py gives the gain.

`clean` works on one message or transcript; `join_comments` makes one text of a segment's comments, within a limit.
"""

import re
import unicodedata
from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache

from kuaihl.engines.encoders.chat_words import (
    APPLAUSE,
    BRACKETED,
    EMOJI,
    EMOJI_PATTERN,
    EMOTICONS,
    KAOMOJI,
    MODIFIERS,
    SHORTCUT,
    SLANG,
)
from kuaihl.engines.types import Comment

_MAX_CHARACTERS = 4_000  # of one text; 30 s of the fastest speech is under 700
COMMENT_TOKENS = 97  # the room for comments in the encoder's sentence pair
_LONGEST_SHARE = 4  # a comment takes at most one part in this many of the limit: one pasted essay is not the crowd
_SEPARATOR = "; "

URL = re.compile(r"(?:https?://|www\.)[!-~]+", re.IGNORECASE)
_ZALGO = re.compile("[\u0300-\u036f]+")  # accents that composing left over
_PICTURES = ("So", "Sk", "Co", "Cn")  # Unicode categories: symbols, private glyphs, unassigned
_CJK = re.compile("[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af\uf900-\ufaff]")

_SAME_SIGN = re.compile(r"([^\w\s])\1+")  # !!!!
_SAME_LETTER = re.compile(r"([^\W\d_])\1{2,}")  # soooo, 哈哈哈哈
_SAME_DIGIT = re.compile(r"(?<!\d)(\d)\1{4,}(?!\d)")  # 1111111; 10000 and 9999 are numbers
_SAME_GROUP = re.compile(r"([^\W\d_]{2,8}?)\1{2,}")  # 加油加油加油
_SAME_WORDS = re.compile(r"\b(\w+(?: \w+){0,4})(?:[\s,.;!?，。！？、]+\1\b){2,}", re.IGNORECASE)  # no, no, no


@lru_cache(maxsize=8192)
def clean(text: str, spell_out: bool = True) -> str:
    """One message or transcript without the parts that an encoder cannot use; "" if nothing is left.

    Emoji, emotes, emoticons and slang of feeling become words; without `spell_out` the first three go and slang stays.
    Other pictures, links and control characters go. Repeats are cut, so that soooo and sooooooo become one.
    """
    text = KAOMOJI.sub(" ", MODIFIERS.sub("", text[:_MAX_CHARACTERS]))
    text = URL.sub(" ", _ZALGO.sub("", unicodedata.normalize("NFKC", text)))
    text = _with_feelings_in_words(text) if spell_out else _without_emoticons(text)
    text = " ".join("".join(map(_replace_unprintable, text)).split())
    if spell_out:
        text = _with_slang_in_words(text)
    text = _squeeze(text)
    return text if any(character.isalnum() for character in text) or "?" in text else ""


def _with_feelings_in_words(text: str) -> str:
    """`text` with words in place of emoji and emoticons, and the names of emotes without their marks."""
    text = EMOJI_PATTERN.sub(lambda match: f" {EMOJI[match[0]]} ", text)
    text = SHORTCUT.sub(lambda match: f" {re.sub('[-_]+', ' ', match[1])} ", BRACKETED.sub(r" \1 ", text))
    for pattern, word in EMOTICONS:
        text = pattern.sub(f" {word} ", text)
    return text


def _without_emoticons(text: str) -> str:
    """`text` without emotes, emoticons, and the emoji that `_replace_unprintable` does not take for pictures."""
    for pattern in (EMOJI_PATTERN, BRACKETED, SHORTCUT, *(pattern for pattern, _ in EMOTICONS)):
        text = pattern.sub(" ", text)
    return text


def _with_slang_in_words(text: str) -> str:
    if APPLAUSE.fullmatch(text):
        return "鼓掌"
    for pattern, word in SLANG:
        text = pattern.sub(word, text)
    return text


def _replace_unprintable(character: str) -> str:
    """The character, or a space if it is a picture, a control or invisible."""
    return character if character.isprintable() and unicodedata.category(character) not in _PICTURES else " "


def _squeeze(text: str) -> str:
    """`text` without repeats: one of a sign stays, two of a letter, one of a group or a few words."""
    text = _SAME_LETTER.sub(r"\1\1", _SAME_DIGIT.sub(r"\1", _SAME_SIGN.sub(r"\1", text)))
    return _SAME_WORDS.sub(r"\1", _SAME_GROUP.sub(r"\1", text)).strip()


def join_comments(
    comments: Iterable[Comment], limit: int = COMMENT_TOKENS, count: "Callable[[str], int] | None" = None
) -> str:
    """The comments of one segment, in order of time, as one text of at most `limit` tokens; "" if nobody wrote.

    Gifts appear by name; likes and joins are left out, for they say nothing about the picture. `count` gives the
    number of tokens in a text; without it they are estimated, on the high side.
    """
    written = (comment for comment in comments if comment.kind in ("chat", "gift"))
    return join_texts([comment.text for comment in sorted(written, key=lambda comment: comment.time)], limit, count)


def join_texts(
    texts: Sequence[str],
    limit: int = COMMENT_TOKENS,
    count: "Callable[[str], int] | None" = None,
    *,
    spell_out: bool = True,
) -> str:
    """As `join_comments`, for texts in order of time; `spell_out` as in `clean`.

    Texts of the same letters appear once. If not all fit, they are taken evenly over the segment. So a burst, or a text
    that many wrote, has its share, and the end counts as much as the start.
    """
    count = count or estimated_tokens
    cleaned = [clean(text, spell_out) for text in texts]
    chosen: dict[str, int] = {}  # its letters -> its place
    left = limit
    share = limit // _LONGEST_SHARE if len(texts) > 1 else limit
    for place in spread_order(len(cleaned)):
        text = cleaned[place]
        key = "".join(filter(str.isalnum, text)).casefold() or text
        if not text:
            continue
        if key in chosen:
            chosen[key] = min(chosen[key], place)
            continue
        cost = count(text) + (count(_SEPARATOR) if chosen else 0)
        if cost > share:
            text = _cut_to(text, share, count)
            cost = count(text) + (count(_SEPARATOR) if chosen else 0)
            cleaned[place] = text
        if text and cost <= left:
            chosen[key] = place
            left -= cost
        if left <= count(_SEPARATOR):
            break
    return _SEPARATOR.join(cleaned[place] for place in sorted(chosen.values()))


def spread_order(n: int) -> Iterable[int]:
    """0 to n - 1, each once, with the bits of a counter reversed: every beginning of this order is spread over all."""
    bits = max(n - 1, 0).bit_length()
    for i in range(1 << bits):
        place = int(f"{i:0{bits}b}"[::-1], 2) if bits else 0
        if place < n:
            yield place


def _cut_to(text: str, tokens: int, count: Callable[[str], int]) -> str:
    """The longest beginning of `text` that has at most `tokens` tokens, by halving."""
    low, high = 0, len(text)
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if count(text[:middle]) <= tokens else (low, middle - 1)
    return text[:low].rstrip()


def estimated_tokens(text: str) -> int:
    """One token per Chinese, Japanese or Korean character, and one per three others in a word, rounded up."""
    wide = len(_CJK.findall(text))
    return wide + sum(-(-len(word) // 3) for word in _CJK.sub(" ", text).split())
