"""What every speech back-end promises, with real speech of known content; both run the same weights."""

import re
from functools import cache
from importlib.util import find_spec
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from support.speech_media import SOUNDS_WITHOUT_WORDS, clip, noise, silence, tone, windows_of

from kuaihl.engines.speech.gated import GatedTranscriber
from kuaihl.engines.speech.language import SpokenLanguage
from kuaihl.engines.speech.load import DECODERS, load_transcriber
from kuaihl.engines.speech.long_segments import transcribe_segments
from kuaihl.engines.speech.long_segments import windows_of as cuts_of
from kuaihl.engines.speech.pauses import cut_pauses
from kuaihl.engines.speech.sentences import sentences_of, without_loops
from kuaihl.engines.speech.transcriber import Decoded, SpeechWindow, Transcriber, phrases_of
from kuaihl.engines.speech.whisper_weights import openai_whisper_weights, resolve_whisper
from kuaihl.engines.types import SAMPLE_RATE, Sentence, Transcript
from kuaihl.engines.weights.catalog import SPEECH_EDGE
from kuaihl.engines.weights.resolve import locate_packaged
from kuaihl.models.errors import ModelError, UsageError

JFK = "and so my fellow americans ask not what your country can do for you ask what you can do for your country"

needs_weights = pytest.mark.skipif(
    locate_packaged(SPEECH_EDGE) is None, reason="the packages of kuaihl[edge] are not installed"
)


@cache
def transcriber(name: str) -> Transcriber:
    if name == "openai-whisper" and find_spec("whisper") is None:
        pytest.skip("openai-whisper is not installed")
    loaded = load_transcriber(name, model="edge", device="cpu", threads=2)
    assert loaded is not None
    return loaded


@pytest.fixture(params=["ctranslate2", pytest.param("openai-whisper", marks=pytest.mark.slow)])
def backend(request: pytest.FixtureRequest) -> Transcriber:
    """Each back-end, as if at the start of a stream; a new one in DECODERS gets its line here."""
    return transcriber(request.param).for_stream()


def words(text: str) -> str:
    return " ".join(re.findall(r"[a-z']+", text.lower()))


@needs_weights
class TestEveryBackEnd:
    def test_hears_a_famous_sentence_word_by_word(self, backend: Transcriber) -> None:
        (transcript,) = backend.transcribe([clip("jfk_11s.flac")], [0.0])
        assert words(transcript.text) == JFK
        assert transcript.language == "en"
        assert transcript.avg_logprob is not None
        assert transcript.avg_logprob > -0.6
        assert transcript.no_speech_prob is not None
        assert transcript.no_speech_prob < 0.2

    def test_puts_a_word_on_the_streams_clock_where_it_was_said(self, backend: Transcriber) -> None:
        windows = windows_of(clip("talk_42s.mp4"))
        starts = [1000.0, 1030.0]
        first, second = backend.transcribe(windows, starts, language="en")
        assert first.sentences[-1].text.endswith("banana.")  # announced
        assert 1013.0 < first.sentences[-1].end < 1020.0
        assert second.text  # "Banana", which the edge weights may misspell: it is one word in 12 s of silence
        assert second.sentences[0].start == pytest.approx(1040.0, abs=2.0)
        assert second.sentences[-1].end == pytest.approx(1040.5, abs=2.0)

    @pytest.mark.parametrize("sound", SOUNDS_WITHOUT_WORDS)
    def test_invents_no_words(self, backend: Transcriber, sound: str) -> None:
        (transcript,) = backend.transcribe([SOUNDS_WITHOUT_WORDS[sound]], [0.0])
        assert transcript.text == ""
        assert transcript.sentences == ()
        assert transcript.no_speech_prob == 1.0

    def test_gives_a_window_the_same_text_alone_and_in_a_batch(self, backend: Transcriber) -> None:
        lecture = clip("talk_96s.webm")
        windows = [lecture[10 * SAMPLE_RATE : 22 * SAMPLE_RATE], silence(30.0), clip("jfk_11s.flac"), noise(5.0)]
        batch = backend.transcribe(windows, [0.0, 30.0, 60.0, 90.0], language="en")
        alone = [backend.transcribe([w], [30.0 * i], language="en")[0] for i, w in enumerate(windows)]
        assert [t.text for t in batch] == [t.text for t in alone]
        assert batch[0].text.startswith("Hey guys")
        assert batch[1] == alone[1]

    def test_keeps_sentences_in_order_and_inside_their_segment(self, backend: Transcriber) -> None:
        windows = windows_of(clip("talk_96s.webm"))[:2]
        transcripts = backend.transcribe(windows, [0.0, 30.0], language="en")
        times = [time for t in transcripts for s in t.sentences for time in (s.start, s.end)]
        assert times == sorted(times)
        for i, transcript in enumerate(transcripts):
            assert transcript.sentences
            assert transcript.sentences[0].start >= 30.0 * i
            assert transcript.sentences[-1].end <= 30.0 * (i + 1)
        assert "viola" in transcripts[0].text

    def test_survives_damaged_samples(self, backend: Transcriber) -> None:
        speech = clip("jfk_11s.flac").copy()
        speech[::1000], speech[1::1000], speech[2::1000] = np.nan, np.inf, -1e9
        (transcript,) = backend.transcribe([speech], [0.0], language="en")
        assert isinstance(transcript.text, str)

    def test_takes_no_windows_and_empty_windows(self, backend: Transcriber) -> None:
        assert backend.transcribe([], []) == []
        assert backend.transcribe([silence(0.0)], [0.0])[0].text == ""

    def test_refuses_a_language_that_does_not_exist(self, backend: Transcriber) -> None:
        with pytest.raises(UsageError, match="klingon"):
            backend.transcribe([silence(1.0)], [0.0], language="klingon")

    def test_takes_a_language_with_a_region(self, backend: Transcriber) -> None:
        (transcript,) = backend.transcribe([clip("jfk_11s.flac")], [0.0], language="en-US")
        assert transcript.language == "en"


@needs_weights
def test_a_window_is_encoded_once_for_its_language_and_its_words(monkeypatch: pytest.MonkeyPatch) -> None:
    decoder = transcriber("ctranslate2").for_stream().decoder
    encoded: list[int] = []
    features = decoder.features

    def count(audio: np.ndarray) -> np.ndarray:
        encoded.append(len(audio))
        return features(audio)

    monkeypatch.setattr(decoder, "features", count)
    speech = SpeechWindow(clip("jfk_11s.flac"))
    assert max(decoder.language_probabilities(speech).items(), key=lambda one: one[1])[0] == "en"
    (kept,) = decoder.decode([speech], "en")
    assert len(encoded) == 1
    (anew,) = decoder.decode([SpeechWindow(speech.audio)], "en")
    assert len(encoded) == 2
    assert kept == anew


@needs_weights
@pytest.mark.slow
def test_both_back_ends_agree() -> None:
    texts = {words(transcriber(name).transcribe([clip("jfk_11s.flac")], [0.0])[0].text) for name in DECODERS}
    assert texts == {JFK}


@needs_weights
def test_a_segment_longer_than_whispers_window_is_transcribed_whole() -> None:
    speech = clip("jfk_11s.flac")
    audio = np.concatenate([speech, silence(14.0), speech, silence(14.0), speech, silence(4.0)])  # 65 s
    (transcript,) = transcribe_segments(transcriber("ctranslate2"), [audio], [100.0], "en")
    assert words(transcript.text) == " ".join([JFK] * 3)
    starts = [s.start for s in transcript.sentences if words(s.text).startswith("and so")]
    assert starts == pytest.approx([100.0, 125.0, 150.0], abs=1.0)


@needs_weights
def test_segments_of_any_length_come_back_one_for_one() -> None:
    audios = [silence(0.0), clip("jfk_11s.flac"), silence(95.0), tone(30.1)]
    transcripts = transcribe_segments(transcriber("ctranslate2"), audios, [0.0, 5.0, 20.0, 120.0], "en")
    assert [words(t.text) for t in transcripts] == ["", JFK, "", ""]


def test_long_audio_is_cut_where_it_is_quiet() -> None:
    audio = noise(45.0)
    audio[int(23.4 * SAMPLE_RATE) : int(23.6 * SAMPLE_RATE)] = 0.0
    (begin, cut), (again, end) = cuts_of(audio)
    assert (begin, end) == (0, len(audio))
    assert cut == again
    assert cut / SAMPLE_RATE == pytest.approx(23.5, abs=0.15)


@pytest.mark.parametrize("seconds", [0.0, 1.0, 30.0, 30.1, 30.5, 45.0, 60.0, 61.0, 119.9, 300.0])
def test_no_window_is_longer_than_whisper_can_hear(seconds: float) -> None:
    audio = noise(seconds)
    cuts = cuts_of(audio)
    assert cuts[0][0] == 0
    assert cuts[-1][1] == len(audio)
    assert all(end == begin for (_, end), (begin, _) in pairwise(cuts))
    assert max(end - begin for begin, end in cuts) <= 30.2 * SAMPLE_RATE


def test_times_after_a_cut_pause_are_those_of_the_window() -> None:
    window = np.arange(20 * SAMPLE_RATE, dtype=np.float32)
    speech = cut_pauses(window, [(1.0, 6.0), (12.0, 17.0)])
    assert len(speech.audio) == 10 * SAMPLE_RATE
    assert speech.place(Sentence(0.5, 4.0, "")) == Sentence(1.5, 5.0, "")
    assert speech.place(Sentence(5.0, 8.0, "")) == Sentence(12.0, 15.0, "")
    assert speech.place(Sentence(2.0, 5.0, "")) == Sentence(3.0, 6.0, "")
    assert speech.place(Sentence(4.0, 6.0, "")) == Sentence(5.0, 13.0, "")


def test_a_short_word_is_heard_with_what_is_around_it_and_placed_where_it_is() -> None:
    speech = cut_pauses(np.zeros(30 * SAMPLE_RATE, np.float32), [(10.0, 11.0)])
    assert len(speech.audio) == 8 * SAMPLE_RATE
    assert speech.place(Sentence(0.0, 8.0, "word")) == Sentence(10.0, 11.0, "word")


def test_phrases_are_split_at_timestamps_that_never_run_back() -> None:
    texts = {1: " a", 2: " b", 3: " c"}

    def text_of(tokens: list[int]) -> str:
        return "".join(texts[token] for token in tokens)

    tokens = [100, 1, 200, 200, 2, 150, 50, 3]  # timestamps from 100 on, 0.02 s each; 50 ends the text
    phrases = phrases_of(tokens, 100, 50, 2.5, text_of)
    assert phrases == (Sentence(0.0, 2.0, "a"), Sentence(2.0, 2.0, "b"), Sentence(2.0, 2.5, "c"))


def test_sentences_end_where_their_punctuation_is() -> None:
    phrases = [
        Sentence(0.0, 4.0, "One two. Three"),
        Sentence(4.0, 6.0, "four."),
        Sentence(9.0, 10.0, "Version 1.5 is out!"),
    ]
    assert [s.text for s in sentences_of(phrases, " ")] == ["One two.", "Three four.", "Version 1.5 is out!"]
    assert [s.text for s in sentences_of([Sentence(0.0, 4.0, "你好。谢谢大家！")], "")] == ["你好。", "谢谢大家！"]
    assert sentences_of(phrases, " ")[0].end == pytest.approx(4.0 * 8 / 14)


def test_a_loop_is_heard_once_and_cheering_is_left_alone() -> None:
    loop = (Sentence(0.0, 30.0, "Thank you for watching. " * 30),)
    assert without_loops(loop)[0].text.strip() == "Thank you for watching."
    cheering = (Sentence(0.0, 3.0, "Go go go go! What a shot, no way, no way!"),)
    assert without_loops(cheering) == cheering


class OneLanguage:
    """A decoder that hears what it is told: for what the real ones cannot be brought to say on purpose."""

    name = "told"

    def __init__(self) -> None:
        self.language = "en"
        self.decoded = Decoded((Sentence(0.0, 1.0, "words"),), avg_logprob=-0.2, no_speech_prob=0.1)

    def decode(self, windows: list[SpeechWindow], language: str) -> list[Decoded]:
        return [self.decoded] * len(windows)

    def language_probabilities(self, window: SpeechWindow) -> dict[str, float]:
        return {self.language: 0.8, "la": 0.2}

    def knows(self, language: str) -> bool:
        return True


def test_the_language_is_kept_until_words_stop_making_sense() -> None:
    decoder = OneLanguage()
    spoken = SpokenLanguage(decoder)
    window = SpeechWindow(silence(1.0))
    assert spoken.of([window] * 4) == "en"
    decoder.language = "zh"
    assert spoken.of([window]) == "en"  # settled: nobody asks
    heard = []
    for _ in range(4):
        spoken.doubt()
        heard.append(spoken.of([window]))
    assert heard[0] == "en"  # one doubtful window is not enough
    assert heard[-1] == "zh"


def test_words_over_what_whisper_takes_for_silence_are_dropped_and_say_so() -> None:
    decoder = OneLanguage()
    decoder.decoded = Decoded((Sentence(0.0, 1.0, "Thanks for watching!"),), avg_logprob=-1.3, no_speech_prob=0.8)
    (transcript,) = GatedTranscriber(decoder).transcribe([clip("jfk_11s.flac")], [0.0])
    assert transcript == Transcript("", (), "en", 0.8, -1.3)


def test_none_is_no_transcriber() -> None:
    assert load_transcriber("none", model="edge", device="cpu", threads=1) is None


def test_an_unknown_back_end_is_a_line_that_names_the_known_ones() -> None:
    with pytest.raises(UsageError, match="ctranslate2, openai-whisper"):
        load_transcriber("kaldi", model="edge", device="cpu", threads=1)


@needs_weights
def test_auto_is_the_quickest() -> None:
    loaded = load_transcriber("auto", model="edge", device="cpu", threads=1)
    assert loaded is not None
    assert loaded.name == "ctranslate2"


def test_a_missing_package_is_a_line_that_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kuaihl.engines.speech.load.find_spec", lambda _: None)
    with pytest.raises(UsageError, match=r"pip install 'kuaihl\[openai-whisper\]'"):
        load_transcriber("openai-whisper", model="edge", device="cpu", threads=1)


def test_weights_that_only_an_unreachable_hub_has_are_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(ModelError, match="large-v3") as caught:
        load_transcriber("ctranslate2", model="large-v3", device="cpu", threads=1)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["two words", "a/b/c", ""])
def test_what_cannot_be_a_name_is_refused(name: str) -> None:
    with pytest.raises((UsageError, ModelError)):
        resolve_whisper(name)


@needs_weights
@pytest.mark.parametrize("name", list(DECODERS))
def test_a_damaged_model_is_one_line(name: str, tmp_path: Path) -> None:
    whole = resolve_whisper("edge").folder
    for file in whole.iterdir():
        if file.name != "model.bin":
            (tmp_path / file.name).write_bytes(file.read_bytes())
    with (whole / "model.bin").open("rb") as source:
        (tmp_path / "model.bin").write_bytes(source.read(1_000_000))
    with pytest.raises(ModelError) as caught:
        load_transcriber(name, model=str(tmp_path), device="cpu", threads=1)
    assert str(tmp_path) in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("content", [b"", b"\0" * 100, b"\x06\0\0\0\x0c\0WhisperSpec\0", b"PK\x03\x04" * 50])
def test_a_file_that_is_not_whisper_is_one_line(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "model.bin").write_bytes(content)
    with pytest.raises(ModelError, match=r"model\.bin"):
        openai_whisper_weights(tmp_path / "model.bin")
