"""The kinds of files that are mutated: a valid one of each, and the function of kuaihl that reads it."""

import gzip
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from support.media import make
from support.small_bundle import make_bundle
from support.small_graphs import small_graph, write_onnx

from kuaihl.engines.archive.manifest import read_archive
from kuaihl.engines.comments.followed import FollowedComments
from kuaihl.engines.comments.reader import read_comment_file
from kuaihl.engines.datasets.cut_files import MediaClock, read_spans
from kuaihl.engines.ingest.opening import open_source
from kuaihl.engines.ingest.packets import packets
from kuaihl.engines.runtimes.compiled import facts_file, read_facts
from kuaihl.engines.runtimes.onnx_runtime import OnnxRuntime
from kuaihl.models.bundle import load_bundle
from kuaihl_cli.config import _read_config

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
_COMMENTS = {
    "xml": _XML.encode("gbk"),
    "youtube": _YOUTUBE.encode() * 3,
    "twitch": _TWITCH.encode(),
    "chat-downloader": _CHAT.encode() * 3,
    "csv": b'author.name,message,message_type,time_in_seconds\na,"hi, ho",text_message,1.5\n' * 2,
    "ours": b'{"time": 1.5, "text": "hi", "kind": "gift", "value": 5}\n{"text": "now"}\n',
    "gzip": gzip.compress(_TWITCH.encode()),
}


def _time_range(start: float, duration: float) -> dict[str, Any]:
    times = [{"OTIO_SCHEMA": "RationalTime.1", "rate": 25.0, "value": value} for value in (start, duration)]
    return {"OTIO_SCHEMA": "TimeRange.1", "start_time": times[0], "duration": times[1]}


_CLIP = {
    "OTIO_SCHEMA": "Clip.1",
    "name": "good",
    "source_range": _time_range(750, 250),
    "media_reference": {"OTIO_SCHEMA": "ExternalReference.1", "target_url": "file:///a/demo.flv"},
}
_TRACK = {"OTIO_SCHEMA": "Track.1", "kind": "Video", "children": [_CLIP]}
_OTIO = {"OTIO_SCHEMA": "Timeline.1", "name": "t", "tracks": {"OTIO_SCHEMA": "Stack.1", "children": [_TRACK]}}
_CUTS = {  # by suffix
    ".edl": b"TITLE: a\nFCM: NON-DROP FRAME\n001  AX V C 00:00:01:00 00:00:05:00 00:00:00:00 00:00:04:00\n"
    b" |C:ResolveColorBlue |M:a goal |D:250\n",
    ".llc": b"{version: 2, mediaFileName: 'demo.flv', cutSegments: [{start: 30, end: 60.5, name: 'good'}, {end: 10}]}",
    ".otio": json.dumps(_OTIO).encode(),
    ".csv": b'start,end,name\n0,10,first\n1:10,14:02.330,"another, quoted"\n',
    ".tsv": b"0\t10\tfirst\n00:01:10:00\t842.33\tanother\n",
    ".ffmetadata": b";FFMETADATA1\n[CHAPTER]\nTIMEBASE=1/1000\nSTART=30000\nEND=60000\ntitle=goal\n",
    ".chapters.txt": b"0:00 start\n1:30 a goal\n2:10:00 end\n",
}
_PLAYLIST = (
    b"#EXTM3U\n#EXT-X-VERSION:3\n#EXT-X-TARGETDURATION:2\n#EXT-X-MEDIA-SEQUENCE:7\n#EXTINF:1.000,\npiece.ts\n"
    b"#EXT-X-DISCONTINUITY\n#EXTINF:1.000,\n#EXT-X-BYTERANGE:9400@0\npiece.ts\n#EXT-X-ENDLIST\n"
)
_MANIFEST = b'# rooms\none.flv\nrtmp://host/live/two?token=1\n{"source": "a.flv", "id": "x", "cuts": "b.edl"}\n'
_CONFIG = b'[score]\ndevice = "cpu"\nsegment-seconds = 2.5\n[dataset.build]\nasr = "none"\n'


def make_valid(folder: Path) -> dict[str, bytes]:
    """A valid file of each kind, by the kind's name; what lies in `folder` is for `places`."""
    found = {f"comments, {name}": content for name, content in _COMMENTS.items()}
    found |= {f"followed, {name}": content for name, content in _COMMENTS.items()}
    found |= {f"cuts, {suffix}": content for suffix, content in _CUTS.items()}
    for suffix in ("flv", "mp4", "ts", "mkv"):
        found[f"media, {suffix}"] = make(folder / f"valid.{suffix}", seconds=1.0).read_bytes()
    found["media, m3u8"] = _PLAYLIST  # its piece lies beside it, valid
    make_bundle(folder / "bundle", seed=0)
    graph = write_onnx(folder / "bundle", small_graph("vision"))
    return found | {
        "bundle.json": (folder / "bundle" / "bundle.json").read_bytes(),
        "ONNX": graph.read_bytes(),
        "facts beside ONNX": facts_file(graph).read_bytes(),
        "manifest": _MANIFEST,
        "configuration": _CONFIG,
    }


def places(folder: Path, made: Path) -> dict[str, tuple[Path, Read]]:
    """By kind, where its mutations are written below `folder`, and what reads them; `made` is `make_valid`'s."""
    shutil.copytree(made / "bundle", folder / "bundle")
    (graph,) = (folder / "bundle").rglob("*.onnx")
    found: dict[str, tuple[Path, Read]] = {}
    for name in _COMMENTS:
        found[f"comments, {name}"] = folder / "comments.any", read_comment_file
        found[f"followed, {name}"] = folder / "followed.any", _follow
    for suffix in _CUTS:
        found[f"cuts, {suffix}"] = folder / f"cuts{suffix}", lambda path: read_spans(path, MediaClock(25.0))
    for suffix in ("flv", "mp4", "ts", "mkv"):
        found[f"media, {suffix}"] = folder / f"media.{suffix}", _read_media
    shutil.copy(made / "valid.ts", folder / "piece.ts")
    found["media, m3u8"] = folder / "media.m3u8", _read_media
    return found | {
        "bundle.json": (folder / "bundle" / "bundle.json", lambda path: load_bundle(path.parent).network()),
        "ONNX": (folder / "graph.onnx", _run_onnx),
        "facts beside ONNX": (facts_file(graph), lambda path: read_facts(path.with_suffix(".onnx"))),
        "manifest": (folder / "rooms.txt", lambda path: read_archive(path, folder / "out")),
        "configuration": (folder / "config.toml", _read_config),
    }


def _read_media(path: Path) -> None:
    with open_source(str(path)) as source:
        for _ in packets(source):
            pass


def _follow(path: Path) -> None:
    feed = FollowedComments(path)
    feed.take(0, 30)
    feed.take_events(0)


def _run_onnx(path: Path) -> None:
    """As a bundle's graph is run if the SHA-256 beside it is that of a hostile file."""
    runtime = OnnxRuntime(path.read_bytes(), str(path), threads=1)
    runtime.run(torch.zeros(2, 3, 32, 32, dtype=torch.uint8))
