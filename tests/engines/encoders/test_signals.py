"""Signals of sound and pictures, and of whole segments: sounds are made here, but for speech, and values known."""

import math

import numpy as np
import pytest
from numpy.typing import NDArray
from support.speech_media import clip

from kuaihl.engines.encoders.signals.measure import SignalMeter
from kuaihl.engines.encoders.signals.pictures import make_thumbnail, picture_signals
from kuaihl.engines.encoders.signals.sound import loudness_of, sound_signals
from kuaihl.engines.types import SAMPLE_RATE, Audio, Comment, Frame, RgbImage, Segment, Transcript
from kuaihl.models.signals import GROUPS, SIGNAL_NAMES, SIGNALS, Floats

SECONDS = 30
TIMES = np.arange(SECONDS * SAMPLE_RATE) / SAMPLE_RATE


def tone(frequency: float, amplitude: float = 0.1) -> Audio:
    return (amplitude * np.sin(2 * np.pi * frequency * TIMES)).astype(np.float32)


def pink_noise(seed: int = 0) -> Audio:
    """1/f noise of deviation 1."""
    spectrum = np.fft.rfft(np.random.default_rng(seed).standard_normal(TIMES.size))
    noise = np.fft.irfft(spectrum / np.sqrt(np.maximum(np.arange(spectrum.size), 1)), TIMES.size)
    return (noise / noise.std()).astype(np.float32)


def between(start: float, end: float) -> NDArray[np.float32]:
    return ((start <= TIMES) & (end > TIMES)).astype(np.float32)


def test_loudness_is_the_mean_square() -> None:
    found = sound_signals(tone(1000, amplitude=0.1))
    assert found["loudness"] == pytest.approx(math.log10(0.005), abs=1e-3)
    assert found["peak"] == pytest.approx(math.log10(0.005), abs=1e-3)
    assert found["dynamics"] == pytest.approx(0.0, abs=1e-3)


def test_each_second_has_its_loudness_in_decibels_and_the_last_part_of_one_too() -> None:
    sound = tone(1000, amplitude=0.1)[: 2 * SAMPLE_RATE + 800]
    sound[:SAMPLE_RATE] = 0.0
    assert loudness_of(sound) == (-100.0, -23.0, -23.0)
    assert loudness_of(np.full(1, math.inf, np.float32)) == (-100.0,)
    assert loudness_of(sound[:0]) == ()


def test_peak_is_of_the_loudest_twentieth_and_dynamics_tells_of_the_rest() -> None:
    found = sound_signals(tone(1000) * (0.1 + 0.9 * between(6.0, 7.5)))  # 15 of 300 frames at full amplitude
    assert found["peak"] == pytest.approx(math.log10(0.005), abs=1e-3)
    # log10 is 2 higher in a twentieth of the frames: 2 sqrt(1/20 * 19/20)
    assert found["dynamics"] == pytest.approx(2 * math.sqrt(0.05 * 0.95), abs=1e-2)


@pytest.mark.parametrize(("frequency", "band"), [(125, "low_band"), (1000, "middle_band"), (4000, "high_band")])
def test_a_tone_is_in_its_band(frequency: float, band: str) -> None:
    found = sound_signals(tone(frequency))
    assert found[band] == pytest.approx(math.log10(0.005), abs=0.1)
    assert all(found[other] < found[band] - 2 for other in ("low_band", "middle_band", "high_band") if other != band)


def test_fullness_is_how_much_of_the_picture_is_as_loud_as_its_peak() -> None:
    noise = np.random.default_rng(0).standard_normal(TIMES.size).astype(np.float32)
    full = sound_signals(0.1 * noise)["fullness"]
    assert sound_signals(0.001 * noise)["fullness"] == pytest.approx(full, abs=1e-3)  # it knows no level
    assert -1.5 < full < -0.5
    # 2 of every 5 s: the cells of the other 3 are 80 dB down
    third = sound_signals(0.1 * noise * (TIMES % 5 < 2))["fullness"]
    assert third == pytest.approx(0.4 * full + 0.6 * -8.0, abs=0.1)
    assert sound_signals(tone(1000))["fullness"] < full - 2  # one band
    assert sound_signals(np.zeros(TIMES.size, np.float32))["fullness"] == pytest.approx(-8.0)


def test_silence_is_at_the_floor() -> None:
    found = sound_signals(np.zeros(SECONDS * SAMPLE_RATE, np.float32))
    assert found["loudness"] == found["low_band"] == found["high_band"] == -10.0
    assert found["cheering"] == found["dynamics"] == 0.0


def test_a_crowd_that_rises_cheers_for_as_long_as_it_is_loud() -> None:
    crowd = pink_noise() * (0.01 + 0.1 * between(12.0, 18.0))
    assert sound_signals(crowd)["cheering"] == pytest.approx(6 / 30, abs=0.02)


def test_a_crowd_is_heard_over_a_quieter_voice() -> None:
    talk = np.resize(clip("talk_96s.webm"), TIMES.size)
    alone = sound_signals(talk)["cheering"]
    assert alone == pytest.approx(0.0, abs=0.02)
    assert sound_signals(0.3 * talk + pink_noise() * 0.2 * between(12.0, 18.0))["cheering"] > alone + 0.1


@pytest.mark.parametrize("name", ["jfk_11s.flac", "talk_35s.mp4", "talk_42s.mp4", "talk_96s.webm"])
def test_speech_is_no_cheer(name: str) -> None:
    assert sound_signals(clip(name))["cheering"] < 0.02


def test_music_is_no_cheer_and_nor_is_noise_that_never_changes() -> None:
    chord = np.sum([tone(frequency) for frequency in (440, 554.4, 659.3, 880, 1318.5)], axis=0)
    assert sound_signals((chord * (0.1 + between(10.0, 20.0))).astype(np.float32))["cheering"] == 0.0
    assert sound_signals(pink_noise() * 0.1)["cheering"] < 0.02


@pytest.mark.parametrize("samples", [1, 100, 1599, 1600, 16_001])
@pytest.mark.parametrize("value", [0.5, math.nan, math.inf])
def test_any_sound_gives_numbers(samples: int, value: float) -> None:
    found = sound_signals(np.full(samples, value, np.float32))
    assert all(math.isfinite(each) for each in found.values())
    if value == 0.5:
        assert found["loudness"] == pytest.approx(math.log10(0.25))


def plain(level: int, height: int = 72, width: int = 128) -> RgbImage:
    return np.full((height, width, 3), level, np.uint8)


def test_change_is_the_mean_difference_over_pairs() -> None:
    small = [make_thumbnail(plain(level)) for level in (0, 51, 51)]
    assert picture_signals(small, None)["change"] == pytest.approx((0.2 + 0.0) / 2)
    assert picture_signals(small, make_thumbnail(plain(255)))["change"] == pytest.approx((1.0 + 0.2 + 0.0) / 3)


def test_a_shot_changes_if_most_of_the_picture_has_other_colours() -> None:
    half = plain(0)
    half[:, : 128 * 3 // 4] = 255
    quarter = plain(0)
    quarter[:, : 128 // 4] = 255
    small = [make_thumbnail(image) for image in (plain(0), half, quarter, plain(0))]
    assert picture_signals(small[:2], None)["shots"] == 1.0  # three quarters
    assert picture_signals(small[2:], None)["shots"] == 0.0  # one quarter
    assert picture_signals(small, None)["shots"] == pytest.approx(1 / 3)  # the middle pair differs by half, no more


def test_a_static_screen_is_told_from_a_still_camera() -> None:
    rng = np.random.default_rng(0)
    scene = rng.integers(20, 230, (720, 1280, 3), np.uint8)
    camera = [scene + rng.normal(0, 2, scene.shape).round().astype(np.int8).view(np.uint8) for _ in range(3)]
    assert picture_signals([make_thumbnail(scene)] * 3, None)["static"] == 1.0
    assert picture_signals([make_thumbnail(image) for image in camera], None)["static"] == 0.0


@pytest.mark.parametrize(("height", "width"), [(1, 1), (7, 5), (1080, 1920), (1280, 720)])
def test_pictures_of_any_size_are_compared(height: int, width: int) -> None:
    found = picture_signals([make_thumbnail(plain(100, height, width))], make_thumbnail(plain(100)))
    assert found == {"change": 0.0, "shots": 0.0, "static": 1.0}


def test_one_picture_alone_tells_nothing() -> None:
    assert picture_signals([make_thumbnail(plain(0))], None) == {}
    assert picture_signals([], make_thumbnail(plain(0))) == {}


def segment(index: int = 0, *levels: int, audio: Audio | None = None, **known: object) -> Segment:
    start = index * 30.0
    frames = tuple(Frame(start + 5 + 10 * i, plain(level)) for i, level in enumerate(levels))
    sound = np.zeros(0, np.float32) if audio is None else audio
    return Segment(index, start, start + 30, frames, sound, **known)  # type: ignore[arg-type]


def known_groups(values: Floats) -> set[str]:
    known = {signal.group for signal, value in zip(SIGNALS, values, strict=True) if np.isfinite(value)}
    unknown = {signal.group for signal, value in zip(SIGNALS, values, strict=True) if not np.isfinite(value)}
    assert not known & unknown  # a group is known as a whole
    return set(known)


def test_a_group_is_known_if_there_is_something_to_measure_it_on() -> None:
    assert known_groups(SignalMeter().measure(segment(), None)) == set()
    assert known_groups(SignalMeter().measure(segment(has_chat=True), None)) == {"comments"}
    assert known_groups(SignalMeter().measure(segment(audio=tone(440)), None)) == {"sound"}
    assert known_groups(SignalMeter().measure(segment(audio=tone(440)), Transcript())) == {"sound", "speech"}
    assert known_groups(SignalMeter().measure(segment(0, 1, 2, 3), None)) == {"pictures"}
    everything = segment(0, 1, 2, 3, audio=tone(440), has_chat=True)
    assert known_groups(SignalMeter().measure(everything, Transcript())) == set(GROUPS)


def test_values_stand_in_the_order_of_their_names() -> None:
    comments = (Comment(1.0, "haha"), Comment(2.0, "nice!"))
    values = SignalMeter().measure(segment(comments=comments, has_chat=True), Transcript("oh no"))
    found = dict(zip(SIGNAL_NAMES, values.tolist(), strict=True))
    assert values.dtype == np.float32
    assert found["comments"] == pytest.approx(math.log(3))
    assert found["laughter"] == found["exclamations"] == 0.5
    assert found["words"] == pytest.approx(math.log(3))


def test_the_last_picture_of_the_segment_before_is_compared_also_over_one_without() -> None:
    meter = SignalMeter()
    change = SIGNAL_NAMES.index("change")
    assert meter.measure(segment(0, 0, 0, 0), None)[change] == 0.0
    assert np.isnan(meter.measure(segment(1), None)[change])
    assert meter.measure(segment(2, 255, 255, 255), None)[change] == pytest.approx(1 / 3)


def test_a_picture_that_stands_in_for_a_lost_one_is_seen_once() -> None:
    frame = Frame(5.0, plain(0))
    lone = Segment(0, 0.0, 30.0, (frame, frame, frame), np.zeros(0, np.float32))
    assert known_groups(SignalMeter().measure(lone, None)) == set()
