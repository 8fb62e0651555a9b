"""Finds words of a chat that are pictures: emoji, [doge], :wave:, a channel's own emotes, and names known everywhere.

No reader keeps the platforms' emote tags, so Twitch emotes are known by their names. A channel's have a prefix of 3
to 10 lower-case letters and digits, and a name that begins with a capital, like t90New. The others are listed.
"""

import re

from kuaihl.engines.encoders.chat_words import BRACKETED, SHORTCUT

_EMOJI = re.compile(
    "[\U0001f000-\U0001f9ff\U0001fa70-\U0001faff\u2600-\u2752\u2754-\u2756\u2758-\u27bf\u2b50\u2b55\u231a\u231b\u23e9-\u23f3]"
)  # without ❗, which is an exclamation mark
_CHANNEL_EMOTE = re.compile("[a-z][a-z0-9]{2,9}[A-Z][A-Za-z0-9]*")
_NAMES = """
    4Head AngelThump AYAYA BabyRage BibleThump BloodTrail BrokeBack CarlSmile Clap COPIUM CoolCat CoolStoryBob
    CorgiDerp DansGame DatSheffy EleGiggle EZ FailFish FeelsBadMan FeelsGoodMan FeelsStrongMan FrankerZ GivePLZ GIGACHAD
    HeyGuys HYPERS Jebaited Kappa KappaPride KappaRoss Keepo KEKL KEKW Kreygasm LUL LuL LULW MingLee MrDestructoid
    NODDERS NOPERS NotLikeThis OhMyDog OMEGALUL OpieOP OSFrog PagMan PauseChamp PeepoHappy PepeHands PepeLaugh Pepega
    PeoplesChamp PJSalt Pog PogChamp POGGERS PogU PowerUpL PowerUpR Prayge RaccAttack ResidentSleeper Sadge SeemsGood
    SMOrc SourPls SwiftRage TakeNRG TheIlluminati TriHard TwitchUnity VoHiYo WeirdChamp WutFace ZreknarF
    catJAM cmonBruh haHAA monkaHmm monkaS monkaW peepoClap peepoHappy widepeepoHappy
"""
_GLOBAL_EMOTES = frozenset(_NAMES.split())


def _is_emote(word: str) -> bool:
    """Whether a word is the name of an emote of Twitch or its extensions."""
    return word in _GLOBAL_EMOTES or (not word.islower() and _CHANNEL_EMOTE.fullmatch(word) is not None)


def has_emoji(text: str) -> bool:
    return not text.isascii() and _EMOJI.search(text) is not None


def without_emotes(word: str) -> str:
    """`word` without the names of emotes in it."""
    if _is_emote(word):
        return ""
    if "[" in word:
        word = BRACKETED.sub("", word)
    return SHORTCUT.sub("", word) if ":" in word else word
