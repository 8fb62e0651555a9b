"""A stand-in for yt-dlp, which cannot reach YouTube from a test. It writes a chat as `youtube_live_chat.py` there does.

Somebody says the number of each tenth of a second, counted from the epoch. Whoever joins hears the last 20 s again.
"""

import sys
from pathlib import Path

import pytest

_PROGRAM = r"""
import json, os, re, sys, time

url = sys.argv[-1]
name = sys.argv[sys.argv.index("--output") + 1] + ".live_chat.json"
part = name + ".part"


def line(number, **place):
    renderer = {"message": {"runs": [{"text": str(number)}]}, "authorName": {"simpleText": "mia"},
                "timestampUsec": str(number * 100_000)}
    action = {"addChatItemAction": {"item": {"liveChatTextMessageRenderer": renderer}}}
    live = {} if place else {"videoOffsetTimeMsec": str(number * 100 - began), "isLive": True}
    return json.dumps({"replayChatItemAction": {"actions": [action], **place}, **live}) + "\n"


began = int(time.time() * 1000)
if "/none" in url or ("/live" in url and "!is_live" in sys.argv):
    sys.exit()  # as for any page without a chat: "There are no subtitles for the requested languages", and 0
if "/gone" in url:
    sys.exit(f"ERROR: [youtube] abc: gone, see {url}")
with open(part, "ab" if os.path.exists(part) and os.path.getsize(part) else "wb") as file:
    if "/replay" in url:
        for second in (1, 31, 61):
            file.write(line(second, videoOffsetTimeMsec=str(second * 1000)).encode())
    else:
        with open(part + "-Frag1", "w") as fragment:
            fragment.write(str(os.getpid()))
        said = began // 100 - 200
        ends = re.search("for=(.+)", url)
        while not ends or time.time() < began / 1000 + float(ends[1]):
            while said * 100 <= time.time() * 1000:
                file.write(line(said).encode())
                said += 1
            file.flush()
            time.sleep(0.02)
        if "/killed" in url:
            file.write(line(said).encode()[:50])
            file.flush()
            os._exit(1)
os.rename(part, name)
"""


def install_chat_writer(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have this process and its children find the stand-in as `yt_dlp`."""
    package = folder / "yt_dlp"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "__main__.py").write_text(_PROGRAM)
    monkeypatch.syspath_prepend(folder)
    monkeypatch.setenv("PYTHONPATH", str(folder))
    monkeypatch.delitem(sys.modules, "yt_dlp", raising=False)
