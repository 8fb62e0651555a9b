"""Comments of bots, and comments that say nothing of the stream, are left out on demand."""

import pytest

from kuaihl.engines.comments.filters import make_filter
from kuaihl.engines.types import Comment
from kuaihl.models.errors import UsageError

CHAT = [
    Comment(1, "谢谢 mia 的辣条", "ThankBot"),
    Comment(2, "what a goal", "mia"),
    Comment(3, "!uptime", "leo"),
    Comment(4, "thankbot is here", "bot_7"),
    Comment(5, "nobody knows who I am"),
]


@pytest.mark.parametrize(
    ("users", "words", "left"),
    [
        ([], [], [1, 2, 3, 4, 5]),
        (["thankbot"], [], [2, 3, 4, 5]),  # the whole name, in any case, and not the words
        (["bot"], [], [1, 2, 3, 4, 5]),
        (["/bot/"], [], [2, 3, 5]),
        ([], ["谢谢"], [2, 3, 4, 5]),
        ([], ["GOAL", "uptime"], [1, 4, 5]),
        ([], ["/^!\\w/"], [1, 2, 4, 5]),
        (["thankbot"], ["/^!/"], [2, 4, 5]),
        (["/^$/"], [], [1, 2, 3, 4, 5]),  # nobody has no name to be known by
        ([], ["."], [1, 2, 3, 4, 5]),  # a text is no pattern
    ],
)
def test_what_is_left(users: list[str], words: list[str], left: list[int]) -> None:
    keep = make_filter(users, words)
    assert [comment.time for comment in CHAT if keep(comment)] == left


@pytest.mark.parametrize(("users", "words"), [(["/(/"], []), ([], ["/[/"]), ([""], []), ([], [" "])])
def test_what_is_no_filter_is_refused(users: list[str], words: list[str]) -> None:
    with pytest.raises(UsageError, match="ignore_"):
        make_filter(users, words)
