"""The committed demo broadcast is what its script says: lengths, times, comments, and the truth beside it."""

import json
import subprocess
import sys
from pathlib import Path

import av
import pytest
from support.paths import EXAMPLES

from kuaihl.engines.comments.reader import read_comment_file


@pytest.fixture(scope="module")
def events() -> dict[str, object]:
    truth: dict[str, object] = json.loads((EXAMPLES / "demo.events.json").read_text(encoding="utf-8"))
    return truth


def test_the_demo_is_small_and_has_a_keyframe_every_two_seconds_and_sound_to_the_end() -> None:
    path = EXAMPLES / "demo.flv"
    assert path.stat().st_size < 10_000_000
    with av.open(str(path)) as container:
        assert container.format.name == "flv"
        video, audio = container.streams.video[0], container.streams.audio[0]
        assert (video.codec_context.name, audio.codec_context.name) == ("h264", "aac")
        keyframes, last = [], {"video": 0.0, "audio": 0.0}
        for packet in container.demux(video, audio):
            if packet.pts is None:
                continue
            time = float(packet.pts * packet.time_base)
            assert time >= last[packet.stream.type] - 1e-6
            last[packet.stream.type] = time
            if packet.stream.type == "video" and packet.is_keyframe:
                keyframes.append(time)
    assert keyframes == pytest.approx([2.0 * number for number in range(135)], abs=0.002)
    assert last["video"] == pytest.approx(269.96, abs=0.01) and 269.8 < last["audio"] < 269.97


def test_its_comments_are_all_read_and_crowd_where_the_truth_says_it_is_exciting(events: dict[str, object]) -> None:
    read = read_comment_file(EXAMPLES / "demo.comments.xml")
    assert read.format == "Bilibili danmaku XML" and read.skipped == 0 and len(read.comments) > 150
    assert {comment.kind for comment in read.comments} == {"chat", "gift"}
    highlights: list[dict[str, float]] = events["highlights"]  # type: ignore[assignment]
    inside = [
        comment for comment in read.comments if any(span["start"] <= comment.time < span["end"] for span in highlights)
    ]
    covered = sum(span["end"] - span["start"] for span in highlights)
    assert len(inside) / covered > 4 * (len(read.comments) - len(inside)) / (270 - covered)


def test_the_script_says_what_to_install_where_no_synthesiser_is(tmp_path: Path) -> None:
    pytest.importorskip("PIL")
    done = subprocess.run(
        [sys.executable, str(EXAMPLES / "make_demo_stream.py"), "--output", str(tmp_path)],
        env={"PATH": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode != 0 and "apt-get install flite" in done.stderr and "Traceback" not in done.stderr
