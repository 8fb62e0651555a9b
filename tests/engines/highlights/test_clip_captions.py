"""Captions beside a clip and in its picture, cut from a recording."""

from pathlib import Path

import av
import numpy as np
import pysubs2
import pytest
from support.clip_media import make_recording

from kuaihl.engines.highlights.clip_style import CaptionsName, ClipStyle
from kuaihl.engines.highlights.clips import Clip, FailedClip, cut_clips
from kuaihl.engines.types import Highlight, ScoredSegment, Sentence


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_recording(tmp_path_factory.mktemp("spoken") / "room.mp4", height=128)


SAID = Sentence(5.0, 9.0, "over the start"), Sentence(9.0, 10.5, "inside {big}"), Sentence(12.5, 14.0, "after it")


def cut(
    recording: Path, folder: Path, captions: CaptionsName | None, said: tuple[Sentence, ...] = SAID
) -> list[Clip | FailedClip]:
    scored = ScoredSegment(0, 0.0, 20.0, 20.0, 40.0, 0.5, "", 0, False, 0.0, None, said)
    spans = [Highlight(7.3, 12.0, 0.5, (0,)), Highlight(15.0, 18.0, 0.4, (0,))]
    style = ClipStyle(clips=True, captions=captions)
    return cut_clips(str(recording), spans, folder, "room", style=style, scored=[scored])


def test_a_file_beside_a_clip_counts_from_the_clips_own_start(recording: Path, tmp_path: Path) -> None:
    spoken, silent = cut(recording, tmp_path, "ass")
    assert isinstance(spoken, Clip) and isinstance(silent, Clip)
    assert spoken.captions == spoken.path.with_suffix(".ass") and silent.captions is None
    file = pysubs2.load(str(spoken.captions), encoding="utf-8")
    assert spoken.start == pytest.approx(6.0, abs=0.03), "the keyframe, for it is copied"
    assert [(round(one.start / 1000 + spoken.start, 1), one.text) for one in file.events] == [
        (6.0, "over the start"),
        (9.0, "inside ｛big｝"),
    ]
    assert (file.info["PlayResX"], file.info["PlayResY"]) == ("256", "128")
    assert sorted(path.suffix for path in tmp_path.iterdir()) == [".ass", ".mp4", ".mp4"]
    assert isinstance(cut(recording, tmp_path, None)[0], Clip)
    assert sorted(path.suffix for path in tmp_path.iterdir()) == [".mp4", ".mp4"], "it would not fit another clip"


def test_burnt_captions_are_in_the_picture_while_they_are_spoken(recording: Path, tmp_path: Path) -> None:
    clip = cut(recording, tmp_path, "burn")[0]
    assert isinstance(clip, Clip) and (clip.cut, clip.start, clip.captions) == ("encode", 7.3, None)
    with av.open(str(clip.path)) as container:
        frames = [
            (clip.start + float(frame.time or 0), frame.to_ndarray(format="gray"))
            for frame in container.decode(video=0)
        ]
    # The recording's bars are the same in every row of a frame.
    edges = {time: int(np.abs(np.diff(pixels[64:].astype(int), axis=0)).max()) for time, pixels in frames}
    assert all((edge > 60) == (time < 10.5 - 0.01) for time, edge in edges.items() if abs(time - 10.5) > 0.05)


def test_a_clip_whose_letters_no_font_has_fails_alone(recording: Path, tmp_path: Path) -> None:
    spoken, silent = cut(recording, tmp_path, "burn", (Sentence(8.0, 10.0, "a \U00012000"),))
    assert isinstance(spoken, FailedClip) and "no font of this machine can draw" in spoken.reason
    assert isinstance(silent, Clip)
