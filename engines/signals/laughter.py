"""Who laughs, in the scripts and on the platforms that are read: one pattern over folded text.

Laughter is written by its sound (haha, 哈哈, ㅋㅋ, jaja, ахах, ههه), by letters that stand for it (lol, mdr, rsrs, www,
233), by emotes and by emoji. 呵呵 is left out: it sneers. 555 laughs in Thai alone (5 is said "ha"), and weeps in
Chinese; 666, 777 and 888 are praise and applause.
"""

import re
import unicodedata

LATIN = "|".join(
    (
        "[bmw]{0,2}a*(?:h+a+){2,}h*|(?:a+h+){2,}a*|(?:h+e+){2,}h*|(?:h+i+){2,}|h{3,}",
        "a*(?:j+a+){2,}j*|(?:j+e+){2,}j*|(?:j+i+){2,}j*|k{3,}|(?:rs){2,}|(?:hue){2,}|(?:wk){2,}",
        "(?:lo+)+l+z*|lmf?ao+|rofl+|roflmao|x+d+|mdr+|x?ptdr+|xswl",
        "lul+w?|kek+[wl]?|omegalul+|pepelaugh|4head|elegiggle|icant",
    )
)
LAUGHTER = re.compile(
    "|".join(
        (
            f"(?<![a-z0-9])(?:{LATIN})(?![a-z0-9])",
            r"(?<![\d.])23{2,}(?![\d.])",
            "哈{2,}|嘻{2,}|嘿{2,}|科科|顆顆|ㄏ{2,}|笑[死哭喷噴尿拉飞]|大笑|爆笑|[(（]笑[)）]|(?<![微可冷苦嘲傻玩])笑+$",
            "^草+[w!~。]*$|草生え|大草原|ワロタ|わろた",
            "\u110f{2,}|\u1112{2,}|ㅋ{2,}|ㅎ{2,}",  # NFKC makes leading consonants of the letters ㅋ and ㅎ
            r"(?<!\w)(?:[ао]*(?:х+[аеи]+){2,}х*|(?:а+х+){2,}а*)(?!\w)",
            "ه{3,}|خ{3,}|(?:ฮ่?า){2,}|ฮ่าๆ|ถ{3,}|ח{3,}|(?:हा){2,}|(?:χα){2,}",
            "[😂🤣😆😹]",
        )
    )
)
NOTED = r"[(\[*](?:laugh\w*|chuckl\w*|giggl\w*|笑声|笑聲|笑い声)[)\]*]"  # as subtitles tell of it
SPOKEN = re.compile(rf"{LAUGHTER.pattern}|{NOTED}|(?<!\w)h[ae](?:[ ,-]+h[ae])+(?!\w)")
# Japanese: small letters, for WWW is praise in English (a win). One is enough behind kana.
W_LAUGHTER = re.compile(
    "(?<![A-Za-z0-9])[wｗ]{3,}(?![A-Za-z0-9.])|(?<=[\u4e00-\u9fff])[wｗ]{2,}|(?<=[\u3040-\u30ff])[wｗ]+(?!\\w)"
)
# What a channel calls its own emote: a prefix of its own, then its name.
CHANNEL_EMOTE = re.compile(
    r"(?<![A-Za-z0-9])[a-z][a-z0-9]{2,9}(?:OMEGALUL|LULW?|KEKW?|LOL|LMAO|X[Dd]|L[Aa][Uu][Gg][Hh])\b"
)
THAI_LAUGHTER = re.compile(r"(?<!\d)5{3,}(?!\d)")
THAI = re.compile("[\u0e00-\u0e7f]")


def fold(text: str) -> str:
    """Without differences of case and width."""
    return (text if text.isascii() else unicodedata.normalize("NFKC", text)).casefold()


def laughs(text: str, folded: str) -> bool:
    """Whether a comment laughs; `folded` is `fold(text)`. 555 counts beside Thai letters, else ask `laughs_in_thai`."""
    return bool(
        LAUGHTER.search(folded)
        or W_LAUGHTER.search(text)
        or CHANNEL_EMOTE.search(text)
        or (laughs_in_thai(folded) and THAI.search(folded) is not None)
    )


def laughs_in_thai(folded: str) -> bool:
    """Whether it laughs if those who write are Thai."""
    return "555" in folded and THAI_LAUGHTER.search(folded) is not None


def count_laughs(transcript: str) -> int:
    """Laughs in what was said: haha or (laughter), each run once."""
    return sum(1 for _ in SPOKEN.finditer(fold(transcript)))
