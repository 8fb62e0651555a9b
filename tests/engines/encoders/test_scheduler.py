"""The encoders of many rooms: nobody waits for a batch to fill, and nobody goes short for another's sake."""

import threading
import time
from collections.abc import Iterable, Sequence

import numpy as np
import pytest
from support.small_model import SmallText, SmallTranscriber, SmallVision, small_encoders

from kuaihl.engines.encoders.encode import encode
from kuaihl.engines.encoders.profiles import Encoders
from kuaihl.engines.encoders.scheduler import Closed, Scheduler
from kuaihl.engines.serving.settings import MAX_WAIT
from kuaihl.engines.types import Comment, EncodedSegment, Frame, Segment
from kuaihl.models.features import Float16


def segments(number: int, *, room: int = 0, loud: bool = True) -> Iterable[Segment]:
    draw = np.random.default_rng(room)
    for index in range(number):
        start = index * 30.0
        frames = tuple(Frame(start + k, draw.integers(0, 255, (24, 32, 3), np.uint8)) for k in range(3))
        audio = np.full(16_000 * (3 + room) if loud else 0, 0.1, np.float32)
        yield Segment(index, start, start + 30, frames, audio, (Comment(start, "wow " * room),), has_chat=True)


class Room(threading.Thread):
    """A room that hands in its segments one after another."""

    def __init__(
        self, scheduler: Scheduler, encoders: Encoders, given: Iterable[Segment], *, patient: bool = False
    ) -> None:
        super().__init__(daemon=True)
        self.scheduler, self.encoders, self.given, self.patient = scheduler, encoders, given, patient
        self.encoded: list[EncodedSegment] = []
        self.took: list[float] = []
        self.error: BaseException | None = None
        self.start()

    def run(self) -> None:
        try:
            began = time.monotonic()
            for one in self.scheduler.encode(self.given, self.encoders, patient=self.patient):
                self.took.append(time.monotonic() - began)
                self.encoded.append(one)
                began = time.monotonic()
        except Exception as error:
            self.error = error


def finish(*rooms: Room) -> None:
    for room in rooms:
        room.join(20)
        assert not room.is_alive()


def test_a_room_gets_the_features_that_it_would_get_alone() -> None:
    encoders = small_encoders(transcriber=SmallTranscriber())
    scheduler = Scheduler(encoders, max_wait=MAX_WAIT)
    rooms = [Room(scheduler, encoders, segments(4, room=room)) for room in range(5)]
    finish(*rooms)
    scheduler.close()
    for number, room in enumerate(rooms):
        alone = list(encode(segments(4, room=number), encoders))
        for ours, theirs in zip(room.encoded, alone, strict=True):
            assert (ours.features.visual == theirs.features.visual).all()
            assert (ours.features.text == theirs.features.text).all()
            np.testing.assert_array_equal(ours.features.signals, theirs.features.signals)
            assert ours.transcript == theirs.transcript and ours.transcript.text == "x" * (3 + number)


def test_what_waits_is_encoded_together_and_nothing_waits_for_more() -> None:
    vision = SmallVision(seconds=0.05)
    encoders = small_encoders(vision=vision)
    scheduler = Scheduler(encoders, max_wait=MAX_WAIT)
    began = time.monotonic()
    finish(*(Room(scheduler, encoders, segments(3, room=room)) for room in range(8)))
    scheduler.close()
    assert sum(vision.calls) == 24 and max(vision.calls) >= 4
    assert time.monotonic() - began < 24 * 0.05


def test_a_room_that_always_has_more_holds_up_no_other() -> None:
    vision = SmallVision(seconds=0.02)
    encoders = small_encoders(vision=vision)
    scheduler = Scheduler(encoders, max_wait=MAX_WAIT)
    greedy = Room(scheduler, encoders, segments(60))
    time.sleep(0.1)
    modest = Room(scheduler, encoders, segments(3, room=1))
    finish(modest)
    assert greedy.is_alive()
    assert max(modest.took) < 5 * 0.02 + 0.1
    finish(greedy)
    scheduler.close()


def test_speech_that_is_not_begun_in_time_is_dropped_and_told() -> None:
    transcriber = SmallTranscriber(seconds=0.4)
    encoders = small_encoders(transcriber=transcriber)
    scheduler = Scheduler(encoders, max_wait=0.2)
    rooms = [Room(scheduler, encoders, segments(4, room=room)) for room in range(6)]
    finish(*rooms)
    assert scheduler.is_behind
    scheduler.close()
    for room in rooms:
        for took, one in zip(room.took, room.encoded, strict=True):
            dropped = [event for event in one.events if event.kind == "overload"]
            assert bool(one.transcript.text) != bool(dropped)
            assert took < 0.2 + 0.4 + 0.2  # the bound, a transcription under way, and slack for a busy machine
            assert all("speech not transcribed: it waited" in event.detail for event in dropped)
            assert np.isnan(one.features.signals).any() or not dropped  # unknown, not silent


def test_speech_that_the_thread_of_the_words_gives_up_is_not_left_lying() -> None:
    # The other threads are busy: nobody else gives it up, or wakes the one that does.
    vision, transcriber = SmallVision(seconds=0.4), SmallTranscriber(seconds=4.0)
    encoders = small_encoders(vision=vision, transcriber=transcriber)
    scheduler = Scheduler(encoders, max_wait=0.2)
    Room(scheduler, encoders, segments(1))
    time.sleep(0.05)
    behind = Room(scheduler, encoders, segments(1, room=1))
    behind.join(3.0)
    assert not behind.is_alive()
    scheduler.close()
    (encoded,) = behind.encoded
    assert not encoded.transcript.text


def test_a_recording_waits_behind_live_rooms_and_loses_nothing() -> None:
    encoders = small_encoders(transcriber=SmallTranscriber(seconds=0.1))
    scheduler = Scheduler(encoders, max_wait=0.15)
    recording = Room(scheduler, encoders, segments(4), patient=True)
    live = [Room(scheduler, encoders, segments(6, room=room)) for room in (1, 2)]
    finish(recording, *live)
    scheduler.close()
    assert all(one.transcript.text for one in recording.encoded) and not any(
        event for one in recording.encoded for event in one.events
    )
    heard = sum(bool(one.transcript.text) for room in live for one in room.encoded)
    assert heard >= 6  # a live room is heard before the recording


def test_each_room_keeps_some_of_its_speech_however_many_there_are() -> None:
    encoders = small_encoders(transcriber=SmallTranscriber(seconds=0.1))
    scheduler = Scheduler(encoders, max_wait=0.15)
    rooms = [Room(scheduler, encoders, segments(12, room=room)) for room in range(4)]
    finish(*rooms)
    scheduler.close()
    heard = [sum(bool(one.transcript.text) for one in room.encoded) for room in rooms]
    assert min(heard) >= 2 and max(heard) <= 3 * min(heard), heard


def test_pictures_that_wait_for_twice_as_long_are_dropped_and_told() -> None:
    encoders = small_encoders(vision=SmallVision(seconds=0.3))
    scheduler = Scheduler(encoders, max_wait=0.2)
    rooms = [Room(scheduler, encoders, segments(4, room=room)) for room in range(24)]
    finish(*rooms)
    assert scheduler.is_behind
    scheduler.close()
    left_out = 0
    for room in rooms:
        for took, one in zip(room.took, room.encoded, strict=True):
            dropped = any(event.kind == "overload" and "pictures" in event.detail for event in one.events)
            assert dropped == (not one.features.visual.any())
            assert took < 2 * 0.2 + 2 * 0.3 + 0.3  # the bound, batches under way, and slack for a busy machine
            left_out += dropped
    assert 0 < left_out < 24 * 4


def test_a_machine_that_keeps_up_drops_nothing() -> None:
    encoders = small_encoders(transcriber=SmallTranscriber(seconds=0.01))
    scheduler = Scheduler(encoders, max_wait=5.0, listeners=2)
    rooms = [Room(scheduler, encoders, segments(3, room=room)) for room in range(6)]
    finish(*rooms)
    assert not scheduler.is_behind and set(scheduler.depths().values()) == {0}
    scheduler.close()
    assert all(one.transcript.text for room in rooms for one in room.encoded)


class FailingText(SmallText):
    """It cannot encode one room's words, nor anything together with them."""

    def encode(self, speech: Sequence[str], comments: Sequence[Sequence[str]]) -> Float16:
        if any("wow wow wow" in " ".join(written) for written in comments):
            raise ValueError("too much wow")
        return super().encode(speech, comments)


def test_a_segment_that_cannot_be_encoded_fails_its_own_room_alone() -> None:
    encoders = small_encoders(text=FailingText())
    scheduler = Scheduler(encoders, max_wait=MAX_WAIT)
    rooms = [Room(scheduler, encoders, segments(5, room=room)) for room in range(4)]
    finish(*rooms)
    scheduler.close()
    assert str(rooms[3].error) == "too much wow"
    assert [len(room.encoded) for room in rooms] == [5, 5, 5, 0]


def test_a_hurried_scheduler_lets_nothing_wait_for_its_speech() -> None:
    encoders = small_encoders(transcriber=SmallTranscriber(seconds=0.5))
    scheduler = Scheduler(encoders, max_wait=60.0)
    rooms = [Room(scheduler, encoders, segments(1, room=room)) for room in range(6)]
    time.sleep(0.1)
    began = time.monotonic()
    scheduler.hurry()
    finish(*rooms)
    scheduler.close()
    assert time.monotonic() - began < 1.0


@pytest.mark.parametrize("loud", [True, False])
def test_a_closed_scheduler_ends_the_rooms_that_wait(loud: bool) -> None:
    encoders = small_encoders(vision=SmallVision(seconds=0.3), transcriber=SmallTranscriber(seconds=0.3))
    scheduler = Scheduler(encoders, max_wait=MAX_WAIT)
    rooms = [Room(scheduler, encoders, segments(9, room=room, loud=loud)) for room in range(3)]
    time.sleep(0.1)
    scheduler.close()
    finish(*rooms)
    assert all(isinstance(room.error, Closed) for room in rooms)
