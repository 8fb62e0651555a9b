"""An MP4 is read if its index is there, and otherwise the line says what is missing; FFmpeg calls both damage."""

import os
import threading
from pathlib import Path

import pytest
from support.media import make

from kuaihl.engines.ingest.growing import Growth
from kuaihl.engines.ingest.opening import open_source
from kuaihl.models.errors import SourceError


@pytest.fixture(scope="module")
def mp4(made: Path) -> Path:
    return make(made / "index_last.mp4", seconds=4.0)


def growing() -> Growth:
    return Growth(settled=0.1, stop=threading.Event())


def test_one_that_was_cut_off_lacks_its_index(mp4: Path, tmp_path: Path) -> None:
    data = mp4.read_bytes()
    for name, content in {"half": data[: len(data) // 2], "zeros": data[: len(data) // 2] + bytes(len(data))}.items():
        path = tmp_path / f"{name}.mp4"
        path.write_bytes(content)
        with pytest.raises(SourceError, match=f"{name}.mp4: an MP4 without its index"):
            open_source(str(path))


def test_one_with_its_index_last_is_refused_while_it_grows(mp4: Path, tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="index comes last"):
        open_source(str(mp4), growth=growing())
    first = make(tmp_path / "first.mp4", seconds=4.0, muxer={"movflags": "+faststart"})
    with open_source(str(first), growth=growing()) as source:
        assert source.is_growing
    with open_source(str(mp4)) as source:
        assert source.duration == pytest.approx(4.0, abs=0.2)


def test_one_with_its_index_last_is_refused_from_a_pipe(mp4: Path, tmp_path: Path) -> None:
    pipe = tmp_path / "pipe.mp4"
    os.mkfifo(pipe)
    writer = threading.Thread(target=_write, args=(pipe, mp4.read_bytes()), daemon=True)
    writer.start()
    with pytest.raises(SourceError, match="index comes last"):
        open_source(str(pipe))
    writer.join(timeout=5)
    assert not writer.is_alive()


def _write(pipe: Path, data: bytes) -> None:
    try:
        pipe.write_bytes(data)
    except BrokenPipeError:
        return  # whoever read it has left
