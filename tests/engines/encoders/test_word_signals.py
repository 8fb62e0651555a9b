"""The signals of a segment: expected values are worked out by hand."""

import math

import pytest
from support.paths import DOCS

from kuaihl.engines.encoders.signals.comments import comment_signals
from kuaihl.engines.encoders.signals.speech import speech_signals
from kuaihl.engines.types import Comment, Sentence, Transcript
from kuaihl.models.signals import SIGNALS


def names(group: str) -> list[str]:
    return [signal.name for signal in SIGNALS if signal.group == group]


def chat(*texts: str) -> list[Comment]:
    return [Comment(float(i), text) for i, text in enumerate(texts)]


def share(name: str, *texts: str) -> float:
    return comment_signals(chat(*texts), 30.0)[name]


LAUGHTER = """
lol|LOOOL|lolol|lmao|LMFAO|rofl|haha|hahahah|ahahah|bwahaha|hehe|kek|xD|XDDD|LUL|LULW|KEKW|OMEGALUL|PepeLaugh|forsenLUL
哈哈哈|233|23333|笑死我了|草|草草草|大草原|hhhh|xswl|ㄏㄏ|www|ｗｗｗ|すごいw|（笑）|それは笑|ㅋㅋ|ㅋㅋㅋㅋ|ㅎㅎ|jaja|jajaja|kkkk|rsrs|huehue
ахах|хаха|хахаха|АХАХАХ|ههههه|ฮ่าๆ|5555 ตลก|mdr|ptdr|😂|so funny 🤣|😆|😹|nice lol|笑
"""
NO_LAUGHTER = """
hello|what|ha|www.example.com|https://x.y/lol1|草莓|微笑|好笑话吗|666|777|888|555|5555|2333000|233.5|price 1233|ash
haste|k|kk|rs|WWWW|W|滿裝WW
哈|呵呵|mad|exd|lolita|w|jar|ah|hash|看看|wow|😭|💀|اه|hi hi|ok
"""


@pytest.mark.parametrize("text", LAUGHTER.replace("\n", "|").strip("|").split("|"))
def test_laughter_is_known_in_every_script(text: str) -> None:
    assert share("laughter", text) == 1.0


@pytest.mark.parametrize("text", NO_LAUGHTER.replace("\n", "|").strip("|").split("|"))
def test_what_only_looks_like_laughter_is_none(text: str) -> None:
    assert share("laughter", text) == 0.0


def test_555_laughs_among_thai_and_weeps_among_chinese() -> None:
    assert share("laughter", "555", "555", "สวัสดี", "ดีมาก") == 0.5
    assert share("laughter", "555", "555", "太惨了", "呜呜") == 0.0


def test_counts_are_per_thirty_seconds() -> None:
    found = comment_signals(chat("a", "b", "c"), 15.0)
    assert found["comments"] == pytest.approx(math.log(1 + 6))
    assert found["chatters"] == pytest.approx(math.log(1 + 6))  # nobody is named: each is somebody else


def test_authors_are_counted_once_and_the_nameless_each() -> None:
    comments = [Comment(0, "a", "mia"), Comment(1, "b", "mia"), Comment(2, "c"), Comment(3, "d")]
    assert comment_signals(comments, 30.0)["chatters"] == pytest.approx(math.log(1 + 3))


def test_gifts_likes_and_joins_are_no_comments() -> None:
    comments = [
        Comment(0, "hi", "mia"),
        Comment(1, "rocket", "ben", "gift", 9.0),
        Comment(2, "Great!", "eve", "chat", 30.0),
        Comment(3, "liked", "joe", "like"),
        Comment(4, "welcome", "kim", "join"),
    ]
    found = comment_signals(comments, 30.0)
    assert found["comments"] == pytest.approx(math.log(1 + 2))
    assert found["gifts"] == pytest.approx(math.log(1 + 2))  # a paid message is a gift, too
    assert found["gift_value"] == pytest.approx(math.log(1 + 39))
    assert found["exclamations"] == 0.5


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("WHAT A PLAY", 1.0),
        ("GG", 0.0),  # two letters
        ("LOLz", 1.0),  # 3 of 4
        ("Hello There", 0.0),
        ("LUL", 0.0),  # an emote
        ("KEKW NO WAY", 1.0),
        ("ЧТО ЭТО", 1.0),
        ("哈哈哈", 0.0),  # no case
    ],
)
def test_capitals_shout_unless_an_emote_is_called_so(text: str, expected: float) -> None:
    assert share("capitals", text) == expected


@pytest.mark.parametrize("text", ["go!", "加油！", "what‼", "❗", "¡vamos"])
def test_an_exclamation_mark_counts_in_every_shape(text: str) -> None:
    assert share("exclamations", text, "calm") == 0.5


def test_a_command_for_a_bot_exclaims_nothing() -> None:
    assert share("exclamations", "!uptime", "!love me") == 0.0
    assert share("exclamations", "! wow", "!!!") == 1.0


def test_repeats_are_comments_that_say_the_same_in_any_spelling() -> None:
    assert share("repeats", "GOAL!!!", "goooal", "offside", "no") == 0.5
    assert share("repeats", "哈哈", "哈哈哈哈哈", "🐝🐝", "🐝") == 1.0
    assert share("repeats", "one") == 0.0


@pytest.mark.parametrize("text", ["🐝🐝", "nice 👍", "[doge]", ":wave:", "t90New t90New", "Kappa", "that is monkaS"])
def test_emotes_and_emoji_are_known(text: str) -> None:
    assert share("emotes", text) == 1.0


@pytest.mark.parametrize("text", ["iPhone", "hello", "YouTube", "go!", "10:30:20", "❗"])
def test_words_are_no_emotes(text: str) -> None:
    assert share("emotes", text) == 0.0


def test_length_is_the_mean_and_long_texts_are_cut() -> None:
    assert share("comment_length", "abc", "abcde") == pytest.approx(math.log(1 + 4))
    assert share("comment_length", "x" * 10**6) == pytest.approx(math.log(1 + 1000))


HOSTILE = [
    "ha" * 10**5,
    "h" * 10**5,
    "lo" * 10**5,
    "草" * 10**5,
    "5" * 10**5,
    "[" * 10**5,
    ":a" * 10**5,
    "\ud800",
    "\0",
    "",
]


@pytest.mark.parametrize("text", HOSTILE)
@pytest.mark.parametrize("seconds", [30.0, 1e-9, 0.0])
def test_no_text_and_no_length_of_segment_gives_anything_but_a_number(text: str, seconds: float) -> None:
    comments = [Comment(0.0, text, None, "chat", value) for value in (math.nan, math.inf, -1.0, None)]
    found = comment_signals(comments, seconds) | speech_signals(Transcript(text), seconds)
    assert all(math.isfinite(value) for value in found.values())


def test_of_a_flood_all_are_counted_and_some_are_read() -> None:
    found = comment_signals(chat(*["haha"] * 4_000), 30.0)
    assert found["comments"] == pytest.approx(math.log(1 + 4_000))
    assert found["laughter"] == found["repeats"] == 1.0


def test_a_segment_without_a_comment_or_a_word_is_all_zero() -> None:
    assert comment_signals([], 30.0) == dict.fromkeys(names("comments"), 0.0)
    assert speech_signals(Transcript(), 30.0) == dict.fromkeys(names("speech"), 0.0)


def test_speech_is_what_the_sentences_cover_once() -> None:
    sentences = (Sentence(60.0, 66.0, "a"), Sentence(63.0, 69.0, "b"), Sentence(80.0, 81.0, "c"))
    assert speech_signals(Transcript("a b c", sentences), 30.0)["speech"] == pytest.approx(10 / 30)
    assert speech_signals(Transcript("a", (Sentence(0.0, 99.0, "a"),)), 30.0)["speech"] == 1.0


def test_speech_is_estimated_from_words_where_no_sentence_has_times() -> None:
    assert speech_signals(Transcript("one two three four five"), 30.0)["speech"] == pytest.approx(
        2 / 30
    )  # 2.5 a second


def test_words_are_counted_and_chinese_by_the_character() -> None:
    assert speech_signals(Transcript("It's a goal, 3-1!"), 15.0)["words"] == pytest.approx(math.log(1 + 2 * 5))
    assert speech_signals(Transcript("他进球了吗"), 30.0)["words"] == pytest.approx(math.log(1 + 3))
    assert speech_signals(Transcript("그가 골을"), 30.0)["words"] == pytest.approx(math.log(1 + 2))


def test_spoken_exclamations_laughs_and_repeats() -> None:
    found = speech_signals(Transcript("Go go go! Ha ha ha, (laughing) what a goal! 好球！"), 30.0)
    assert found["spoken_exclamations"] == pytest.approx(math.log(1 + 3))
    assert found["spoken_laughter"] == pytest.approx(math.log(1 + 2))
    # go go go, ha ha ha, laughing, what a goal, and two characters: 11.2 words, 4 of them repeat
    assert found["spoken_repeats"] == pytest.approx(4 / 11.2)
    assert speech_signals(Transcript("进了进了"), 30.0)["spoken_repeats"] == pytest.approx(0.5)
    assert speech_signals(Transcript("看看"), 30.0)["spoken_repeats"] == 0.0


def test_the_page_of_signals_has_each_with_its_meaning() -> None:
    page = (DOCS / "signals.md").read_text()
    assert [signal.name for signal in SIGNALS if f"| `{signal.name}` | {signal.meaning} |" not in page] == []
