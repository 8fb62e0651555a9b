"""Mutated input files of every kind: each is read or refused in one line, in bounded time and memory."""

import gzip
import random
import resource
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from support.media import make
from support.small_bundle import make_bundle

from fault_campaign.result import Figure, Plan, Result
from kuaihl.engines.archive.manifest import read_archive
from kuaihl.engines.comments.followed import FollowedComments
from kuaihl.engines.comments.reader import read_comment_file
from kuaihl.engines.datasets.cut_files import MediaClock, read_spans
from kuaihl.engines.ingest.opening import open_source
from kuaihl.engines.ingest.packets import packets
from kuaihl.models.bundle import load_bundle
from kuaihl.models.errors import KuaihlError
from kuaihl_cli.config import _read_config

SECONDS, MEGABYTES = 10.0, 500  # of one input; processor time, for other work may share the machine

Read = Callable[[Path], object]

_XML = (
    '<?xml version="1.0" encoding="GBK"?><i><d p="1.5,1,25,16777215,1625832232,0,a,1">hi &amp; ho</d>'
    '<sc ts="3" user="u" price="30">super</sc><gift ts="4" user="u" giftname="g"/></i>'
)
_YOUTUBE = (
    '{"replayChatItemAction":{"videoOffsetTimeMsec":"1500","actions":[{"addChatItemAction":{"item":'
    '{"liveChatPaidMessageRenderer":{"message":{"runs":[{"text":"hi"},{"emoji":{"emojiId":"x"}}]},'
    '"timestampText":{"simpleText":"-1:05"},"purchaseAmountText":{"simpleText":"$5.00"}}}}}]}}\n'
)
_TWITCH = (
    '{"streamer":{"name":"s"},"video":{"start":0},"comments":[{"content_offset_seconds":1.5,"commenter":{"name":"a"},'
    '"message":{"body":"hi","bits_spent":5,"fragments":[{"text":"hi"}]}}],"embeddedData":{}}'
)
_CHAT = '{"message":"hi","message_type":"paid_message","time_in_seconds":1.5,"money":{"text":"$5","amount":5}}\n'
COMMENTS = {
    "xml": _XML.encode("gbk"),
    "youtube": _YOUTUBE.encode() * 3,
    "twitch": _TWITCH.encode(),
    "chat-downloader": _CHAT.encode() * 3,
    "csv": b'author.name,message,message_type,time_in_seconds\na,"hi, ho",text_message,1.5\n' * 2,
    "ours": b'{"time": 1.5, "text": "hi", "kind": "gift", "value": 5}\n{"text": "now"}\n',
    "gzip": gzip.compress(_TWITCH.encode()),
}
_EDL = b"TITLE: a\nFCM: NON-DROP FRAME\n001  AX V C 00:00:01:00 00:00:05:00 00:00:00:00 00:00:04:00\n"
MANIFEST = b'# rooms\none.flv\nrtmp://host/live/two?token=1\n{"source": "a.flv", "id": "x", "cuts": "b.edl"}\n'
CONFIG = b'[score]\ndevice = "cpu"\nsegment-seconds = 2.5\n[dataset.build]\nasr = "none"\n'
_TOKENS = (
    b"\0",
    b"[",
    b"{",
    b'"',
    b"<",
    b"&",
    b"\xff",
    b"\n",
    b"-",
    b"9" * 400,
    b"1e999",
    b"null",
    b"[" * 3000,
    b"../",
)


def mutated(data: bytes, chance: random.Random) -> bytes:
    """One to eight changes: bits, bytes, repeats, cuts, moves and tokens that parsers stumble over."""
    found = bytearray(data)
    for _ in range(chance.randint(1, 8)):
        at = chance.randrange(len(found) + 1)
        end = min(len(found), at + chance.choice((1, 2, 4, 16, 256)))
        match chance.randrange(6):
            case 0 if at < len(found):
                found[at] ^= 1 << chance.randrange(8)
            case 1:
                found[at:end] = chance.randbytes(end - at)
            case 2:
                found[at:at] = found[at:end] * chance.choice((1, 2, 50))
            case 3:
                del found[at:end]
            case 4:
                found[at:at] = chance.choice(_TOKENS)
            case _:
                found[at:end] = (2 ** chance.choice((7, 15, 31)) - 1).to_bytes(4, chance.choice(("big", "little")))
    return bytes(found[: chance.randrange(len(found) + 1)] if chance.random() < 0.1 else found)


def _read_media(path: Path) -> None:
    with open_source(str(path)) as source:
        for _ in packets(source):
            pass


def _follow(path: Path) -> None:
    feed = FollowedComments(path)
    feed.take(0, 30)
    feed.take_events(0)


def _inputs(folder: Path) -> dict[str, tuple[bytes, Path, Read]]:
    """By kind: a valid file's content, where its mutations are written, and what reads them."""
    folder.mkdir(parents=True, exist_ok=True)
    found: dict[str, tuple[bytes, Path, Read]] = {}
    for name, content in COMMENTS.items():
        found[f"comments, {name}"] = content, folder / "comments.any", read_comment_file
        found[f"followed, {name}"] = content, folder / "followed.any", _follow
    for suffix in ("flv", "mp4", "ts", "mkv"):
        media = make(folder / f"valid.{suffix}", seconds=1.0)
        found[f"media, {suffix}"] = media.read_bytes(), folder / f"media.{suffix}", _read_media
    make_bundle(folder / "bundle", seed=0)
    facts = folder / "bundle" / "bundle.json"
    found["bundle.json"] = facts.read_bytes(), facts, lambda path: load_bundle(path.parent).network()
    found["cuts"] = _EDL, folder / "cuts.edl", lambda path: read_spans(path, MediaClock(25.0))
    found["manifest"] = MANIFEST, folder / "rooms.txt", lambda path: read_archive(path, folder / "out")
    found["configuration"] = CONFIG, folder / "config.toml", _read_config
    return found


def run(plan: Plan) -> Result:
    chance = random.Random(plan.seed)
    inputs = _inputs(plan.folder)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    for content, path, read in inputs.values():  # what is loaded once does not count
        path.write_bytes(content)
        with suppress(KuaihlError):  # of some, nothing can be followed
            read(path)
    outcomes: Counter[str] = Counter()
    failures: list[str] = []
    longest, began = 0.0, time.process_time()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10
    for _ in range(plan.faults):
        kind = chance.choice(list(inputs))
        content, path, read = inputs[kind]
        path.write_bytes(mutated(content, chance))
        at = time.process_time()
        try:
            read(path)
            outcomes["read"] += 1
        except KuaihlError as error:
            outcomes["refused"] += 1
            if "\n" in str(error):
                failures.append(f"{kind}: more than one line: {error!s:.200}")
        except Exception as error:
            failures.append(f"{kind}: {type(error).__name__}: {error!s:.200}; {path.read_bytes()[:200]!r}")
        longest = max(longest, time.process_time() - at)
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10) - before
    seconds = time.process_time() - began
    figures = (
        Figure("read", outcomes["read"]),
        Figure("refused in one line", outcomes["refused"]),
        Figure("longest input", round(longest, 2), "s of processor time", SECONDS),
        Figure("memory that all of them added", grown, "MB", MEGABYTES),
        Figure("inputs per second of processor time", round(plan.faults / max(seconds, 1e-9))),
    )
    return Result(plan.faults, plan.faults - len(failures), figures, tuple(failures[:20]))
