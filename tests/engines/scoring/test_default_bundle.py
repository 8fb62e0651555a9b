"""The default bundle, with the real encoders: it is small, says what it reached, and tells hype from idle talk."""

from pathlib import Path

import numpy as np
import pytest

from kuaihl.engines.encoders.profiles import EDGE, Encoders, load_encoders
from kuaihl.engines.encoders.signals.comments import comment_signals
from kuaihl.engines.encoders.signals.measure import values_of
from kuaihl.engines.encoders.signals.speech import speech_signals
from kuaihl.engines.scoring.scorer import StreamingScorer
from kuaihl.engines.types import Comment, EncodedSegment, Transcript
from kuaihl.models.bundle import Bundle, load_bundle
from kuaihl.models.features import SegmentFeatures

# None of these is in the sentences that the head was trained on.
EXCITING = [
    ("What a play, he turned it around completely, I am screaming!", ["LETS GOOO", "that was nuts", "insane clutch"]),
    ("They are one round away from winning the whole tournament!", ["omg", "WWWW", "clip that"]),
    ("He took down the giant with his very last arrow, incredible!", ["no shot!!", "hype hype", "legend"]),
]
DULL = [
    ("Hold on, I am still waiting for this download to finish.", ["zzz", "is he afk", "boring"]),
    ("I only have to tidy up this chest, it will take some time.", ["so slow", "anyone there"]),
    ("Well, I do not really know what to do next, let me look around.", ["sleepy", "dead chat"]),
]


@pytest.fixture(scope="module")
def bundle() -> Bundle:
    return load_bundle("edge")


@pytest.fixture(scope="module")
def encoders() -> Encoders:
    return load_encoders(EDGE, device="cpu", threads=2, asr="none")


def answers(bundle: Bundle, encoders: Encoders, moments: list[tuple[str, list[str]]]) -> tuple[float, float]:
    """The last score and interest of a stream without pictures and sound that says these things over and over."""
    scorer = StreamingScorer(bundle)
    for index, (said, written) in enumerate(moments * 3):
        text = encoders.text.encode([said], [written])[0]
        comments = [Comment(30.0 * index + i, line, f"viewer {i}") for i, line in enumerate(written)]
        values = values_of(comment_signals(comments, 30.0) | speech_signals(Transcript(said), 30.0))
        features = SegmentFeatures(np.zeros((EDGE.patches, EDGE.d_v), np.float16), text, values)
        segment = EncodedSegment(index, 30.0 * index, 30.0 * index + 30, features, Transcript(said))
        scored = scorer.score(segment)
    assert scored.interest is not None
    return scored.score, scored.interest


def test_the_head_is_small_and_free_of_pickle(bundle: Bundle) -> None:
    files = [file for file in bundle.path.iterdir() if file.is_file()]
    assert {file.name for file in files} == {"bundle.json", "head.safetensors"}
    assert sum(file.stat().st_size for file in files) < 15e6


def test_on_held_out_rooms_it_beat_every_simple_rule_and_stayed_under_the_ceiling(bundle: Bundle) -> None:
    for question, truth in (("next", "the next segment's true rate"), ("present", "this segment's true rate")):
        table = bundle.metrics[question]["kendall_tau_per_room"]
        rules = [found["ci95"][1] for name, found in table.items() if name.startswith(("rule: ", "best known rule"))]
        assert len(rules) == 9
        assert table["head"]["ci95"][0] > max(rules)
        assert table["head"]["tau"] < table[truth]["tau"]
        assert bundle.metrics[question]["margin_over_best_known_rule"]["ci95"][0] > 0


def test_it_records_the_encoders_that_it_was_trained_on(bundle: Bundle) -> None:
    assert {facts.role for facts in bundle.encoders} == {"vision", "text", "speech"}
    assert all(len(facts.sha256) == 64 for facts in bundle.encoders)
    assert bundle.label.source == "simulated"


def test_hype_scores_above_idle_talk_in_words_it_never_saw(bundle: Bundle, encoders: Encoders) -> None:
    for exciting, dull in zip(
        answers(bundle, encoders, EXCITING), answers(bundle, encoders, DULL), strict=True
    ):  # fmt: skip
        assert exciting > dull + 0.05


def test_it_is_found_by_name_and_by_path(bundle: Bundle) -> None:
    assert load_bundle(Path(bundle.path)).head_sha256 == bundle.head_sha256
