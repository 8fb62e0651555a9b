"""Every comment format against one contract, and each format's own traps. Fixtures are written here, by hand."""

import gzip
import json
import re
import resource
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from support.paths import SHARED

from kuaihl.engines.comments import reader as recognise
from kuaihl.engines.comments.feed import CommentTrack
from kuaihl.engines.comments.reader import FORMATS, read_comment_file, read_comments
from kuaihl.engines.types import Comment
from kuaihl.models.errors import SourceError, UsageError

CHAT = SHARED / "chat"
needs_chat = pytest.mark.skipif(not CHAT.is_dir(), reason="no shared chat files here")


def youtube(seconds: float, text: str, *, live: bool = False) -> dict[str, object]:
    message = {"message": {"runs": [{"text": text}]}, "authorName": {"simpleText": "a"}}
    actions = [{"addChatItemAction": {"item": {"liveChatTextMessageRenderer": message}}}]
    offset = str(round(seconds * 1000))
    if live:
        return {"replayChatItemAction": {"actions": actions}, "videoOffsetTimeMsec": offset, "isLive": True}
    return {"replayChatItemAction": {"actions": actions, "videoOffsetTimeMsec": offset}}


def twitch(seconds: float, text: str, **message: object) -> dict[str, object]:
    return {
        "content_offset_seconds": seconds,
        "commenter": {"display_name": "a", "name": "a"},
        "message": {"body": text, "bits_spent": 0, "fragments": [{"text": text, "emoticon": None}], **message},
    }


def downloaded(seconds: float, text: str, kind: str = "text_message") -> dict[str, object]:
    return {"message": text, "message_type": kind, "time_in_seconds": seconds, "author": {"name": "a", "id": "1"}}


def lines(*values: object) -> str:
    return "".join(json.dumps(value, ensure_ascii=False) + "\n" for value in values)


# The same three comments in each form: out of order, one with marks that the form must escape.
SAID = ((61.25, '第二 "two" <2> & ü, yes'), (3.5, "first"), (125.0, "三"))


def xml(layout: Callable[[float], str], head: str = "<i>", tail: str = "</i>") -> str:
    escaped = ((time, text.replace("&", "&amp;").replace("<", "&lt;")) for time, text in SAID)
    rows = "".join(f'  <d p="{layout(time)}">{text}</d>\n' for time, text in escaped)
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{head}\n{rows}{tail}'


CSV = "author.name,message,message_type,time_in_seconds\n" + "".join(
    f'a,"{text.replace(chr(34), chr(34) * 2)}",text_message,{time}\n' for time, text in SAID
)
RECORDER = '<i><chatserver>x</chatserver><BililiveRecorderRecordInfo roomid="1" start_time="2026-01-01T00:00:00" />'
HEADER = {"FileInfo": {"Version": {"Major": 1, "Minor": 4}}, "streamer": {"name": "s"}, "video": {"start": 0, "end": 9}}

FILES = {
    "the site's XML": xml(lambda time: f"{time:.5f},1,25,16777215,1625832232,0,330c5c86,51742013056876549,10"),
    "second layout": xml(lambda time: f"51742013056876549,0,{time * 1000:.0f},1,25,16777215,1625832232,0,330c5c86"),
    "BililiveRecorder": xml(lambda time: f"{time:.3f},1,25,16777215,1625832232000,0,12345,0", RECORDER),
    "blrec": xml(lambda time: f"{time:.5f},1,25,16777215,1625832232,0,12345,1", "<i><metadata/>"),
    "biliup": xml(lambda time: f"{time:.3f},1,25,16777215,0,0,0,0", "<root>", "</root>"),
    "unclosed": xml(lambda time: f"{time:.3f},1,25,16777215,0,0,0,0", tail='<d p="200.0,1,25,1,0,0,0,0">half wri'),
    "yt-dlp replay": lines(*(youtube(*said) for said in SAID)),
    "yt-dlp live": lines(*(youtube(*said, live=True) for said in SAID)),
    "YouTube's client": json.dumps(
        {"continuationContents": {"liveChatContinuation": {"actions": [youtube(*said) for said in SAID]}}}, indent=2
    ),
    "TwitchDownloader": json.dumps({**HEADER, "comments": [twitch(*said) for said in SAID], "embeddedData": {"a": []}}),
    "Twitch's comments": json.dumps([twitch(*said) for said in SAID]),
    "chat-downloader JSON": json.dumps([downloaded(*said) for said in SAID], indent=4),
    "chat-downloader JSONL": lines(*(downloaded(*said) for said in SAID)),
    "chat-downloader CSV": CSV,
    "our own": lines(*({"time": time, "text": text, "author": "a"} for time, text in SAID)),
}
every_form = pytest.mark.parametrize("form", FILES)


def written(tmp_path: Path, text: str | bytes) -> Path:
    path = tmp_path / "comments.any"
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


@every_form
def test_every_form_gives_the_same_comments_in_order_of_time(form: str, tmp_path: Path) -> None:
    comments = read_comments(written(tmp_path, FILES[form]))
    assert [(comment.time, comment.text, comment.kind) for comment in comments] == [
        (time, text, "chat") for time, text in sorted(SAID)
    ]


@every_form
def test_exactly_one_format_recognises_a_file(form: str) -> None:
    head = FILES[form][: recognise.HEAD]
    assert len([format for format in FORMATS if format.recognises(head)]) == 1


@every_form
def test_gzip_a_byte_order_mark_and_utf_16_make_no_difference(form: str, tmp_path: Path) -> None:
    plain = read_comments(written(tmp_path, FILES[form]))
    assert read_comments(written(tmp_path, gzip.compress(FILES[form].encode()))) == plain
    assert read_comments(written(tmp_path, FILES[form].encode("utf-8-sig"))) == plain
    assert read_comments(written(tmp_path, FILES[form].replace("\n", "\r\n"))) == plain
    assert read_comments(written(tmp_path, FILES[form].encode("utf-16"))) == plain


@every_form
def test_the_offset_moves_every_comment_and_drops_those_before_the_start(form: str, tmp_path: Path) -> None:
    later = read_comments(written(tmp_path, FILES[form]), offset=10.5)
    assert [comment.time for comment in later] == [14.0, 71.75, 135.5]
    earlier = read_comment_file(written(tmp_path, FILES[form]), offset=-10.0)
    assert [comment.time for comment in earlier.comments] == [51.25, 115.0] and earlier.before_start == 1


@every_form
def test_a_file_cut_anywhere_gives_complete_comments_or_one_clear_line(form: str, tmp_path: Path) -> None:
    whole = FILES[form].encode()
    known = set(read_comments(written(tmp_path, whole)))
    for end in range(0, len(whole), 7):
        path = written(tmp_path, whole[:end])
        try:
            comments = read_comments(path)
        except SourceError as error:
            assert str(path) in str(error) and "\n" not in str(error)
        else:
            # CSV alone cannot tell a number that is cut from a shorter one, nor a text from a part of it.
            assert "CSV" in form or set(comments) <= known


# In a JSON document nothing is certain behind a broken place; in these each comment stands for itself.
@pytest.mark.parametrize("form", [form for form in FILES if not re.search("client|Twitch|chat-downloader JSON$", form)])
def test_noise_in_the_middle_costs_only_what_it_hits(form: str, tmp_path: Path) -> None:
    rows = FILES[form].splitlines(keepends=True)
    middle = 2 + (len(rows) > 4)
    noisy = "".join([*rows[:middle], '\0\0\x01{"<d p=" torn <<& \n', *rows[middle:]])
    texts = {comment.text for comment in read_comments(written(tmp_path, noisy))}
    assert {"first", "三"} <= texts or {SAID[0][1], "三"} <= texts


@pytest.mark.parametrize(
    "time", ["NaN", "Infinity", "-Infinity", "1e300", '"soon"', "null", "true", "[1]", "1769904000"]
)
def test_a_time_that_is_no_position_is_skipped_and_counted(time: str, tmp_path: Path) -> None:
    bad = f'{{"time": {time}, "text": "bad"}}\n' + lines({"time": 1, "text": "good"})
    read = read_comment_file(written(tmp_path, bad))
    assert [comment.text for comment in read.comments] == ["good"] and read.skipped == 1


def test_a_negative_time_is_before_the_start(tmp_path: Path) -> None:
    read = read_comment_file(written(tmp_path, lines({"time": -3, "text": "waiting"}, {"time": 0, "text": "hi"})))
    assert [comment.text for comment in read.comments] == ["hi"] and read.before_start == 1


@pytest.mark.parametrize(
    "content",
    [
        b"just words\n",
        b"FLV\x01\x05\x00\x00\x00\x09" + bytes(range(256)) * 40,
        b"<html><body><i class='icon'></i></body></html>",
        b'{"some": "other json"}',
        b"[1, 2, 3]",
        b"start,end,text\n1,2,hello\n",
        b"1\n00:00:01,000 --> 00:00:02,000\nA subtitle\n",
        b"\x1f\x8b\x08\x00not really gzip",
    ],
)
def test_what_is_not_comments_is_one_line_that_names_what_is_read(content: bytes, tmp_path: Path) -> None:
    path = written(tmp_path, content)
    with pytest.raises(SourceError) as error:
        read_comments(path)
    assert str(path) in str(error.value) and "\n" not in str(error.value)
    assert "gzip" in str(error.value) or "Bilibili danmaku XML, yt-dlp live_chat.json" in str(error.value)


@pytest.mark.parametrize("content", [b"", b" \n\n", gzip.compress(b"", mtime=0)], ids=["nothing", "blanks", "packed"])
def test_an_empty_file_says_that_it_is_empty(content: bytes, tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="empty"):
        read_comments(written(tmp_path, content))


def test_a_missing_file_and_a_folder_are_one_line(tmp_path: Path) -> None:
    for path in (tmp_path / "missing", tmp_path):
        with pytest.raises(SourceError, match=path.name):
            read_comments(path)


def test_entries_without_any_usable_time_are_an_error_and_not_an_empty_chat(tmp_path: Path) -> None:
    live = lines({"message": "hi", "message_type": "text_message", "time_in_seconds": None, "timestamp": 1})
    with pytest.raises(SourceError, match="none of its 1 entries"):
        read_comments(written(tmp_path, live))


@pytest.mark.parametrize("offset", [float("nan"), float("inf"), 1e9])
def test_an_offset_beyond_bounds_is_a_usage_error(offset: float, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"^comments_offset "):
        read_comments(written(tmp_path, FILES["our own"]), offset=offset)


def test_an_entity_bomb_is_refused(tmp_path: Path) -> None:
    bomb = '<?xml version="1.0"?><!DOCTYPE i [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;">]><i><d p="1,1,25,1">&b;</d></i>'
    with pytest.raises(SourceError, match="entities"):
        read_comments(written(tmp_path, bomb))


def test_a_document_nested_without_end_or_a_tag_without_end_is_refused_or_skipped(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="nested"):
        read_comments(written(tmp_path, "<i>" + "<a>" * 10_000))
    endless = '<i><d p="1,1,25,1">one</d><d p="' + "1" * 4_000_000
    assert [comment.text for comment in read_comments(written(tmp_path, endless))] == ["one"]
    assert read_comments(written(tmp_path, lines({"time": 1, "text": "one"}) + "[" * 100_000))[0].text == "one"


def test_more_than_the_bounds_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    many = lines(*({"time": i, "text": "x"} for i in range(50)))
    monkeypatch.setattr(recognise, "MAX_COMMENTS", 49)
    with pytest.raises(SourceError, match="more than 49 comments"):
        read_comments(written(tmp_path, many))
    monkeypatch.setattr(recognise, "MAX_BYTES", 100)
    with pytest.raises(SourceError, match="more comments than fit"):
        read_comments(written(tmp_path, gzip.compress(many.encode())))


def test_a_gzip_file_that_was_cut_off_gives_what_is_there(tmp_path: Path) -> None:
    many = gzip.compress(lines(*({"time": i, "text": f"number {i * 7919 % 1000}"} for i in range(5000))).encode())
    comments = read_comments(written(tmp_path, many[: len(many) // 2]))
    assert 1000 < len(comments) < 4000


def test_long_texts_and_halves_of_surrogate_pairs_are_made_fit(tmp_path: Path) -> None:
    path = written(tmp_path, '{"time": 1, "text": "a\\ud83d"}\n' + lines({"time": 2, "text": "長" * 10_000}))
    first, second = read_comments(path)
    assert first.text.encode() and first.text.startswith("a") and len(second.text) == 1000


def test_gifts_super_chats_and_guards_of_the_recorders_are_read(tmp_path: Path) -> None:
    document = """<i>
      <sc ts="1.5" user="a" uid="1" price="30" time="60">加油</sc>
      <gift ts="2.5" user="b" uid="2" giftname="小花花" giftcount="10" />
      <guard ts="3.5" user="c" uid="3" level="3" count="1" />
      <s timestamp="4.5" username="d" type="gift" num="3" giftname="辣条"></s>
    </i>"""
    assert read_comments(written(tmp_path, document)) == [
        Comment(1.5, "加油", "a", value=30.0),
        Comment(2.5, "小花花", "b", "gift"),
        Comment(3.5, "舰长", "c", "gift"),
        Comment(4.5, "辣条", "d", "gift"),
    ]


def test_danmaku_that_are_programs_are_left_out_and_advanced_ones_give_their_words(tmp_path: Path) -> None:
    document = """<i><d p="1,7,25,1,0,0,0,0">[0,0,"1-1",4,"高级弹幕",0]</d><d p="2,8,25,1,0,0,0,0">var a=1;</d>
      <d p="3,9,25,1,0,0,0,0">def text x {}</d><d p="4,7,25,1,0,0,0,0">not json</d></i>"""
    read = read_comment_file(written(tmp_path, document))
    assert [comment.text for comment in read.comments] == ["高级弹幕"] and read.skipped == 1


def test_characters_that_xml_forbids_do_not_end_the_file(tmp_path: Path) -> None:
    document = b'<i><d p="1,1">a\x08b</d><d p="2,1">c&#x8;d&#0;&#xFFFF;e &amp; f</d>' + b'<d p="3,1">\xff\xfeg</d></i>'
    texts = [comment.text for comment in read_comments(written(tmp_path, document))]
    assert texts == ["ab", "cde & f", "\ufffd\ufffdg"]


def test_a_reference_is_read_wherever_the_pieces_are_cut(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    document = '<i><d p="1,1,25,1,0,0,0,0" user="&lt;a&gt;">x &amp; y &#x4f60;&#8;&#22909;</d></i>'
    for chunk in range(1, 40):
        monkeypatch.setattr("kuaihl.engines.comments.formats.bilibili.CHUNK", chunk)
        assert read_comments(written(tmp_path, document)) == [Comment(1.0, "x & y 你好", "<a>")]


def test_a_torn_write_costs_one_comment_and_a_second_document_behind_the_first_is_read(tmp_path: Path) -> None:
    torn = '<i><d p="1,1">one</d><d p="2,1">tw<d p="3,1">three</d><d p="4,</d><d p="5,1">five</d></i>'
    read = read_comment_file(written(tmp_path, torn + '<?xml version="1.0"?><i><d p="6,1">six</d></i>'))
    assert [comment.text for comment in read.comments] == ["one", "three", "five", "six"] and read.skipped >= 2


def test_paid_messages_stickers_and_members_of_youtube_have_their_kinds(tmp_path: Path) -> None:
    def entry(name: str, renderer: dict[str, object]) -> dict[str, object]:
        item = {name: {"authorName": {"simpleText": "a"}, **renderer}}
        return {
            "replayChatItemAction": {"actions": [{"addChatItemAction": {"item": item}}], "videoOffsetTimeMsec": "9"}
        }

    emoji = [
        {"emoji": {"emojiId": "😂"}},
        {"text": " hi "},
        {"emoji": {"emojiId": "UC/x", "isCustomEmoji": True, "shortcuts": [":wave:", ":w:"]}},
    ]
    path = written(
        tmp_path,
        lines(
            entry("liveChatPaidMessageRenderer", {"purchaseAmountText": {"simpleText": "$5"}}),
            entry(
                "liveChatPaidMessageRenderer", {"message": {"runs": emoji}, "purchaseAmountText": {"simpleText": "$5"}}
            ),
            entry("liveChatMembershipItemRenderer", {"headerSubtext": {"runs": [{"text": "Welcome!"}]}}),
            entry(
                "liveChatPaidStickerRenderer", {"sticker": {"accessibility": {"accessibilityData": {"label": "a cat"}}}}
            ),
            entry("liveChatPlaceholderItemRenderer", {}),
            {"replayChatItemAction": {"actions": [{"addLiveChatTickerItemAction": {}}], "videoOffsetTimeMsec": "9"}},
        ),
    )
    read = read_comment_file(path)
    assert [(comment.text, comment.kind) for comment in read.comments] == [
        ("$5", "gift"),
        ("😂 hi :wave:", "chat"),
        ("Welcome!", "join"),
        ("a cat", "gift"),
    ]
    assert read.skipped == 0


def test_what_viewers_wrote_while_waiting_does_not_pile_up_at_the_start(tmp_path: Path) -> None:
    waiting = youtube(0, "when does it start")
    renderer = waiting["replayChatItemAction"]["actions"][0]["addChatItemAction"]["item"]  # type: ignore[index]
    renderer["liveChatTextMessageRenderer"]["timestampText"] = {"simpleText": "-1:02:03"}
    read = read_comment_file(written(tmp_path, lines(waiting, youtube(0.5, "here we go"))))
    assert [comment.text for comment in read.comments] == ["here we go"] and read.before_start == 1


def test_subscriptions_on_twitch_are_gifts_and_cheers_are_words(tmp_path: Path) -> None:
    sub = twitch(1, "a subscribed", user_notice_params={"msg_id": "sub"})
    path = written(tmp_path, json.dumps({**HEADER, "comments": [sub, twitch(2, "Cheer100 nice", bits_spent=100)]}))
    assert [comment.kind for comment in read_comments(path)] == ["gift", "chat"]


def test_what_was_paid_is_read_where_a_form_tells_it(tmp_path: Path) -> None:
    cheer = json.dumps({**HEADER, "comments": [twitch(2, "Cheer100 nice", bits_spent=100)]})
    paid = {**downloaded(1, "take my money", "paid_message"), "money": {"text": "$5", "amount": 5, "currency": "USD"}}
    ours = {"time": 1, "text": "rocket", "kind": "gift", "value": 9.5}
    for text, value in ((cheer, 100.0), (lines(paid), 5.0), (lines(ours), 9.5)):
        assert [comment.value for comment in read_comments(written(tmp_path, text))] == [value]


@pytest.mark.parametrize("value", [0, -5, "much", None, True, 1e300, "nan", [1], "9" * 400])
def test_what_is_no_amount_was_not_paid(value: object, tmp_path: Path) -> None:
    line = {"time": 1, "text": "rocket", "value": value}
    assert read_comments(written(tmp_path, lines(line))) == [Comment(1.0, "rocket")]


@pytest.mark.parametrize(
    ("shown", "value"),
    [
        ("CA$5.00", 5.0),
        ("¥1,000", 1000.0),
        ("5,00 €", 5.0),
        ("₹1,000.50", 1000.5),
        ("1.000,50 €", 1000.5),
        ("free", None),
    ],
)
def test_a_price_is_read_in_any_language(shown: str, value: float | None, tmp_path: Path) -> None:
    said = youtube(1, "")
    item = said["replayChatItemAction"]["actions"][0]["addChatItemAction"]["item"]  # type: ignore[index]
    item["liveChatPaidMessageRenderer"] = {"purchaseAmountText": {"simpleText": shown}}
    assert [comment.value for comment in read_comments(written(tmp_path, lines(said)))] == [value]


def test_chat_downloader_leaves_out_the_pinned_copy_of_a_paid_message(tmp_path: Path) -> None:
    paid = {**downloaded(1, "take my money", "paid_message"), "money": {"text": "$5", "amount": 5, "currency": "USD"}}
    ticker = {**paid, "message_type": "ticker_paid_message_item"}
    assert len(read_comments(written(tmp_path, lines(paid, ticker)))) == 1


@needs_chat
def test_the_real_danmaku_file_is_read_whole() -> None:
    # 1200 `<d` elements; the earliest and latest by their first field, with their texts, read off the raw file.
    read = read_comment_file(CHAT / "bilibili_1200.xml")
    assert (len(read.comments), read.skipped, read.before_start) == (1200, 0, 0)
    assert read.comments[0] == Comment(0.0, "第一次这么前！", "330c5c86")
    assert read.comments[-1] == Comment(180.488, "截我", "6fcb8331")
    assert Comment(70.479, "同不知道看哪只的打算先盯一只，然后再看一遍", "95fb08") in read.comments


@needs_chat
def test_the_real_youtube_page_is_read_whole() -> None:
    # 47 text messages and a paid one, and a placeholder that is nobody's; 101308 and 3747045 ms in the raw file.
    read = read_comment_file(CHAT / "youtube_innertube_47.json")
    assert (len(read.comments), read.skipped) == (48, 0)
    assert read.comments[0] == Comment(101.308, "や", "だにょぉぉーん Frisk")
    assert read.comments[-1].time == 3747.045 and read.comments[-1].text == "because everybody love good music"
    assert Comment(3269.119, "Hello from Czech Republic", "Svatopluk Čech", value=20.0) in read.comments


@needs_chat
def test_the_real_shape_of_a_twitch_comment_is_read() -> None:
    assert read_comments(CHAT / "twitch_comment_made_up.json") == [Comment(2345.678, "Hello world :)", "TestUserName")]


def test_a_track_gives_each_comment_to_exactly_one_segment() -> None:
    track = CommentTrack([Comment(time, str(time)) for time in (60.0, 0.0, 29.999, 30.0, 45.0)])
    assert [comment.time for comment in track.take(0, 30)] == [0.0, 29.999]
    assert [comment.time for comment in track.take(30, 60)] == [30.0, 45.0]
    assert [comment.time for comment in track.take(60, 90)] == [60.0]
    assert track.take(90, 120) == () and track.take(30, 30) == () and len(track) == 5


@pytest.mark.parametrize("shown", ["-" + ":".join(["1"] * 200), "-" + "9" * 5000, "-", "-:", "\u2212\u0661:05"])
def test_a_position_that_no_player_shows_does_not_end_the_file(shown: str, tmp_path: Path) -> None:
    torn = youtube(5, "hi")
    (action,) = torn["replayChatItemAction"]["actions"]  # type: ignore[index]
    action["addChatItemAction"]["item"]["liveChatTextMessageRenderer"]["timestampText"] = {"simpleText": shown}
    assert [comment.time for comment in read_comments(written(tmp_path, lines(torn, youtube(7, "ho"))))] == [5.0, 7.0]


def test_danmaku_with_thousands_of_unescaped_places_are_read(tmp_path: Path) -> None:
    row = '<d p="{0},1,25,1,0,0,0,0">good</d>'
    rows = [row.format(time) + (row.format(time).replace("good", "R&B <3") if time % 2 else "") for time in range(6000)]
    read = read_comment_file(written(tmp_path, "<i>" + "\n".join(rows) + "</i>"))
    assert len(read.comments) >= 5990 and read.skipped >= 2900
    with pytest.raises(SourceError, match="not XML in 1,001 places"):
        read_comments(written(tmp_path, "<i>" + '<d p="1">&<' * 5000))


@pytest.mark.parametrize("declared", ["GBK", "gb2312", "GB18030", "Big5", "Shift_JIS", "EUC-JP", "UTF-16"])
def test_an_encoding_that_xml_declares_is_honoured(declared: str, tmp_path: Path) -> None:
    document = FILES["the site's XML"].replace("UTF-8", declared).replace("ü", "u")
    assert [comment.text for comment in read_comments(written(tmp_path, document.encode(declared)))] == [
        text.replace("ü", "u") for _, text in sorted(SAID)
    ]


@pytest.mark.parametrize("declared", ["zip", "punycode", "idna", "utf-7", "UTF-16", "nonsense", "x" * 500])
def test_a_declaration_that_cannot_be_true_is_not_followed(declared: str, tmp_path: Path) -> None:
    document = FILES["the site's XML"].replace("UTF-8", declared)
    assert len(read_comments(written(tmp_path, document))) == 3


ONE = lines({"time": 1, "text": "one"}).encode()
HOSTILE = {
    "brackets in each line": lambda: ONE + b"[1,\n" * 125_000,
    "braces in each line": lambda: ONE + b'{"a":\n' * 100_000,
    "an array of nothing": lambda: ONE + b"[" + b"[]," * 1_000_000,
    "a value of a million parts": lambda: ONE + b"[[" + b"[]," * 3_000_000,
    "an object of a million members": lambda: b'{"streamer":1,"video":2,' + b'"k":[],' * 1_000_000,
    "a row of commas": lambda: b"message,time_in_seconds\none,1\n" + b"," * 30_000_000,
    "packed NULs": lambda: gzip.compress(ONE + bytes(100 << 20)),
    "NULs in XML": lambda: b'<i><d p="1,1,25,1">one</d>' + bytes(10 << 20),
    "tags without end": lambda: b'<i><d p="1,1,25,1">one</d>' + b"<d " * 40_000,
}


@pytest.mark.parametrize("kind", HOSTILE)
def test_work_on_a_hostile_file_is_bounded(kind: str, tmp_path: Path) -> None:
    path = written(tmp_path, HOSTILE[kind]())
    began = time.process_time()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss  # kilobytes
    try:
        assert [comment.text for comment in read_comments(path)] == ["one"]
    except SourceError as error:
        assert str(path) in str(error)
    assert time.process_time() - began < 10.0
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 300 << 10
