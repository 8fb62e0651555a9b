"""One file per comment format; a new one is a file that makes a CommentFormat, and one line below."""

from kuaihl.engines.comments.formats import ass, bilibili, chat_downloader, jsonl, twitch, youtube

FORMATS = (
    bilibili.FORMAT,
    youtube.FORMAT,
    ass.FORMAT,
    twitch.FORMAT,
    chat_downloader.FORMAT,
    chat_downloader.FORMAT_CSV,
    jsonl.FORMAT,
)
LIVE_FORMATS = (jsonl.FORMAT, youtube.FORMAT, chat_downloader.FORMAT)  # lines of JSON, which can be followed live
