"""The command's words for an error: options and commands that exist, and plain words for all else."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from kuaihl.engines.archive.jobs import Job, JobResult
from kuaihl.models.errors import ModelError, Remedy, SourceError, UsageError
from kuaihl_cli.main import main
from kuaihl_cli.terminal.archive_progress import result_words
from kuaihl_cli.terminal.errors import OPTIONS, error_words


@pytest.fixture(autouse=True)
def options() -> Iterator[None]:
    """The options of a command that runs."""
    token = OPTIONS.set(frozenset({"--device", "--comments-offset", "--frames", "--timeout", "--split"}))
    yield
    OPTIONS.reset(token)


def test_a_setting_reads_as_the_option_that_it_is() -> None:
    assert error_words(UsageError("give auto", setting="device", value="cuda:9")) == "--device cuda:9: give auto"
    assert error_words(UsageError("too long", setting="comments_offset", value=1e6)).startswith(
        "--comments-offset 1000000"
    )
    assert error_words(UsageError("give one", setting="split")) == "--split: give one"


def test_what_the_command_has_no_option_for_keeps_its_plain_words() -> None:
    error = UsageError("give auto", setting="engine", value="vulkan", remedy=Remedy("retry", {"precision": "fp32"}))
    assert error_words(error) == str(error) == "engine 'vulkan': give auto; retry"


def test_a_remedy_names_the_options_to_give() -> None:
    error = SourceError("no data came", remedy=Remedy("wait longer", {"timeout": None}))
    assert error_words(error) == "no data came; wait longer (--timeout)"
    error = SourceError("cut off", remedy=Remedy("take keyframes", {"frames": "keyframe"}))
    assert error_words(error) == "cut off; take keyframes (--frames keyframe)"


def test_a_remedy_that_is_a_command_can_be_pasted() -> None:
    remedy = Remedy("compile it", {"to": "onnx", "portable": True}, "export", ("my bundle",))
    words = error_words(ModelError("never compiled", remedy=remedy))
    assert words == "never compiled; compile it: kuaihl export 'my bundle' --to onnx --portable"


def test_a_room_of_a_batch_failed_in_the_same_words() -> None:
    error = SourceError("cut off", remedy=Remedy("take keyframes", {"frames": "keyframe"}))
    for reason, said in ((error, "cut off; take keyframes (--frames keyframe)"), ("its process died",) * 2):
        assert result_words(JobResult(Job("a.flv", Path("a")), "failed", reason)) == f"a.flv: FAILED: {said}"


def test_the_options_are_those_of_the_command_that_ran(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    import kuaihl_cli.commands.doctor as doctor

    def fail() -> None:
        raise UsageError("no such place", setting="log_file", value="x", remedy=Remedy("ask", {"device": "cpu"}))

    monkeypatch.setattr(doctor, "examine", fail)
    with pytest.raises(SystemExit) as ended:
        main(["doctor"])
    assert ended.value.code == 2
    assert capsys.readouterr().err == "kuaihl: error: --log-file x: no such place; ask\n"
