"""Emoji, emoticons, emotes and chat slang, and the words for them.

A text encoder places emoji near other emoji and slang near nothing. Measured with multilingual-e5-small (cosine): 😂
is nearer to 😭 (0.93) than to "haha" (0.90); 666 is as near to "applause" as to "awesome" (0.82 both); KEKW is nearer
to "applause" (0.82) than to "haha" (0.80). It does tell the words themselves apart, in all its languages: "haha" and
哈哈 0.94. So signs that carry a feeling are spelled out, and the others are dropped.
"""

import re

_LAUGH, _CRY, _LOVE, _WOW, _CLAP, _ANGRY, _SAD = "haha", "crying", "love", "wow", "applause", "angry", "sad"

EMOJI = {
    **dict.fromkeys("😂🤣😆😹😄😁😅😀😃", _LAUGH),
    **dict.fromkeys("😭😢😿", _CRY),
    **dict.fromkeys("❤💕💖💗💘💙💚💛💜🧡🖤🤍🤎💓💞💝♥😍🥰😘😻", _LOVE),
    **dict.fromkeys("😮😲😱🤯😯😳🙀", _WOW),
    **dict.fromkeys("👏🙌", _CLAP),
    **dict.fromkeys("😡😠🤬👿", _ANGRY),
    **dict.fromkeys("😞😔☹🙁💔", _SAD),
    **dict.fromkeys("👍💪", "good"),
    **dict.fromkeys("👎🤮🤢💩", "bad"),
    **dict.fromkeys("🎉🎊🥳🏆🥇", "congratulations"),
    **dict.fromkeys("🔥💯", "awesome"),
    **dict.fromkeys("🤔❓❔", "?"),
    **dict.fromkeys("😴💤🥱", "sleepy"),
    **dict.fromkeys("👋", "hello"),
    **dict.fromkeys("🙏", "please"),
    **dict.fromkeys("💀☠", "dead"),
    **dict.fromkeys("🛒💰💸", "buy"),
    **dict.fromkeys("🎁", "gift"),
}
EMOJI_PATTERN = re.compile("|".join(map(re.escape, EMOJI)))

# Marks that only colour, join or select another picture, dropped before any look-up.
MODIFIERS = re.compile("[\u200d\ufe0e\ufe0f\U0001f3fb-\U0001f3ff\U000e0020-\U000e007f]")

EMOTICONS = tuple(
    (re.compile(pattern, re.IGNORECASE), word)
    for pattern, word in {
        r"(?<!\w)(?:[:;]['^-]?[)\]D3]+|=[)\]D]+)(?!\w)": _LAUGH,
        r"(?<!\w)(?:x+d+)(?!\w)|\^[_.-]?\^": _LAUGH,
        r"(?<!\w):['^-]?\(+|;_;|(?<!\w)(?:t[_.]t|q[_.]q|tat|qaq)(?!\w)": _CRY,
        r"<3+(?!\d)": _LOVE,
        r"(?<!\w)orz(?!\w)": _SAD,
    }.items()
)

# A kaomoji: brackets around signs with at most a letter or two, like (´▽`) or (╯°□°). Dropped: there are thousands.
KAOMOJI = re.compile(r"[(（][^()（）\w\s]{0,6}\w{0,2}[^()（）\w\s]{1,6}\w{0,2}[^()（）\w\s]{0,6}[)）]")

# Emotes of platforms by their names: [doge], [打call], :wave-hand:
BRACKETED = re.compile(r"\[([^\[\]\s]{1,12})\]")
SHORTCUT = re.compile(r"(?<!\w):_?([a-z][\w-]{1,40}):", re.IGNORECASE)

_APART = r"(?<![0-9a-z]){}(?![0-9a-z])"
SLANG = tuple(
    (re.compile(_APART.format(f"(?:{pattern})"), re.IGNORECASE), word)
    for pattern, word in {
        r"6{3,}|99+6{2,}": "厉害",
        r"23{3,}|h{3,}|x+swl": "哈哈",
        r"l+o+l+|lmf?ao+|rofl|lul+w?|kek+w?|omegalul|(?:ha|he|ah|ja|je){2,}[hj]?|w{3,}|k{4,}": _LAUGH,
        r"[ㅋ\u110f]{2,}|[ㅎ\u1112]{2,}": _LAUGH,  # as written, and as NFKC leaves them
        r"(?:хa|хе|ха){2,}": _LAUGH,
        r"pog(?:u|gers|gies|champ)?": "wow amazing",
        r"gg+(?:wp)?": "good game",
        r"omg+": "oh my god",
        r"wtf+": "what the hell",
        r"yyds": "永远的神",
        r"awsl": "啊我死了",
        r"nb+|tql": "太强了",
        r"(?:bib+le|pepe)hands|sadge": _SAD,
    }.items()
)
APPLAUSE = re.compile(r"8{3,}\W*")  # if it is the whole message; otherwise it is a price
