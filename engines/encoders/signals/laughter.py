"""Finds laughter, in the scripts and on the platforms that are read.

Laughter is written by its sound (haha, 哈哈, ㅋㅋ, jaja, ахах, ههه) or by letters that stand for it (lol, mdr, rsrs,
www, 233). Emotes and emoji laugh as well. 呵呵 is left out: it sneers. 555 laughs only in Thai (5 is pronounced "ha"),
and weeps in Chinese. 666, 777 and 888 are praise and applause, and WWW in capitals is praise in English (a win).
"""

import re
from functools import lru_cache

# By the first letter, for most words of a chat begin with another or fail at the next.
_LATIN = {
    first: re.compile(pattern)
    for letters, pattern in {
        "a": "a+(?:h+a+){2,}h*|(?:a+h+){2,}a*|a+(?:j+a+){2,}j*",
        "bm": "[bm]w?a+(?:h+a+){2,}h*|mdr+",
        "h": "(?:h+a+){2,}h*|(?:h+e+){2,}h*|(?:h+i+){2,}|(?:hue){2,}|h{3,}",
        "j": "(?:j+a+){2,}j*|(?:j+e+){2,}j*|(?:j+i+){2,}j*",
        "k": "k{3,}|kek+[wl]?",
        "l": "(?:lo+)+l+z*|lmf?ao+|lul+w?",
        "r": "rofl+|roflmao+|(?:rs){2,}",
        "px": "x?ptdr+|pepelaugh|x+d+|xswl",
        "w": "(?:wk){2,}",
        "o": "omegalul+",
        "2": "23{2,}",
        "4ei": "4head|elegiggle|icant",
    }.items()
    for first in letters
}
_SMALL_W = re.compile("w{3,}")
# A channel's own emote: the channel's prefix, then the emote's name.
_CHANNEL_EMOTE = re.compile("[a-z][a-z0-9]{2,9}(?:OMEGALUL|LULW?|KEKW?|LOL|LMAO|X[Dd]|L[Aa][Uu][Gg][Hh])")
_TOKEN = re.compile(r"[A-Za-z0-9]+(?:\.[A-Za-z0-9]+)*")  # 233.5 is a number and www.x.com an address

_OTHER_SCRIPTS = re.compile(
    "|".join(
        (
            "哈{2,}|嘻{2,}|嘿{2,}|科科|顆顆|ㄏ{2,}|笑[死哭喷噴尿拉飞]|大笑|爆笑|[(（]笑[)）]|(?<![微可冷苦嘲傻玩])笑+$",
            "^草+[w!~。]*$|草生え|大草原|ワロタ|わろた",
            "(?<=[\u4e00-\u9fff])ww+|(?<=[\u3040-\u30ff])w+(?![A-Za-z0-9])",
            "[\u110fㅋ]{2,}|[\u1112ㅎ]{2,}",  # NFKC makes leading consonants of the letters ㅋ and ㅎ
            r"(?<!\w)(?:[АОао]*(?:[Хх]+[АЕИаеи]+){2,}[Хх]*|(?:[Аа]+[Хх]+){2,}[Аа]*)(?!\w)",
            "ه{3,}|خ{3,}|(?:ฮ่?า){2,}|ฮ่าๆ|ถ{3,}|ח{3,}|(?:हा){2,}|(?:χα){2,}",
            "[😂🤣😆😹]",
        )
    )
)
_HINT = re.compile(
    "[哈嘻嘿科顆ㄏ笑草ワわw\u110fㅋ\u1112ㅎХхهخฮถחहχ😂🤣😆😹]"
)  # every match of OTHER_SCRIPTS has one of them
_THAI_LAUGHTER = re.compile(r"(?<!\d)5{3,}(?!\d)")
_NOTED = re.compile(
    r"[(\[*](?:laugh\w*|chuckl\w*|giggl\w*|笑声|笑聲|笑い声)[)\]*]", re.IGNORECASE
)  # as subtitles write it
# Its first letter stands first, where the search skips to it, which it cannot if cases are ignored.
_HA_HA = re.compile(r"[Hh](?<!\w[Hh])[AaEe](?:[ ,-]+[Hh][AaEe])+(?!\w)")


def laughs(text: str) -> bool:
    """Whether a word, or a run of words without spaces, is laughter; it must be in NFKC, not case-folded."""
    if not text.isascii() and laughs_in_script(text):
        return True
    return any(map(token_laughs, _TOKEN.findall(text)))


def laughs_in_script(text: str) -> bool:
    """Whether `text`, in NFKC, has laughter that is not written in Latin letters and digits."""
    return _HINT.search(text) is not None and _OTHER_SCRIPTS.search(text) is not None


@lru_cache(maxsize=4096)
def token_laughs(token: str) -> bool:
    """Whether a token of Latin letters and digits is laughter."""
    small = token.lower()
    spelling = _LATIN.get(small[0])
    return (
        (spelling is not None and spelling.fullmatch(small) is not None)
        or (small != token and _CHANNEL_EMOTE.fullmatch(token) is not None)
        or (token[0] == "w" and _SMALL_W.fullmatch(token) is not None)
    )


def laughs_in_thai(text: str) -> bool:
    """Whether `text` is laughter if its writers are Thai."""
    return "555" in text and _THAI_LAUGHTER.search(text) is not None


def count_laughs(transcript: str) -> int:
    """The number of laughs in a transcript, each run once: haha, ha ha, or (laughter)."""
    found = sum(map(token_laughs, _TOKEN.findall(transcript)))
    found += len(_HA_HA.findall(transcript))
    found += len(_NOTED.findall(transcript))
    if not transcript.isascii() and _HINT.search(transcript):
        found += len(_OTHER_SCRIPTS.findall(transcript))
    return found
