"""Twitch: TwitchDownloader's chat JSON (version 1.4 and older), and the platform's own comment objects.

`content_offset_seconds` counts from the start of the whole video, even in a cropped chat.
"""

from collections.abc import Iterator
from typing import TextIO

from kuaihl.engines.comments.formats.comment_format import CommentFormat, make_comment, parse_amount, parse_seconds
from kuaihl.engines.comments.json_stream import dig, json_values
from kuaihl.engines.types import Comment, CommentKind

_GIFTS = ("sub", "resub", "subgift", "anonsubgift", "submysterygift", "giftpaidupgrade", "primepaidupgrade")


def _recognises(head: str) -> bool:
    # The header of a chat with many chapters may fill the head, so that no comment shows in it.
    return head.lstrip()[:1] in ("{", "[") and (
        '"content_offset_seconds"' in head or ('"streamer"' in head and '"video"' in head)
    )


def _read(stream: TextIO) -> Iterator[Comment | None]:
    for comment in json_values(stream, array="comments"):
        message = dig(comment, "message")
        author = dig(comment, "commenter", "display_name") or dig(comment, "commenter", "name")
        time = parse_seconds(dig(comment, "content_offset_seconds"))
        yield make_comment(time, _body_of(message), author, _kind_of(message), parse_amount(dig(message, "bits_spent")))


def _body_of(message: object) -> object:
    body = dig(message, "body")
    if isinstance(body, str) and body.strip():
        return body
    fragments = dig(message, "fragments")
    texts = [dig(fragment, "text") for fragment in fragments] if isinstance(fragments, list) else []
    return "".join(text for text in texts if isinstance(text, str))


def _kind_of(message: object) -> CommentKind:
    """A cheer with bits stays chat: its words are the viewer's own."""
    notice = dig(message, "user_notice_params", "msg_id") or dig(message, "user_notice_params", "msg-id")
    if notice in _GIFTS:
        return "gift"
    return "join" if notice == "raid" else "chat"


FORMAT = CommentFormat("TwitchDownloader JSON", _recognises, _read)
