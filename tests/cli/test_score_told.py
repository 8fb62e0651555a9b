"""`kuaihl score` with programs that are told."""

import json
from pathlib import Path

import pytest
from support.command import assert_one_line, kuaihl
from support.event_receiver import event_receiver
from support.paths import EXAMPLES

DEMO = str(EXAMPLES / "demo.flv")
QUICK = ("--asr", "none", "--segment-seconds", "10", "--no-comments")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--webhook", "host/hook"], ["--webhook host/hook", "not an address of http:// or https://"]),
        (["--webhook", "ftp://me:pw@host/x?key=1"], ["--webhook ftp://host/x:"]),
        (["--redis", "http://host"], ["--redis http://host", "redis://"]),
        (["--redis-stream", "x"], ["--redis-stream says how --redis works", "give both"]),
        (["--kafka", "host/topic"], ["--kafka host/topic", "HOST:PORT"]),
        (["--nats", "nats://me:pw@host/a b"], ["--nats nats://host/a b: not nats://HOST:PORT/SUBJECT"]),
        (["--on-highlight", "no-such-program"], ["--on-highlight no-such-program", "no program"]),
        (["--events", "."], ["--events .: a folder"]),
        (["--events", "gone/x.jsonl"], ["--events gone/x.jsonl: there is no folder gone"]),
        (["--events", "-", "--json"], ["--json and --events -", "standard output"]),
        (["--webhook", "http://host", "--webhook-secret-file", "none.txt"], ["--webhook-secret-file none.txt: cannot"]),
        (["--kafka", "host:9092/x", "--kafka-config", "none.txt"], ["--kafka-config none.txt: cannot be read"]),
        (
            ["--kafka", "host:9092/x", "--kafka-config", __file__],
            ["--kafka-config /", "line 1: not NAME=VALUE"],
        ),
    ],
)
def test_what_cannot_be_used_is_one_line_before_anything_is_loaded(
    tmp_path: Path, options: list[str], words: list[str]
) -> None:
    assert_one_line(kuaihl("score", DEMO, "-o", str(tmp_path / "out"), *options), 2, *words)
    assert not (tmp_path / "out").exists()


def test_a_secret_is_read_from_its_file_or_variable_and_never_shown(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("hunter2\n")
    command = ("score", DEMO, "-o", str(tmp_path / "out"), "--webhook", "http://host/")
    for result in (
        kuaihl(*command, "--webhook-secret-file", str(tmp_path / "secret")),
        kuaihl(*command, KUAIHL_WEBHOOK_SECRET="hunter2"),
    ):
        assert_one_line(result, 2, "the secret for webhooks has 7 bytes", "openssl rand")
        assert "hunter2" not in result.stderr


def test_a_filter_that_is_none_is_one_line_before_anything_is_loaded(tmp_path: Path) -> None:
    result = kuaihl("score", DEMO, "-o", str(tmp_path / "out"), "--ignore-words", "/(/")
    assert_one_line(result, 2, "--ignore-words /(/", "no regular expression")


@pytest.mark.slow
def test_events_on_standard_output_are_all_that_is_there_and_a_webhook_gets_the_same(tmp_path: Path) -> None:
    note = tmp_path / "closed"
    hook = f"sh -c 'echo \"$KUAIHL_HIGHLIGHT_START\" >> {note}'"
    with event_receiver() as receiver:
        options = ("--events", "-", "--webhook", receiver.url, "--on-highlight", hook)
        result = kuaihl("score", DEMO, "-o", str(tmp_path / "out"), *QUICK, *options)
        assert result.returncode == 0, result.stderr
        told = [json.loads(line) for line in result.stdout.splitlines()]
        assert receiver.taken == told
    scores = (tmp_path / "out" / "scores.jsonl").read_text(encoding="utf-8").splitlines()
    assert sum(one["type"] == "kuaihl.segment.scored" for one in told) == len(scores)
    closed = [str(one["data"]["start"]) for one in told if one["type"] == "kuaihl.highlight.closed"]
    assert closed and note.read_text().split() == closed
    assert told[-1]["type"] == "kuaihl.run.finished"
    again = kuaihl("score", DEMO, "-o", str(tmp_path / "out"), *QUICK, "--events", "-", "--resume")
    assert (again.returncode, again.stdout) == (0, "")
