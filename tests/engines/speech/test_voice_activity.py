"""Speech is found where it is, and nowhere else."""

import numpy as np
import pytest
from support.speech_media import SOUNDS_WITHOUT_WORDS, clip, silence

from kuaihl.engines.speech.voice_activity import (
    MIN_SILENCE,
    PADDING,
    SECONDS_PER_FRAME,
    spans_of_probabilities,
    speech_probabilities,
    speech_spans,
    speech_spans_of,
)
from kuaihl.engines.types import SAMPLE_RATE


@pytest.mark.parametrize("sound", SOUNDS_WITHOUT_WORDS)
def test_no_speech_is_found_in_sounds_without_words(sound: str) -> None:
    assert speech_spans(SOUNDS_WITHOUT_WORDS[sound]) == []


def test_a_speech_is_one_span() -> None:
    ((start, end),) = speech_spans(clip("jfk_11s.flac"))
    assert start == 0.0
    assert end == pytest.approx(11.0)


def test_a_single_word_after_twenty_silent_seconds_is_found() -> None:
    *_, (start, end) = speech_spans(clip("talk_42s.mp4"))  # "banana", at 40 s by the clip's own clock
    assert 39.0 < start < 40.2
    assert 40.4 < end < 42.0


def test_spans_follow_when_the_speech_is_moved() -> None:
    speech = clip("jfk_11s.flac")
    ((start, end),) = speech_spans(np.concatenate([silence(10.0), speech, silence(5.0)]))
    assert 9.2 < start < 10.6
    assert 20.4 < end < 21.7


def test_windows_on_threads_give_what_they_give_alone() -> None:
    windows = [clip("jfk_11s.flac"), silence(3.0), clip("talk_42s.mp4")]
    assert speech_spans_of(windows, threads=2) == [speech_spans(window) for window in windows]


@pytest.mark.parametrize("samples", [0, 1, 511, 512, 513])
def test_audio_of_any_length_has_a_probability_for_each_frame(samples: int) -> None:
    audio = np.full(samples, 0.1, np.float32)
    assert len(speech_probabilities(audio)) == -(-samples // 512)
    assert speech_spans(audio) == []


def test_spans_are_in_order_apart_and_inside_the_audio() -> None:
    probabilities = np.random.default_rng(0).random(5000).astype(np.float32) ** 8
    duration = 5000 * SECONDS_PER_FRAME
    spans = spans_of_probabilities(probabilities, duration)
    assert len(spans) > 1
    times = [time for span in spans for time in span]
    assert times == sorted(times)
    assert times[0] >= 0.0
    assert times[-1] <= duration


def test_a_pause_splits_speech_only_when_it_is_long() -> None:
    def with_pause(seconds: float) -> list[tuple[float, float]]:
        speech = np.ones(int(2.0 / SECONDS_PER_FRAME), np.float32)
        pause = np.zeros(int(seconds / SECONDS_PER_FRAME), np.float32)
        probabilities = np.concatenate([speech, pause, speech])
        return spans_of_probabilities(probabilities, len(probabilities) * SECONDS_PER_FRAME)

    assert len(with_pause(MIN_SILENCE - 0.2)) == 1
    (first, second) = with_pause(MIN_SILENCE + 0.2)
    assert first[1] < second[0]
    assert first[1] == pytest.approx(2.0 + PADDING, abs=0.05)


def test_a_click_is_not_speech() -> None:
    probabilities = np.zeros(200, np.float32)
    probabilities[50:54] = 0.9
    assert spans_of_probabilities(probabilities, 200 * SECONDS_PER_FRAME) == []


def test_an_hour_of_silence_costs_nothing() -> None:
    assert speech_spans(np.zeros(3600 * SAMPLE_RATE, np.float32)) == []
