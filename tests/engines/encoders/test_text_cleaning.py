"""Chat as text: what is kept as meaning, what goes, and whose words stand for a segment."""

from itertools import pairwise

import pytest
from support.paths import SHARED

from kuaihl.engines.comments.reader import read_comments
from kuaihl.engines.encoders.text_cleaning import clean, estimated_tokens, join_comments, join_texts, spread_order
from kuaihl.engines.types import Comment

DANMAKU = SHARED / "chat" / "bilibili_1200.xml"


@pytest.mark.parametrize(
    ("written", "cleaned"),
    [
        ("666666", "厉害"),
        ("主播666", "主播厉害"),
        ("哈哈哈哈哈哈", "哈哈"),
        ("2333333", "哈哈"),
        ("loooool", "haha"),
        ("hahahahaha", "haha"),
        ("KEKW", "haha"),
        ("ㅋㅋㅋㅋ", "haha"),
        ("ㅎㅎㅎ", "haha"),
        ("😂😂😂😂", "haha"),
        ("8888888", "鼓掌"),
        ("soooo good!!!!!!", "soo good!"),
        ("加油加油加油加油", "加油"),
        ("no no no no no", "no"),
        ("gg gg gg", "good game"),
        ("1111111", "1"),
        ("[doge][打call]", "doge 打call"),
        (":wave-hand: hello", "wave hand hello"),
        ("T_T", "crying"),
        ("<3", "love"),
        ("nice :D", "nice haha"),
        ("ｆｕｌｌ　ｗｉｄｔｈ", "full width"),
        ("？？？？", "?"),
        ("👨\u200d👩\u200d👧 hi", "hi"),
        ("👍🏽", "good"),
        ("❤️", "love"),
        ("(╯°□°)╯︵ ┻━┻", ""),
        ("https://example.org/a?b=1看这里", "看这里"),
        ("\x00\x07a\u202eb\ufeff", "a b"),
        ("Z\u0335\u0321a\u0337\u0322", "Za"),
        ("。。。。", ""),
        ("", ""),
    ],
)
def test_chat_becomes_words_and_noise_goes(written: str, cleaned: str) -> None:
    assert clean(written) == cleaned


@pytest.mark.parametrize(
    ("written", "cleaned"),
    [
        ("😂😂😂😂", ""),
        ("nice 😂 one ❓", "nice one"),
        ("nice :D", "nice"),
        ("T_T 加油", "加油"),
        ("<3 orz", ""),
        ("[doge][打call]看这里", "看这里"),
        (":wave-hand: hello", "hello"),
        ("(╯°□°)╯︵ ┻━┻", ""),
        ("KEKW", "KEKW"),  # slang is text
        ("哈哈哈哈哈哈", "哈哈"),
        ("加油加油加油加油", "加油"),
        ("666666", "6"),
        ("8888888", "8"),
        ("no no no no no", "no"),
        ("soooo good!!!!!!", "soo good!"),
    ],
)
def test_as_in_the_paper_emoticons_go_and_repeats_are_suppressed(written: str, cleaned: str) -> None:
    assert clean(written, spell_out=False) == cleaned


def test_as_in_the_paper_comments_are_joined_without_emoticons_and_said_once() -> None:
    texts = ["what a play", "😂", "what a play!", "gg :)", "GG"]
    assert join_texts(texts, spell_out=False) == "what a play; gg"


@pytest.mark.parametrize("spell_out", [True, False])
@pytest.mark.parametrize(
    "text",
    [
        "The price is 10000, not 888 or 100000.",
        "It starts at 12:30, or 1:30:20 into the video.",
        "See 1) the first and (b) the second, <30 of them; 5+3=8.",
        "I will wave my hands, don't you?",
        "Ça déjà vu, naïve café.",
        "情越深刻 越默默",
        "こんにちは、ありがとう",
    ],
)
def test_prose_numbers_and_times_are_left_alone(text: str, spell_out: bool) -> None:
    assert clean(text, spell_out) == text


@pytest.mark.parametrize("spell_out", [True, False])
def test_cleaning_real_danmaku_twice_changes_nothing(spell_out: bool) -> None:
    if not DANMAKU.exists():
        pytest.skip("no shared chat files here")
    cleaned = [clean(comment.text, spell_out) for comment in read_comments(DANMAKU)]
    assert [clean(text, spell_out) for text in cleaned] == cleaned


def test_a_text_of_any_length_is_cleaned_in_bounded_time_and_size() -> None:
    for text in ("哈" * 10**6, "(" * 10**6, "ab" * 10**6, "[:" * 10**6, "no " * 10**6, "😂" * 10**6, "a b c " * 10**5):
        assert len(clean(text)) < 20_000
        assert len(clean(text, spell_out=False)) < 20_000


def test_comments_are_joined_in_order_of_time_and_the_same_is_said_once() -> None:
    comments = [Comment(3.0, "what a play"), Comment(1.0, "666"), Comment(2.0, "6666!"), Comment(2.5, "😂")]
    assert join_comments(comments) == "厉害; haha; what a play"


def test_a_gift_stands_by_its_name_and_likes_and_joins_stay_out() -> None:
    comments = [
        Comment(1, "小花花", kind="gift"),
        Comment(2, "x joined", kind="join"),
        Comment(3, "liked", kind="like"),
    ]
    assert join_comments(comments) == "小花花"


def test_no_comments_and_noise_alone_are_no_text() -> None:
    assert join_comments([]) == ""
    assert join_comments([Comment(1, "。。。"), Comment(2, "\u200b")]) == ""


def test_when_there_are_more_than_fit_the_whole_segment_is_heard() -> None:
    texts = [f"said at {second}" for second in range(300)]
    joined = join_texts(texts, limit=97)
    seconds = [int(text.rsplit(" ", 1)[1]) for text in joined.split("; ")]
    assert seconds == sorted(seconds)
    gaps = [later - earlier for earlier, later in pairwise(seconds)]
    assert seconds[0] < 30 and seconds[-1] > 230 and max(gaps) < 80


def test_a_burst_has_its_share_of_the_text() -> None:
    quiet = [f"word number {i}" for i in range(20)]
    burst = [f"goal {i}" for i in range(180)]
    assert join_texts(quiet + burst).count("goal") > 3 * join_texts(quiet + burst).count("word")


@pytest.mark.parametrize("limit", [1, 5, 20, 97])
def test_the_text_never_takes_more_than_its_room(limit: int) -> None:
    texts = [
        "哈喽" * 40,
        "a long one that a viewer pasted again and again " * 9,
        *(f"short {i}" for i in range(50)),
    ]
    for count in (estimated_tokens, len):
        assert count(join_texts(texts, limit, count)) <= limit


def test_one_pasted_essay_leaves_room_for_the_crowd() -> None:
    joined = join_texts(["word " + " ".join(f"essay{i}" for i in range(300)), "goal", "wow"])
    assert "goal" in joined and "wow" in joined and joined.startswith("word essay0")


def test_one_comment_alone_may_fill_the_room() -> None:
    text = " ".join(f"w{i}" for i in range(60))
    assert join_texts([text]) == text
    assert text.startswith(join_texts([text], limit=20)) and join_texts([text], limit=20)


@pytest.mark.parametrize("n", [0, 1, 2, 3, 7, 8, 100])
def test_the_spread_order_visits_each_place_once(n: int) -> None:
    assert sorted(spread_order(n)) == list(range(n))
