"""`import kuaihl`: cheap to import, typed, and what the command does as calls."""

import json
import subprocess
import sys
from collections.abc import Callable
from inspect import signature
from pathlib import Path

import pytest
from support.paths import EXAMPLES

import kuaihl

DEMO = EXAMPLES / "demo.flv"
HEAVY = ("torch", "numpy", "av", "transformers", "ctranslate2", "onnxruntime", "matplotlib", "rich", "typer")


@pytest.fixture(scope="module")
def model() -> kuaihl.Model:
    return kuaihl.load("edge", device="cpu", engine="torch", asr="none", threads=1)


def run_python(code: str) -> str:
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60).stdout


def test_importing_it_imports_nothing_heavy() -> None:
    code = f"import kuaihl, sys; kuaihl.score; kuaihl.SourceError; print([m for m in {HEAVY} if m in sys.modules])"
    assert run_python(code).strip() == "[]"


def test_every_public_name_is_there_and_listed() -> None:
    assert set(kuaihl.__all__) <= set(dir(kuaihl))
    for name in kuaihl.__all__:
        assert getattr(kuaihl, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'scoer'"):
        kuaihl.scoer  # type: ignore[attr-defined]  # noqa: B018 - it is the access that raises


def test_a_lazy_name_is_the_engines_own() -> None:
    from kuaihl.engines.scoring.model import Model
    from kuaihl.engines.types import ScoredSegment

    assert kuaihl.Model is Model and kuaihl.ScoredSegment is ScoredSegment


def test_its_version_is_the_installed_one() -> None:
    from importlib.metadata import version

    assert kuaihl.__version__ == version("kuaihl")


def options_of(call: Callable[..., object]) -> dict[str, object]:
    """The keyword arguments of a call, with their defaults."""
    parameters = signature(call).parameters.values()
    return {one.name: one.default for one in parameters if one.kind is one.KEYWORD_ONLY}


def test_every_call_takes_the_same_options_with_the_defaults_of_the_settings() -> None:
    from kuaihl.engines.scoring.settings import ScoreSettings

    of_a_run = options_of(kuaihl.Model.stream)
    assert options_of(kuaihl.Model.score) == of_a_run
    assert options_of(kuaihl.score) == {"model": "edge", **options_of(kuaihl.load), **of_a_run}
    defaults = vars(ScoreSettings()) | {"formats": ()}
    taken = options_of(kuaihl.score)
    assert {name: taken[name] for name in defaults} == defaults
    assert set(taken) - set(defaults) == {"comments", "output", "resume", "streamer"}


def test_errors_are_one_tree_and_a_source_that_may_come_is_a_source_error() -> None:
    for name in ("UsageError", "SourceError", "DataError", "ModelError", "BatchError", "SourceUnavailable"):
        assert issubclass(getattr(kuaihl, name), kuaihl.KuaihlError)
    assert issubclass(kuaihl.SourceUnavailable, kuaihl.SourceError)
    assert kuaihl.SourceUnavailable.exit_code == kuaihl.SourceError.exit_code == 3


def test_a_model_says_what_it_is(model: kuaihl.Model) -> None:
    assert (model.name, model.device, model.engine) == ("edge", "cpu", "torch")
    assert repr(model) == "<Model 'edge' in torch on cpu>"


@pytest.mark.slow
def test_a_part_of_a_recording_is_scored_as_the_command_scores_it(model: kuaihl.Model, tmp_path: Path) -> None:
    result = model.score(DEMO, end=90.0, output=tmp_path / "face", formats=["csv"])
    command = [sys.executable, "-m", "kuaihl_cli", "score", str(DEMO), "-o", str(tmp_path / "command"), "--end", "90"]
    options = ["--device", "cpu", "--engine", "torch", "--asr", "none", "--threads", "1", "--format", "csv"]
    subprocess.run([*command, *options], check=True, capture_output=True, timeout=200)
    for name in ("highlights.json", "highlights.csv"):
        written = [(tmp_path / folder / name).read_text(encoding="utf-8") for folder in ("face", "command")]
        assert written[0] == written[1]
    lines = (tmp_path / "command" / "scores.jsonl").read_text(encoding="utf-8").splitlines()
    scores = [json.loads(line)["score"] for line in lines]
    assert [round(segment.score, 6) for segment in result.segments] == scores
    assert len(scores) == 3


@pytest.mark.slow
def test_a_stream_gives_each_segment_before_the_next_one_is_read(model: kuaihl.Model) -> None:
    stream = model.stream(DEMO, comments=None)
    for segment in stream:
        assert isinstance(segment, kuaihl.ScoredSegment)
        if segment.segment == 1:
            break
    assert [segment.end for segment in stream.segments] == [30.0, 60.0]
    assert stream.highlights == ()
    assert stream.finish().complete is False


def test_a_room_that_is_not_on_air_is_an_error_that_may_pass(model: kuaihl.Model) -> None:
    with pytest.raises(kuaihl.SourceUnavailable):
        model.stream("rtmp://127.0.0.1:1/live/room", timeout=1.0)


def test_what_cannot_be_asked_is_a_usage_error(model: kuaihl.Model) -> None:
    with pytest.raises(kuaihl.UsageError, match="name the output folder"):
        model.score(DEMO, plot=True)
    with pytest.raises(kuaihl.ModelError, match="nowhere"):
        kuaihl.load("nowhere")
