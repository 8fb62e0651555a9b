"""What do signals cost beside the ingest that they ride on? One segment of 30 s of 720p30 H.264, in one process.

    python benchmarks/signals.py                # the table
    python benchmarks/signals.py --encoders     # and the edge profile's encoders on the same segments

Ingest is the work of `kuaihl score` before any network: demux, the decoding of three keyframes and of all sound, and
its resampling. Segments are measured as they come out of it, so that neither side is warmer than the other. Each has
200 comments of its own, of 13 characters on average, and a transcript of 80 words. Processor time counts, of all
threads, because wall time means little on a busy machine. Medians over passes.
"""

import argparse
import random
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
from ingest import ffmpeg, make_piece, repeated

from kuaihl.engines.encoders.signals.comments import comment_signals, read_word
from kuaihl.engines.encoders.signals.laughter import token_laughs
from kuaihl.engines.encoders.signals.measure import SignalMeter
from kuaihl.engines.encoders.signals.pictures import make_thumbnail, picture_signals
from kuaihl.engines.encoders.signals.sound import sound_signals
from kuaihl.engines.encoders.signals.speech import speech_signals
from kuaihl.engines.ingest.opening import open_source
from kuaihl.engines.ingest.packets import packets
from kuaihl.engines.segmenter.segmenter import segments
from kuaihl.engines.types import Comment, Segment, Sentence, Transcript

COMMENTS = 200  # per segment: a crowd
TARGET = 0.02  # share of the ingest
HAN = "的一是不了人我在有他这中大来上个国到说们为子和你地出道也时年得就那要下以生会自着去之过家学对可她里后小么心多天"
SPOKEN = "the what a play he is so good nice try again no way that was close go left now please team win lag who"
REACTED = "lol KEKW LUL haha 哈哈哈 笑死 gg GG! 666 😂 wow POG xD ㅋㅋㅋ www Kappa ??? nice! 草 233"
WORDS, REACTIONS = SPOKEN.split(), REACTED.split()


def crowd(rng: random.Random) -> tuple[Comment, ...]:
    """Comments without a repeat: a third reacts in a word, the others say something in English or Chinese."""
    comments = []
    for i in range(COMMENTS):
        kind = rng.random()
        if kind < 1 / 3:
            text = " ".join([rng.choice(REACTIONS)] * rng.randint(1, 3))
        elif kind < 2 / 3:
            text = " ".join(
                f"{rng.choice(WORDS)}{rng.choice(['', '', '', 's', '!', rng.randint(0, 999)])}" for _ in range(4)
            )
        else:
            text = "".join(rng.choices(HAN, k=rng.randint(4, 16)))
        comments.append(Comment(i * 30 / COMMENTS, text, f"viewer{rng.randint(0, 120)}"))
    return tuple(comments)


def spoken(segment: Segment, rng: random.Random) -> Transcript:
    said = tuple(
        Sentence(
            segment.start + 3 * i, segment.start + 3 * i + 2.5, " ".join(rng.choices(WORDS, k=8)).capitalize() + "."
        )
        for i in range(10)
    )
    return Transcript(" ".join(sentence.text for sentence in said), said, "en")


class Timed:
    """Adds up processor time by name."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    def __call__(self, name: str, function: Callable[[], object]) -> None:
        begin = time.process_time()
        function()
        self.seconds[name] = self.seconds.get(name, 0.0) + time.process_time() - begin


def one_pass(path: Path, rng: random.Random) -> tuple[dict[str, float], int]:
    """Seconds of processor time per part over a whole file, and the number of its segments."""
    read_word.cache_clear()
    token_laughs.cache_clear()
    timed = Timed()
    meter = SignalMeter()
    count = 0
    begin = time.process_time()
    beside = 0.0  # time that does not belong to ingest
    with open_source(str(path)) as source:
        for cut in segments(packets(source)):
            pause = time.process_time()
            measure_one(cut, meter, timed, rng)
            beside += time.process_time() - pause
            count += 1
    timed.seconds["ingest"] = time.process_time() - begin - beside
    return timed.seconds, count


def measure_one(cut: Segment, meter: SignalMeter, timed: Timed, rng: random.Random) -> None:
    segment = replace(cut, comments=crowd(rng), has_chat=True)
    transcript = spoken(segment, rng)
    timed("signals", lambda: meter.measure(segment, transcript))
    # The parts run on other comments and words, because the first ones are cached by now.
    parts = replace(segment, comments=crowd(rng))
    words = spoken(segment, rng)
    timed("comments", lambda: comment_signals(parts.comments, 30.0))
    timed("sound", lambda: sound_signals(parts.audio))
    timed("speech", lambda: speech_signals(words, 30.0))
    timed("pictures", lambda: picture_signals([make_thumbnail(frame.image) for frame in parts.frames], meter.previous))


def encoders_seconds(path: Path) -> float:
    """Processor seconds per segment of the edge profile's encoders, speech included."""
    from kuaihl.engines.encoders.encode import BATCH_OF_FILES, encode
    from kuaihl.engines.encoders.profiles import EDGE, load_encoders

    encoders = load_encoders(EDGE, device="cpu")
    with open_source(str(path)) as source:
        cut = list(segments(packets(source)))
    begin = time.process_time()
    encoded = list(encode(cut, encoders, batch=BATCH_OF_FILES))
    return (time.process_time() - begin) / len(encoded)


def rows(passes: list[tuple[dict[str, float], int]]) -> Iterator[tuple[str, float]]:
    for name in ("ingest", "signals", "comments", "sound", "speech", "pictures"):
        yield name, statistics.median(seconds[name] / count for seconds, count in passes)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=int, default=5)
    parser.add_argument("--runs", type=int, default=7)
    parser.add_argument("--encoders", action="store_true", help="also the edge profile's encoders")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        piece = make_piece(Path(folder))
        path = Path(folder) / "stream.flv"
        ffmpeg(*repeated(piece, options.minutes, str(path)))
        one_pass(path, random.Random(0))  # libraries are loaded, files cached
        passes = [one_pass(path, random.Random(i)) for i in range(options.runs)]
        found = dict(rows(passes))
        print(
            f"\nProcessor time for 30 s of 720p30 and {COMMENTS} comments, numpy {np.__version__}, "
            f"{options.runs} passes over {options.minutes} min:\n"
        )
        print("| | ms | of the ingest |\n|---|---:|---:|")
        for name, seconds in found.items():
            print(f"| {name} | {seconds * 1e3:.2f} | {seconds / found['ingest']:.2%} |")
        if options.encoders:
            seconds = encoders_seconds(path)
            of_them = found["signals"] / seconds
            print(f"| encoders, edge profile | {seconds * 1e3:.0f} | signals are {of_them:.2%} of them |")
        share = found["signals"] / found["ingest"]
        print(f"\nSignals take {share:.1%} of the ingest; {'under' if share < TARGET else 'not under'} {TARGET:.0%}.")


if __name__ == "__main__":
    main()
