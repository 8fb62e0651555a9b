"""Speech as Whisper transcribes it: run-ons, lost punctuation, cuts at both ends, mishearings, loops.

Speech of a simulated room passes through `as_whisper`, so that a head learns the form in which it will read real
speech. The rates below are per text of a segment unless noted. "Measured" refers to 137,646 sentences that Whisper
transcribed from football broadcasts; the others are our choice.
"""

import re
from collections.abc import Sequence

import numpy as np

EXCLAIMS = 0.5  # keeps the marks of excited lines; measured: 22% of half minutes after a goal contain any mark
EXCLAIMS_QUIET = 0.003  # a quiet line gets a mark; measured: 0.5% of sentences away from goals
RUN_ON = {"en": 0.12, "zh": 0.5}  # no marks and no capitals; in Chinese Whisper often writes no marks at all
_UNENDED = 0.2  # a line without its full stop; measured: 22% of sentences
_CUT = 0.35  # at the beginning, and again at the end: a segment begins and ends in the middle of a sentence
LOOP = 0.02  # a line appears 3 to 9 times; measured: 1.6% of lines appear more than once
_STUTTER = 0.05  # a line's first words appear twice
_MISHEARD = 0.06  # a word of the table; a name three times as often

_CJK = re.compile("[\u3400-\u9fff]")
_WORDS = {
    "en": {
        "goal": "gold", "keeper": "keep her", "save": "safe", "corner": "coroner", "offside": "off side",
        "header": "hedder", "volley": "valley", "pass": "past", "cross": "crust", "penalty": "penal tea",
        "there": "their", "their": "there", "you're": "your", "it's": "its", "too": "two", "to": "too",
        "right": "write", "through": "threw", "whole": "hole", "here": "hear", "four": "for", "one": "won",
        "ball": "bowl", "side": "sight", "chance": "chants", "chat": "chad", "stream": "scream", "heal": "heel",
        "flank": "flag", "ward": "word", "mid": "mead", "baron": "barren", "dragon": "dragging", "smoke": "spoke",
        "spike": "spite",
        "clutch": "clutter", "ace": "ice", "subs": "subz", "sauce": "source", "flour": "flower", "price": "prize",
        "sale": "sail", "size": "sighs", "chorus": "course", "chord": "cord", "beat": "beet", "knees": "niece",
        "weather": "whether", "see": "sea", "would": "wood", "know": "no", "weak": "week", "break": "brake",
    },
    "zh": {
        "再": "在", "在": "再", "得": "的", "的": "得", "他": "她", "做": "作", "进球": "近球", "射门": "社门",
        "门将": "门匠", "传中": "船中", "越位": "月位", "点球": "电球", "角球": "脚球", "主播": "主波", "技能": "机能",
        "团灭": "团麦", "大龙": "大笼", "小龙": "小笼", "打野": "打叶", "中路": "中录", "残血": "惨血", "大招": "大着",
        "链接": "连接", "优惠": "优会", "副歌": "父歌", "和弦": "和玄", "节拍": "节派", "弹幕": "蛋幕", "关注": "关住",
        "已经": "以经", "是不是": "是不事", "后面": "后边", "像": "向", "带": "戴", "座": "坐", "刚才": "刚财",
    },
}  # fmt: skip
_ENGLISH_WORD = re.compile(rf"\b(?:{'|'.join(_WORDS['en'])})\b")
_CHINESE_WORD = re.compile("|".join(_WORDS["zh"]))
NAME = re.compile(r"(?<=[a-z,] )[A-Z][a-z]{3,}")  # a capital within a line
_LETTERS = {
    "k": "c",
    "c": "k",
    "v": "w",
    "z": "s",
    "s": "z",
    "d": "t",
    "b": "p",
    "i": "e",
    "o": "u",
    "a": "o",
    "n": "m",
}


def as_whisper(lines: Sequence[str], random: np.random.Generator) -> str:
    """The lines of one segment's speech, in order, as Whisper would have written them; "" for no lines."""
    if not lines:
        return ""
    language = "zh" if _CJK.search("".join(lines)) else "en"
    exclaims = bool(random.random() < EXCLAIMS)
    heard = [_line_heard(line, language, exclaims, random) for line in lines]
    if random.random() < LOOP:
        place = int(random.integers(len(heard)))
        heard[place:place] = [heard[place]] * int(random.integers(2, 9))
    text = (" " if language == "en" else "").join(heard)
    if random.random() < RUN_ON[language]:
        text = without_marks(text, language)
    return cut_at_ends(text, language, random)


def _line_heard(line: str, language: str, exclaims: bool, random: np.random.Generator) -> str:
    """One line with some words misheard, its marks, and sometimes its beginning repeated."""
    full_stop = "." if language == "en" else "。"
    if not exclaims:
        line = re.sub("[!！]+", lambda mark: full_stop, line)
    elif "!" not in line and "！" not in line and random.random() < EXCLAIMS_QUIET:
        line = line.rstrip(".。") + ("!" if language == "en" else "！")
    line = mishear(line, language, random)
    if random.random() < _STUTTER:
        line = (" ".join(line.split()[:2]) + " " if language == "en" else line[:3]) + line
    if random.random() < _UNENDED:
        line = line.rstrip(".。") + ("" if language == "en" else " ")
    return line


def mishear(line: str, language: str, random: np.random.Generator) -> str:
    """The line with some words replaced by similar-sounding ones, and some names spelled by ear."""

    def replace_word(word: re.Match[str]) -> str:
        return _WORDS[language][word[0]] if random.random() < _MISHEARD else word[0]

    def by_ear(name: re.Match[str]) -> str:
        if random.random() >= 3 * _MISHEARD:
            return name[0]
        place = int(random.integers(1, len(name[0])))
        return name[0][:place] + _LETTERS.get(name[0][place], name[0][place]) + name[0][place + 1 :]

    line = (_CHINESE_WORD if language == "zh" else _ENGLISH_WORD).sub(replace_word, line)
    return line if language == "zh" else NAME.sub(by_ear, line)


def without_marks(text: str, language: str) -> str:
    """One run-on: English without marks and capitals, Chinese with spaces or nothing for its marks."""
    if language == "zh":
        return " ".join(re.sub("[，。！？、,.!?]+", " ", text).split())
    return " ".join(re.sub(r"[,.!?;:]+(?=\s|$)", "", text).lower().split())


def cut_at_ends(text: str, language: str, random: np.random.Generator) -> str:
    """The text without a few of its first and last words; at least half is left."""
    parts = text.split() if language == "en" else list(text)
    most = min(len(parts) // 4, 5)
    first = int(random.integers(1, most + 1)) if most and random.random() < _CUT else 0
    last = int(random.integers(1, most + 1)) if most and random.random() < _CUT else 0
    return (" " if language == "en" else "").join(parts[first : len(parts) - last]).strip()
