"""Clips cut while a stream runs: they show what a clip of the recording would, from no more media than is needed."""

import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from support.clip_media import frame_numbers, join_flv, make_recording
from support.flv_parts import part
from support.http_media import media_server

from kuaihl.engines.highlights.clips import Clip, FailedClip, cut_clips
from kuaihl.engines.highlights.live_clips import LiveClips, find_live_clip
from kuaihl.engines.highlights.packet_ring import PacketRing
from kuaihl.engines.ingest.live import ReconnectPolicy, live_packets
from kuaihl.engines.ingest.opening import open_source
from kuaihl.engines.ingest.packets import TimedPacket, packets
from kuaihl.engines.types import Event, Highlight

BRIEF = ReconnectPolicy(tries=2, patience=1.5, first_delay=0.2)
TEMPLATE = "{source}_{rank:02}_{time}"


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """20 s without metadata, as a stream comes: numbered frames, keyframes 2 s apart, pictures out of order."""
    folder = tmp_path_factory.mktemp("recording")
    return join_flv(folder / "room.flv", (make_recording(folder / "whole.flv", seconds=20.0, bframes=2), 0.0))


@pytest.fixture(scope="module")
def other(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Seconds 10 to 20 in another size, as a streamer sends after a change."""
    folder = tmp_path_factory.mktemp("other")
    whole = make_recording(folder / "whole.flv", seconds=10.0, first=10, height=128)
    return join_flv(folder / "other.flv", (whole, 0.0))


def highlight(start: float, end: float) -> Highlight:
    return Highlight(start, end, 0.7, (0,))


class Cutting:
    """A ring, the clips cut from it, and what was said about them."""

    def __init__(self, folder: Path, ring: PacketRing, padding: tuple[float, float] = (0.0, 0.0)) -> None:
        self.said: list[str] = []
        self.events: list[Event] = []
        self.ring = ring
        self.live = LiveClips(ring, folder, "room", TEMPLATE, padding, [], lambda _, said: self.said.append(said))

    def read(self, source: Path, *, until: float = 99.0) -> Iterator[float]:
        """Time after time of a file's packets, as they pass; the file is closed at the end."""
        with open_source(str(source)) as opened:
            yield from self.follow(self.ring.models.noting(packets(opened)), until)

    def follow(self, stream: Iterator[TimedPacket | Event], until: float = 99.0) -> Iterator[float]:
        for item in self.ring.watch(stream):
            if isinstance(item, Event):
                self.events.append(item)
                continue
            yield item.time
            if item.time >= until:
                return

    def clips(self) -> list[Clip | FailedClip]:
        self.live.finish()
        return [one.clip for one in self.live.clips]


def only(found: list[Clip | FailedClip]) -> Clip:
    (clip,) = found
    assert isinstance(clip, Clip), clip
    return clip


@pytest.mark.parametrize("span", [(4.0, 9.0), (5.3, 8.7), (0.0, 3.0)])
def test_a_clip_out_of_the_ring_is_the_clip_of_the_recording(
    span: tuple[float, float], recording: Path, tmp_path: Path
) -> None:
    (tmp_path / "file").mkdir()
    (tmp_path / "live").mkdir()
    wanted = only(cut_clips(str(recording), [highlight(*span)], tmp_path / "file", "room"))
    cutting = Cutting(tmp_path / "live", PacketRing())
    for _ in cutting.read(recording):
        pass
    cutting.live.cut([highlight(*span)])  # the file is closed by now
    clip = only(cutting.clips())
    assert clip.path.name == wanted.path.name
    assert (clip.start, clip.end, clip.size) == (wanted.start, wanted.end, wanted.size)
    assert clip.path.read_bytes() == wanted.path.read_bytes()
    assert cutting.said == [clip.path.name]


def test_a_clip_is_there_while_the_stream_still_runs(recording: Path, tmp_path: Path) -> None:
    cutting = Cutting(tmp_path, PacketRing(), padding=(1.0, 2.0))
    cut = whole = None
    for time in cutting.read(recording):
        if cut is None and time > 9.2:
            cutting.live.cut([highlight(5.5, 9.0)])
            cut = time
        if cut is not None and whole is None and cutting.live.clips:
            whole = time
        if whole is None and time > 12.5:  # the padding, and a second more: all packets are here
            assert wait_for(lambda: bool(cutting.live.clips)), "the clip should have been cut"
    clip = only(cutting.clips())
    assert whole is not None and whole < 13.5
    assert clip.start == pytest.approx(4.0, abs=0.1) and clip.end == pytest.approx(11.0, abs=0.2)
    numbers = [number for _, number in frame_numbers(clip.path)]
    assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))


def wait_for(condition: Callable[[], bool]) -> bool:
    event = threading.Event()
    for _ in range(500):
        if condition():
            return True
        event.wait(0.01)
    return False


def test_the_ring_keeps_no_more_than_a_highlight_may_need(recording: Path, tmp_path: Path) -> None:
    cutting = Cutting(tmp_path, PacketRing())
    most = 0
    for time in cutting.read(recording):
        cutting.live.release(time - 2.0)
        most = max(most, cutting.ring.size)
    assert most < recording.stat().st_size * 5 / 20, "two seconds, and at most one group of pictures before"


def test_what_a_highlight_under_way_needs_is_kept_until_it_is_cut(recording: Path, tmp_path: Path) -> None:
    cutting = Cutting(tmp_path, PacketRing(), padding=(0.0, 6.0))
    for number, time in enumerate(cutting.read(recording)):
        if number == 400:
            assert 5.0 < time < 8.0
            cutting.live.cut([highlight(2.5, 5.0)])
        cutting.live.release(2.5 if number < 400 else time)
    clip = only(cutting.clips())
    assert clip.start == pytest.approx(2.0, abs=0.1) and clip.end == pytest.approx(11.0, abs=0.2)


def test_too_much_media_is_told_once_and_costs_the_oldest(recording: Path, tmp_path: Path) -> None:
    limit = recording.stat().st_size // 4
    cutting = Cutting(tmp_path, PacketRing(most_bytes=limit))
    for _ in cutting.read(recording):
        assert cutting.ring.size <= limit
    assert [event.kind for event in cutting.events] == ["overload", "eof"]
    cutting.live.cut([highlight(2.0, 6.0), highlight(12.0, 20.0)])
    lost, late = cutting.clips()
    assert isinstance(lost, FailedClip) and "MB of media" in lost.reason
    assert isinstance(late, Clip) and 14.0 < late.start < 19.0
    assert frame_numbers(late.path)[0][1] % 50 == 0, "it begins at a keyframe"
    assert "lacks the first" in cutting.said[1]


def test_a_highlight_from_before_this_run_says_so(recording: Path, tmp_path: Path) -> None:
    cutting = Cutting(tmp_path, PacketRing())
    with open_source(str(recording)) as opened:
        stream = packets(opened, start=100.0)  # where an earlier run left it
        for _ in cutting.follow(cutting.ring.models.noting(stream)):
            pass
    cutting.live.cut([highlight(60.0, 90.0), highlight(90.0, 110.0)])
    lost, late = cutting.clips()
    assert isinstance(lost, FailedClip) and "an earlier one read" in lost.reason
    assert isinstance(late, Clip) and late.start == pytest.approx(100.0, abs=0.1)
    assert "lacks the first 10.0 s" in cutting.said[1]


def test_a_clip_joins_nothing_across_missing_media(recording: Path, tmp_path: Path) -> None:
    flv, cutting = recording.read_bytes(), Cutting(tmp_path, PacketRing())
    holed = tmp_path / "holed.flv"
    holed.write_bytes(part(flv, 0, 6.1) + part(flv, 9.9, 20)[13:])
    for _ in cutting.read(holed):
        pass
    assert [event.kind for event in cutting.events] == ["gap", "eof"]
    cutting.live.cut([highlight(3.0, 11.0), highlight(5.0, 16.0)])
    before, after = cutting.clips()
    assert isinstance(before, Clip) and (before.start, before.end) == pytest.approx((2.0, 6.1), abs=0.2)
    assert isinstance(after, Clip) and (after.start, after.end) == pytest.approx((10.0, 16.0), abs=0.2)


def test_a_repeated_tail_joins_without_a_seam(recording: Path, tmp_path: Path) -> None:
    flv, cutting = recording.read_bytes(), Cutting(tmp_path, PacketRing())
    with media_server() as server:
        name = server.live("/live.flv", part(flv, 0, 7.3), part(flv, 6, 14), b"")
        stream = live_packets(name, timeout=2, policy=BRIEF, through=cutting.ring.models.noting)
        for _ in cutting.follow(stream):
            pass
    assert "replay_dropped" in [event.kind for event in cutting.events]
    cutting.live.cut([highlight(4.0, 12.0)])
    numbers = [number for _, number in frame_numbers(only(cutting.clips()).path)]
    assert numbers == list(range(numbers[0], numbers[0] + len(numbers))) and len(numbers) >= 200


def test_a_clip_holds_one_coding(recording: Path, other: Path, tmp_path: Path) -> None:
    cutting = Cutting(tmp_path, PacketRing())
    with media_server() as server:
        parts = part(recording.read_bytes(), 0, 9.9), part(other.read_bytes(), 0, 10)
        stream = live_packets(
            server.live("/live.flv", *parts, b""), timeout=2, policy=BRIEF, through=cutting.ring.models.noting
        )
        end = max(cutting.follow(stream))
    cutting.live.cut([highlight(8.0, end)])
    clip = only(cutting.clips())
    assert clip.size == (256, 128) and clip.start > 9.0
    assert frame_numbers(clip.path)[0][1] == 250


def test_names_count_highlights_as_they_close(recording: Path, tmp_path: Path) -> None:
    cutting = Cutting(tmp_path, PacketRing())
    for _ in cutting.read(recording):
        pass
    cutting.live.cut([highlight(2.0, 5.0)])
    cutting.live.cut([highlight(8.0, 12.0)])
    names = [clip.path.name for clip in cutting.clips() if isinstance(clip, Clip)]
    assert names == ["room_01_00-00-02.mp4", "room_02_00-00-08.mp4"]
    assert {path.name for path in tmp_path.iterdir()} == set(names), "nothing half-written is left"
    first, second = cutting.live.clips
    assert find_live_clip(highlight(1.0, 6.0), cutting.live.clips) == first.clip
    assert find_live_clip(highlight(8.0, 12.0), cutting.live.clips) == second.clip
    assert find_live_clip(highlight(8.5, 11.0), cutting.live.clips) == second.clip
    assert find_live_clip(highlight(1.0, 13.0), cutting.live.clips) == second.clip, "the longer one"
    assert find_live_clip(highlight(9.0, 13.0), cutting.live.clips) == second.clip, "boundaries were moved at the end"
    assert find_live_clip(highlight(11.0, 14.0), cutting.live.clips) is None
