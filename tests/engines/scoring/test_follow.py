"""A recording that is scored while its recorder writes it: the same scores as over the finished file."""

import json
import threading
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from support.media import make
from support.small_model import small_model

from kuaihl.engines.outputs.run_record import reason_to_score
from kuaihl.engines.scoring.model import Model
from kuaihl.engines.scoring.reading import follow_file
from kuaihl.engines.scoring.record import make_record
from kuaihl.engines.scoring.run import Run

SECONDS = 13.0  # of segments of 2 s
DANMAKU = '<d p="{at},1,25,16777215,0,0,ann,0">what a play {at}</d>'


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Model:
    return small_model(tmp_path_factory.mktemp("bundle"))


def lines_of(folder: Path) -> list[dict[str, Any]]:
    found = [json.loads(line) for line in (folder / "scores.jsonl").read_text(encoding="utf-8").splitlines()]
    return [{name: value for name, value in one.items() if name != "wall_time"} for one in found]


@pytest.mark.parametrize("suffix", [".flv", ".mkv"])
def test_a_file_is_scored_while_it_grows_as_it_is_once_it_is_finished(
    model: Model, tmp_path: Path, made: Path, suffix: str
) -> None:
    whole = make(made / f"followed{suffix}", seconds=SECONDS).read_bytes()
    recording, comments = tmp_path / f"day{suffix}", tmp_path / "day.xml"
    recording.write_bytes(whole[: len(whole) // 20])
    comments.write_text("<?xml version='1.0' encoding='utf-8'?><i>" + DANMAKU.format(at=0.5))
    seen = threading.Event()

    def write() -> None:
        with comments.open("a") as chat, recording.open("ab") as media:
            chat.write("".join(DANMAKU.format(at=at) for at in range(1, 8)))
            chat.flush()
            media.write(whole[media.tell() : len(whole) * 6 // 10])
            media.flush()
            assert seen.wait(30)  # some of it was scored
            chat.write("".join(DANMAKU.format(at=at) for at in range(9, 13)) + "</i>")
            chat.flush()
            media.write(whole[media.tell() :])

    writer = threading.Thread(target=write)
    writer.start()
    followed, again = tmp_path / "followed", tmp_path / "again"
    run = Run(
        model,
        str(recording),
        model.settings,
        output=followed,
        comments="auto",
        open_reading=partial(follow_file, settled=1.0),
    )
    for _ in run:
        seen.set()
    assert run.finish().complete
    writer.join()
    Run(model, str(recording), model.settings, output=again, comments="auto").finish()
    assert lines_of(followed) == lines_of(again) and len(lines_of(again)) == 7
    assert sum(one["comments"] for one in lines_of(again)) == 12
    wanted = make_record(str(recording), model.settings, model.bundle, model.encoders.facts, comments=comments)
    assert reason_to_score(followed, wanted) is None


def test_comments_that_came_late_have_it_scored_again(model: Model, tmp_path: Path, made: Path) -> None:
    recording, comments = tmp_path / "day.flv", tmp_path / "day.xml"
    recording.write_bytes(make(made / "followed.flv", seconds=SECONDS).read_bytes())
    comments.write_text("<?xml version='1.0' encoding='utf-8'?><i>" + DANMAKU.format(at=0.5))
    run = Run(
        model,
        str(recording),
        model.settings,
        output=tmp_path / "run",
        comments="auto",
        open_reading=partial(follow_file, settled=0.5),
    )
    for scored in run:
        if scored.segment == 1:
            comments.write_text(comments.read_text() + DANMAKU.format(at=0.7) + "</i>")
    assert run.finish().complete
    wanted = make_record(str(recording), model.settings, model.bundle, model.encoders.facts, comments=comments)
    reason = "the source was still written then, and comments may have come late"
    assert reason_to_score(tmp_path / "run", wanted) == reason


def test_comments_that_a_recorder_begins_later_are_read_as_they_come(model: Model, tmp_path: Path, made: Path) -> None:
    recording, comments = tmp_path / "day.flv", tmp_path / "day.xml"
    recording.write_bytes(make(made / "followed.flv", seconds=SECONDS).read_bytes())
    (tmp_path / "day.json").write_text("{}\n")  # what the recorder notes of the broadcast: it ends no follow
    opened = partial(follow_file, settled=0.5)
    run = Run(model, str(recording), model.settings, output=tmp_path / "run", comments="auto", open_reading=opened)
    on_air = []
    for scored in run:
        on_air.append(scored.comments)
        if scored.segment == 1:
            comments.write_text("<i>" + "".join(DANMAKU.format(at=at) for at in (1, 9, 11)))
    assert on_air[:2] == [0, 0] and sum(on_air) >= 2
    assert [one["detail"] for one in lines_of(tmp_path / "run")[0]["events"]] == [
        f"{tmp_path}/day.json: cannot be followed live; only danmaku XML and lines of JSON can "
        "(kuaihl JSON Lines, yt-dlp live_chat.json, chat-downloader JSON); tried again at each segment"
    ]
    wanted = make_record(str(recording), model.settings, model.bundle, model.encoders.facts, comments=comments)
    assert "still written" in (reason_to_score(tmp_path / "run", wanted) or "")  # the first segments lack theirs
