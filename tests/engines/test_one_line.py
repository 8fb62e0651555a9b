"""A text on one line: nothing of it controls, hides or turns the text around it."""

from kuaihl.engines.one_line import one_line


def test_control_and_format_characters_are_gone_and_spaces_are_single() -> None:
    assert one_line(" a\x00b\n\tc\u202ed\u2066e\u2028f\u00a0g\ue000\ufeff ") == "ab cde f g"


def test_a_byte_that_is_not_utf_8_is_seen() -> None:
    assert one_line(b"caf\xe9.mp4".decode("utf-8", "surrogateescape")) == "caf\ufffd.mp4"


def test_letters_and_emoji_that_are_joined_stay_whole() -> None:
    assert one_line("日本語 👩‍🚀 مرحبا می‌خواهم") == "日本語 👩‍🚀 مرحبا می‌خواهم"


def test_a_long_text_is_cut() -> None:
    assert one_line("abcdef", 4) == "abc…" and one_line("abcd", 4) == "abcd"
