"""Compressed audio in, 16 kHz mono out, every sample at its place on the stream's clock; silence fills the holes.

Audio is decoded as it passes, and resampled some ten times per second. Consecutive packets form one piece of sound; a
new piece begins if their times differ by more than DRIFT.
"""

from contextlib import suppress
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from kuaihl.engines.ingest.packets import TimedPacket
from kuaihl.engines.segmenter.resampler import Resampler
from kuaihl.engines.types import SAME_TIME, SAMPLE_RATE, Audio, Event

if TYPE_CHECKING:
    from av.audio.fifo import AudioFifo
    from av.audio.frame import AudioFrame
    from av.audio.stream import AudioStream
    from av.packet import Packet

_DRIFT = 0.1  # seconds by which sound may drift from its time stamps before it is moved back
_BATCH_SECONDS = 0.09  # of sound resampled in one go: each costs time, but the buffers take eight times its memory
_TELLING_SECONDS = 1.0  # of media per event about damage, however many packets are damaged
_FULL_SCALE = 32768.0  # 16-bit samples: FFmpeg scales the mix to mono so that it cannot clip, but only for integers


class AudioDecoder:
    """The stream's audio between the decoder and the segments; holds the sound that no segment has taken yet."""

    def __init__(self, start: float = 0.0) -> None:
        self.events: list[Event] = []  # faults found while decoding, for the caller to take
        self.heard = False  # some audio has come
        self.end = start  # how far the sound has come, in seconds
        self.blocks: list[tuple[int, NDArray[np.int16]]] = []  # position in samples since 0, and the samples
        self.position = 0  # where the resampler's next sample belongs
        self.queued_from = 0.0  # where the queue of sound not yet resampled begins
        self.stream: AudioStream | None = None
        self.tick = 0.0  # seconds per unit of its time stamps
        self.shift = 0.0  # from the source's clock to ours
        self.fifo: AudioFifo | None = None
        self.resampler: Resampler | None = None

    def push(self, timed: TimedPacket) -> None:
        """Decode a packet; damaged ones leave silence and a `corrupt` event."""
        import av

        packet = timed.packet
        shift = timed.time - timed.media_time
        if packet.stream is not self.stream or not -SAME_TIME < shift - self.shift < SAME_TIME:
            self.settle(packet, shift)
        assert self.stream is not None
        try:
            for frame in self.stream.codec_context.decode(packet):
                pts = frame.pts
                time = self.end if pts is None else pts * self.tick + self.shift
                if self.fifo is None or not -_DRIFT < time - self.end < _DRIFT:
                    self.begin(frame, time)
                self.queue(frame)
        except av.FFmpegError as error:
            if not self.events or timed.time > self.events[-1].time + _TELLING_SECONDS:
                self.events.append(Event("corrupt", timed.time, f"audio that cannot be decoded ({error.strerror})"))

    def settle(self, packet: "Packet[Any]", shift: float) -> None:
        """Move to another decoder or another place on the clock, and take the rest of the sound from the old one."""
        self.heard = True
        if packet.stream is not self.stream or abs(shift - self.shift) > _DRIFT:
            self.drain()
        self.stream = packet.stream
        self.tick = float(packet.time_base)
        self.shift = shift

    def drain(self) -> None:
        """Queue the decoder's last frames, at their old place."""
        import av

        if self.stream is not None:
            with suppress(av.FFmpegError):  # the rest is damaged: nothing audible is lost
                for frame in self.stream.codec_context.decode(None):
                    if self.fifo is not None:
                        self.queue(frame)
            self.stream.codec_context.flush_buffers()
        self.flush()

    def queue(self, frame: "AudioFrame") -> None:
        """Add decoded sound that follows the queue."""
        assert self.fifo is not None
        frame.pts = None  # its place is kept here
        try:
            self.fifo.write(frame)
        except ValueError:  # another rate, layout or sample format
            self.events.append(Event("header_change", self.end, f"the audio is now {_sound_words(frame)}"))
            self.begin(frame, self.end)
            self.fifo.write(frame)
        self.end += frame.samples / frame.sample_rate
        if self.end > self.queued_from + _BATCH_SECONDS:
            self.resample()

    def begin(self, frame: "AudioFrame", time: float) -> None:
        """Start a piece of sound that does not follow the one before it."""
        from av.audio.fifo import AudioFifo

        self.flush()
        self.fifo = AudioFifo()
        self.resampler = Resampler()
        self.end = self.queued_from = time
        self.position = round(time * SAMPLE_RATE)

    def resample(self) -> None:
        """Turn the whole queue into samples at their place."""
        assert self.fifo is not None and self.resampler is not None
        self.queued_from = self.end
        if (queued := self.fifo.read()) is not None:
            queued.pts = None
            self.store(self.resampler.resample(queued))

    def flush(self) -> None:
        """End a piece: nothing stays in the queue or the resampler."""
        if self.fifo is not None and self.resampler is not None:
            self.resample()
            self.store(self.resampler.resample(None))
            self.resampler = None
            self.fifo = None

    def store(self, frames: "list[AudioFrame]") -> None:
        for frame in frames:
            samples = np.asarray(frame.to_ndarray(), np.int16).reshape(-1)
            self.blocks.append((self.position, samples))
            self.position += samples.size

    def finish(self) -> None:
        """The stream has ended: empty the decoder and the resampler."""
        self.drain()

    def take(self, start: float, end: float) -> Audio:
        """The sound of [start, end), to which no later packet adds; empty if the stream has had none so far."""
        if not self.heard:
            return np.zeros(0, np.float32)
        if self.fifo is not None:
            self.resample()
        first, last = round(start * SAMPLE_RATE), round(end * SAMPLE_RATE)
        audio = np.zeros(last - first, np.float32)
        for position, samples in self.blocks:
            begin, stop = max(position, first), min(position + samples.size, last)
            if begin < stop:
                audio[begin - first : stop - first] = samples[begin - position : stop - position]
        audio /= _FULL_SCALE
        self.blocks = [(position, samples) for position, samples in self.blocks if position + samples.size > last]
        return audio


def _sound_words(frame: "AudioFrame") -> str:
    return f"{frame.sample_rate} Hz, {frame.layout.name}"
