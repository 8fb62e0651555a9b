"""YouTube's live chat: yt-dlp's `*.live_chat.json`, replay or live capture, and the web client's own responses.

All three carry the same renderers inside `replayChatItemAction`; they differ in where the offset stands. That of a live
capture counts from the capture's start.
"""

import re
from collections.abc import Iterator
from typing import TextIO

from kuaihl.engines.comments.formats.comment_format import (
    CommentFormat,
    make_comment,
    parse_amount,
    parse_moment,
    parse_seconds,
)
from kuaihl.engines.comments.json_stream import BAD, dig, json_values
from kuaihl.engines.types import Comment

_MARKS = ('"replayChatItemAction"', '"liveChatContinuation"')

# The renderers of messages. Other items are not: a placeholder for one held back, system notices, the poll's box.
_MESSAGE = "liveChatTextMessageRenderer"
_PAID = "liveChatPaidMessageRenderer"
_STICKER = "liveChatPaidStickerRenderer"
_MEMBER = "liveChatMembershipItemRenderer"
_GIFTED = "liveChatSponsorshipsGiftPurchaseAnnouncementRenderer"


# A price in any language: groups of three digits, and one or two digits after the last separator if there are cents.
_AMOUNT = re.compile(r"(?P<whole>[0-9]+(?:[.,\s'][0-9]{3})*)(?:[.,](?P<cents>[0-9]{1,2})(?![0-9]))?")

_CLOCK = re.compile(r"(?:[0-9]{1,5}:){0,2}[0-9]{1,5}")  # hours, minutes, seconds


def _recognises(head: str) -> bool:
    return head.lstrip()[:1] == "{" and any(mark in head for mark in _MARKS)


def read(stream: TextIO, *, by_wall_clock: bool = False) -> Iterator[Comment | None]:
    """The messages; `by_wall_clock`, those of a live capture have the seconds since the epoch as their time."""
    for value in json_values(stream):
        if value is BAD:
            yield None
            continue
        page = dig(value, "continuationContents", "liveChatContinuation", "actions")
        for entry in page if isinstance(page, list) else [value]:
            yield from _parse_entry(entry, by_wall_clock and dig(entry, "isLive") is True)


def _parse_entry(entry: object, by_wall_clock: bool) -> Iterator[Comment | None]:
    """The comments of one entry: most hold one action, and most actions that are not messages hold none."""
    replay = dig(entry, "replayChatItemAction")
    offset = dig(replay, "videoOffsetTimeMsec") or dig(entry, "videoOffsetTimeMsec")
    actions = dig(replay, "actions")
    for action in actions if isinstance(actions, list) else []:
        item = dig(action, "addChatItemAction", "item")
        if isinstance(item, dict):
            for name, renderer in item.items():
                said = parse_moment(dig(renderer, "timestampUsec"), 1e-6) if by_wall_clock else None
                yield from _parse_message(name, renderer, parse_seconds(offset, 0.001) if said is None else said)


def _parse_message(name: str, renderer: object, time: float | None) -> Iterator[Comment | None]:
    author = dig(renderer, "authorName", "simpleText")
    if (shown := _before_start(dig(renderer, "timestampText", "simpleText"))) is not None:
        time = shown
    words = _text_of(dig(renderer, "message"))
    price = dig(renderer, "purchaseAmountText", "simpleText")
    value = _price_of(price)
    if name in (_MESSAGE, _PAID, _MEMBER) and words:
        yield make_comment(time, words, author, value=value)
    elif name == _PAID:
        yield make_comment(time, price, author, "gift", value)
    elif name == _STICKER:
        label = dig(renderer, "sticker", "accessibility", "accessibilityData", "label")
        yield make_comment(time, label, author, "gift", value)
    elif name == _MEMBER:
        welcome = _text_of(dig(renderer, "headerSubtext")) or _text_of(dig(renderer, "headerPrimaryText"))
        yield make_comment(time, welcome, author, "join")
    elif name == _GIFTED:
        header = dig(renderer, "header", "liveChatSponsorshipsHeaderRenderer")
        yield make_comment(time, _text_of(dig(header, "primaryText")), dig(header, "authorName", "simpleText"), "gift")


def _price_of(shown: object) -> float | None:
    """The number in "CA$5.00", "¥1,000" or "5,00 €", whatever the currency; None if there is none."""
    found = _AMOUNT.search(shown) if isinstance(shown, str) else None
    if found is None:
        return None
    return parse_amount(re.sub("[^0-9]", "", found["whole"]) + "." + (found["cents"] or "0"))


def _text_of(message: object) -> str:
    """Runs of text and emoji as one string; a channel's own emoji is named by its shortcut, `:wave:`."""
    simple = dig(message, "simpleText")
    if isinstance(simple, str):
        return simple
    runs = dig(message, "runs")
    words = []
    for run in runs if isinstance(runs, list) else []:
        custom = dig(run, "emoji", "isCustomEmoji") is True
        word = dig(run, "text") or dig(run, "emoji", *(("shortcuts", 0) if custom else ("emojiId",)))
        words.append(word if isinstance(word, str) else "")
    return "".join(words)


def _before_start(shown: object) -> float | None:
    """-65 for "-1:05", written while viewers waited. Their offset is 0, which would make a crowd at the start."""
    if not isinstance(shown, str) or shown[:1] not in ("-", "\u2212"):
        return None
    if not _CLOCK.fullmatch(shown[1:]):
        return None
    fields = reversed(shown[1:].split(":"))
    return -float(sum(int(field) * 60**place for place, field in enumerate(fields)))


FORMAT = CommentFormat("yt-dlp live_chat.json", _recognises, read)
