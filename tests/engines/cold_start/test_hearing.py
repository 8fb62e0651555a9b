"""What becomes of speech on its way through Whisper: rates over many texts, and what each change does."""

import numpy as np

from kuaihl.engines.cold_start.hearing import (
    EXCLAIMS,
    EXCLAIMS_QUIET,
    LOOP,
    RUN_ON,
    as_whisper,
    cut_at_ends,
    mishear,
    without_marks,
)

EXCITED = ["What a goal from Moreno!", "He has done it again!", "Listen to this stadium!"]
QUIET = ["Moreno plays it back.", "A throw-in for the home side.", "They keep the ball."]
CHINESE = ["球进啦，漂亮！", "全场都站起来了。", "主队领先了。"]
MANY = 4000


def heard(lines: list[str]) -> list[str]:
    random = np.random.default_rng(0)
    return [as_whisper(lines, random) for _ in range(MANY)]


def share(texts: list[str], mark: str) -> float:
    return sum(mark in text for text in texts) / len(texts)


def test_half_of_excited_speech_keeps_its_marks_but_for_run_ons() -> None:
    assert abs(share(heard(EXCITED), "!") - EXCLAIMS * (1 - RUN_ON["en"])) < 0.03


def test_quiet_speech_seldom_gets_a_mark() -> None:
    assert share(heard(QUIET), "!") < 2 * len(QUIET) * EXCLAIMS_QUIET


def test_run_ons_have_neither_marks_nor_capitals() -> None:
    assert without_marks("Well, he scores! It's 1.5 metres. Wow...", "en") == "well he scores it's 1.5 metres wow"
    assert without_marks("球进啦，漂亮！全场都站起来了。", "zh") == "球进啦 漂亮 全场都站起来了"
    assert abs(sum(text == text.lower() for text in heard(QUIET)) / MANY - RUN_ON["en"]) < 0.03
    bare = [text for text in heard(CHINESE) if not set(text) & set("，。！")]
    assert abs(len(bare) / MANY - RUN_ON["zh"]) < 0.03


def test_a_cut_takes_a_quarter_at_each_end_at_most() -> None:
    words = [f"w{number}" for number in range(12)]
    random = np.random.default_rng(0)
    for _ in range(200):
        left = cut_at_ends(" ".join(words), "en", random).split()
        first = words.index(left[0])
        assert left == words[first : first + len(left)]
        assert first <= 3 and len(words) - first - len(left) <= 3
    assert cut_at_ends("too short", "en", random) == "too short"


def test_some_words_are_misheard_and_some_names_spelled_by_ear() -> None:
    random = np.random.default_rng(0)
    variants = {mishear("The keeper gives it to Okafor.", "en", random) for _ in range(500)}
    assert any("keep her" in variant for variant in variants)
    assert any("Okafor" not in variant and "O" in variant for variant in variants)
    assert all(variant.startswith("The ") for variant in variants)  # a capital that opens a line is no name
    assert any("社门" in mishear("他射门了", "zh", random) for _ in range(500))


def test_a_line_loops_at_times() -> None:
    looped = [text for text in heard(QUIET) if text.lower().count("throw-in") >= 3]
    assert abs(len(looped) / MANY - LOOP / 3) < 0.006


def test_nothing_said_is_nothing_heard() -> None:
    assert as_whisper([], np.random.default_rng(0)) == ""


def test_the_same_random_numbers_hear_the_same() -> None:
    assert as_whisper(EXCITED, np.random.default_rng(3)) == as_whisper(EXCITED, np.random.default_rng(3))
