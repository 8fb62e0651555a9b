"""Where do highlights begin and end? Their boundaries beside spans of which the second is known.

    python benchmarks/boundaries.py --own            # what the default was chosen by
    python benchmarks/boundaries.py [--json FILE]    # and the real sets

Four kinds of recordings are measured, each with every setting of `--boundaries`:

    simulated  200 recordings of boundary_rooms.py; two candidates that are no setting move boundaries by comments, too
    demo       the two fights of examples/demo.events.json; sound, sentences and keyframes are the recording's own
    esports    spans that somebody marked, in steps of 5 s; `fullness` stands in for loudness, which the set lacks
    chat       spans that somebody marked; the set has no sound, so its comments stand in, 3 s earlier than they came

The coarse spans are chosen in two ways. `grid` takes the segments that lie in the known span by half or more, or else
the one with most of it, on six grids of segments 5 s apart: no choice could be better. `model` takes what the bundle
`edge` chooses, as many spans as are known, and compares those that meet a known one.

`padded` spans are those of `sentences`, widened on both sides to the mean length of those moved by loudness: to be
longer is not enough. `iou` is the time that a highlight and the known span share, over the time of both. Intervals are
of 95%, by bootstrap over the known spans. Nothing is fitted to the real sets; those of ../shared are skipped if the
folder is not there.

The rule for the default was written before the simulated set was run. The candidates are CANDIDATES, from the simplest
on. The best has the highest mean IoU over the events of the simulated set, on its grid. The default is the simplest
that the best does not surely beat: the 95% interval of its gain in IoU, by bootstrap over recordings, is not above 0.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import numpy as np
from boundary_rooms import Simulated, draw_recordings
from numpy.typing import NDArray

from kuaihl.engines.highlights.loudness import above_usual, fit_to_loudness
from kuaihl.engines.highlights.offline import find_highlights
from kuaihl.engines.highlights.snapping import snap_highlights
from kuaihl.engines.types import Highlight, ScoredSegment, Sentence

sys.path.insert(0, str(Path(__file__).parent / "real"))

Floats = NDArray[np.float64]
Span = tuple[float, float]

ROOT = Path(__file__).resolve().parents[1]
DATA = ROOT.parent / "shared" / "real"
SEGMENT, GRID_STEP = 30.0, 5.0
LEAST, MOST = 10.0, 120.0
LAG = 3  # seconds from a moment to the comments on it, as examples/demo_stream/audience.py draws them
DRAWS = 2_000
SETTINGS = ("segments", "sentences", "loudness")
CANDIDATES = (*SETTINGS, "comments", "loudness and comments")
RECORDINGS, SEED = 200, 15
USUAL_LAG = 15  # seconds: the mean that docs/cold-start.md implies, half of a segment's comments in the next


class Heard(NamedTuple):
    """A recording: what is known of each second, and the spans that are known."""

    loudness: Floats  # [T], one per second
    known: Sequence[Span]
    sentences: Sequence[Sentence] = ()
    keyframes: Sequence[float] = ()


class Pair(NamedTuple):
    """A known span, and a highlight for it under each setting."""

    known: Span
    unit: str  # drawn as a whole
    found: dict[str, Span]


def segments_from(heard: Heard, first: float) -> list[ScoredSegment]:
    """Segments from `first` on, and a shorter one before it; scores mean nothing."""
    seconds = float(len(heard.loudness))
    edges = sorted({0.0, *np.arange(first, seconds, SEGMENT).tolist(), seconds})
    return [
        ScoredSegment(
            index, start, end, end, end + SEGMENT, 0.5, "", 0, False, 0.0,
            sentences=tuple(said for said in heard.sentences if start <= said.start < end),
            keyframe_times=tuple(time for time in heard.keyframes if start <= time < end),
            loudness=tuple(heard.loudness[int(start) : int(np.ceil(end))].tolist()),
        )
        for index, (start, end) in enumerate(pairwise(edges))
    ]  # fmt: skip


def best_segments(scored: Sequence[ScoredSegment], known: Span) -> Span:
    """The segments that lie in a span by half or more, or else the one with most of it."""
    inside = [min(known[1], one.end) - max(known[0], one.start) for one in scored]
    kept = [i for i, long in enumerate(inside) if long >= (scored[i].end - scored[i].start) / 2]
    kept = kept or [int(np.argmax(inside))]
    return scored[kept[0]].start, scored[kept[-1]].end


def move(coarse: Sequence[Span], scored: Sequence[ScoredSegment]) -> dict[str, list[Span]]:
    """The spans under each setting; they must be in order of time and not overlap."""
    found = [Highlight(start, end, 0.5, ()) for start, end in coarse]
    fitted = fit_to_loudness(found, scored, min_seconds=LEAST, max_seconds=MOST)
    each = {
        "segments": found,
        "sentences": snap_highlights(found, scored, min_seconds=LEAST, max_seconds=MOST),
        "loudness": snap_highlights(fitted, scored, min_seconds=LEAST, max_seconds=MOST),
    }
    return {name: [(one.start, one.end) for one in some] for name, some in each.items()}


def on_grids(heard: Heard, name: str) -> list[Pair]:
    """Every known span on six grids, each alone."""
    pairs = []
    for first in np.arange(0.0, SEGMENT, GRID_STEP):
        scored = segments_from(heard, float(first))
        for known in heard.known:
            found = move([best_segments(scored, known)], scored)
            pairs.append(Pair(known, f"{name} {known}", {key: some[0] for key, some in found.items()}))
    return pairs


def as_chosen(coarse: Sequence[Span], scored: Sequence[ScoredSegment], known: Sequence[Span], name: str) -> list[Pair]:
    """What was chosen, with the known span that each meets; one that meets none is left out."""
    found = move(coarse, scored)
    pairs = []
    for i, (start, end) in enumerate(coarse):
        best = max(known, key=lambda span: min(span[1], end) - max(span[0], start))
        if min(best[1], end) > max(best[0], start):
            pairs.append(Pair(best, f"{name} {best}", {key: some[i] for key, some in found.items()}))
    return pairs


def measure(pairs: Sequence[Pair]) -> dict[str, dict[str, float | list[float]]]:
    """By setting: means over the pairs, and the intervals of what loudness gains over sentences."""
    known = np.array([pair.known for pair in pairs])
    spans = {name: np.array([pair.found[name] for pair in pairs]) for name in pairs[0].found}
    more = (spans["loudness"] - spans["sentences"]) @ (-0.5, 0.5)
    spans["padded"] = spans["sentences"] + more.mean() * np.array([-1.0, 1.0])
    figures: dict[str, dict[str, float | list[float]]] = {}
    for name, span in spans.items():
        shared, union = overlap(known, span)
        figures[name] = {
            "whole": float(((span[:, 0] <= known[:, 0] + 0.5) & (span[:, 1] >= known[:, 1] - 0.5)).mean()),
            "covered": float((shared / (known[:, 1] - known[:, 0])).mean()),
            "iou": float((shared / union).mean()),
            "start_off": float(np.abs(span[:, 0] - known[:, 0]).mean()),
            "end_off": float(np.abs(span[:, 1] - known[:, 1]).mean()),
            "seconds": float((span[:, 1] - span[:, 0]).mean()),
        }
        shares = {"covered": shared / (known[:, 1] - known[:, 0]), "iou": shared / union}
        if name == "sentences":
            before = shares
        elif name == "loudness":
            for key, share in shares.items():
                figures[name][f"{key}_gain"] = interval_of(share - before[key], [pair.unit for pair in pairs])
    return figures


def interval_of(gains: Floats, units: Sequence[str]) -> list[float]:
    """The 95% interval of a mean, by drawing known spans with all their pairs."""
    places = np.unique(units, return_inverse=True)[1]
    sums, counts = np.bincount(places, gains), np.bincount(places)
    drawn = np.random.default_rng(0).integers(len(counts), size=(DRAWS, len(counts)))
    means = sums[drawn].sum(axis=1) / counts[drawn].sum(axis=1)
    return [float(np.quantile(means, share)) for share in (0.025, 0.975)]


def on_candidates(one: Simulated, name: str) -> list[Pair]:
    """Every known span of a simulated recording on its own segments, under each candidate."""
    early = np.append(one.comments[USUAL_LAG:], np.full(USUAL_LAG, np.median(one.comments)))
    written = 10 * np.log10(1.0 + early)
    heard = Heard(one.loudness, one.known, one.sentences, one.keyframes)
    curves = {
        "loudness": one.loudness,
        "comments": written,
        "loudness and comments": one.loudness - np.median(one.loudness) + written - np.median(written),
    }
    scored = {curve: segments_from(heard._replace(loudness=values), 0.0) for curve, values in curves.items()}
    pairs = []
    for known in one.known:
        coarse = [best_segments(scored["loudness"], known)]
        moved = {curve: move(coarse, each) for curve, each in scored.items()}
        found = {key: spans[0] for key, spans in moved["loudness"].items()}
        found |= {curve: spans["loudness"][0] for curve, spans in moved.items()}
        pairs.append(Pair(known, name, found))
    return pairs


def simulated() -> list[Pair]:
    """All known spans of the simulated recordings; their unit is the recording."""
    drawn = draw_recordings(RECORDINGS, np.random.default_rng(SEED))
    return [pair for number, one in enumerate(drawn) for pair in on_candidates(one, str(number))]


def choose_default(pairs: Sequence[Pair]) -> tuple[str, dict[str, list[float]]]:
    """The candidate that the rule names, and what the best gains in IoU over each other one: mean, and interval."""
    shares = {name: iou_of(pairs, name) for name in CANDIDATES}
    best = max(CANDIDATES, key=lambda name: float(shares[name].mean()))
    units = [pair.unit for pair in pairs]
    gains = {}
    for name in CANDIDATES:
        if name != best:
            gain = shares[best] - shares[name]
            gains[name] = [float(gain.mean()), *interval_of(gain, units)]
    simpler = CANDIDATES[: CANDIDATES.index(best)]
    return next((name for name in simpler if gains[name][1] <= 0.0), best), gains


def iou_of(pairs: Sequence[Pair], name: str) -> Floats:
    """The IoU of each pair [N]."""
    shared, union = overlap(np.array([pair.known for pair in pairs]), np.array([pair.found[name] for pair in pairs]))
    return shared / union


def overlap(known: Floats, span: Floats) -> tuple[Floats, Floats]:
    """Seconds [N] that two spans [N, 2] share, and of both."""
    shared = np.minimum(known[:, 1], span[:, 1]) - np.maximum(known[:, 0], span[:, 0])
    return shared.clip(0.0), np.maximum(known[:, 1], span[:, 1]) - np.minimum(known[:, 0], span[:, 0])


def rise_of(heard: Heard) -> float:
    """Seconds from a known start until it is half as loud as it gets in the span or 30 s after it; the median."""
    levels = above_usual(np.arange(len(heard.loudness), dtype=np.float64), heard.loudness, 5).levels
    waits = []
    for start, end in heard.known:
        near = levels[int(start) : int(end + SEGMENT)]
        waits.append(float(np.argmax(near >= near.max() / 2)))
    return float(np.median(waits))


def demo() -> tuple[Heard, list[ScoredSegment]]:
    """The demo broadcast as the shipped bundle scores it."""
    import kuaihl

    examples = ROOT / "examples"
    truth = json.loads((examples / "demo.events.json").read_text(encoding="utf-8"))
    scored = list(kuaihl.score(examples / "demo.flv", comments=examples / "demo.comments.xml").segments)
    heard = Heard(
        np.array([value for one in scored for value in one.loudness]),
        [(one["start"], one["end"]) for one in truth["highlights"]],
        [said for one in scored for said in one.sentences],
        [time for one in scored for time in one.keyframe_times],
    )
    return heard, scored


def esports(folder: Path) -> list[tuple[str, Heard]]:
    """Games with their marked spans; the fullness of 5 s, in dB, is that of each of its seconds."""
    games = []
    for file in sorted((folder / "esports").glob("*.npz")):
        with np.load(file) as game:
            full, marked = (
                game["sound"][:, :64].mean(axis=1),
                np.flatnonzero(np.diff(game["label"] == 1, prepend=False, append=False)),
            )
        spans = [(5.0 * start, 5.0 * end) for start, end in zip(marked[::2], marked[1::2], strict=True)]
        games.append((file.stem, Heard(np.repeat(full.astype(np.float64), 5), spans)))
    return games


def chat(folder: Path) -> Heard:
    """A broadcast's comments per second, LAG earlier, as if they were loudness: 10 log10(1 + count)."""
    from sets import read_lines

    truth = json.loads((folder / "chat_zh" / "highlights.json").read_text(encoding="utf-8"))
    times = [message["time"] for message in read_lines(folder / "chat_zh" / "messages.jsonl.gz")]
    counts = np.bincount(np.maximum(np.array(times, np.int64) - LAG, 0), minlength=int(truth["seconds"]))
    return Heard(10 * np.log10(1.0 + counts), [(float(start), float(end)) for start, end in truth["highlights"]])


def chosen_in_esports(folder: Path, games: Sequence[tuple[str, Heard]]) -> list[Pair]:
    """What the shipped bundle chooses, on the six grids of the set's reader."""
    from choices import read_head
    from sets import esports as esports_set

    real, pairs = esports_set(folder), []
    for recording, answers in zip(real.recordings, read_head("edge", real), strict=True):
        heard = dict(games)[recording.unit]
        scored = []
        for index, start in enumerate(recording.starts.tolist()):
            interest = None if answers.interest is None else float(answers.interest[index])
            end, loud = start + SEGMENT, tuple(heard.loudness[int(start) : int(start + SEGMENT)].tolist())
            scored.append(
                ScoredSegment(
                    index, start, end, end, end + SEGMENT, float(answers.score[index]), "", 0, False, 0.0,
                    interest, loudness=loud,
                )
            )  # fmt: skip
        found = find_highlights(scored, top=len(heard.known))
        pairs += as_chosen([(one.start, one.end) for one in found], scored, heard.known, recording.unit)
    return pairs


def main() -> int:
    parser = argparse.ArgumentParser(description="Compare highlights' boundaries with spans that are known.")
    parser.add_argument("--data", type=Path, default=DATA, metavar="DIR", help=f"default {DATA}")
    parser.add_argument("--own", action="store_true", help="only the simulated set and the demo")
    parser.add_argument("--json", type=Path, metavar="FILE")
    asked = parser.parse_args()
    drawn = simulated()
    heard, scored = demo()
    chosen = [(one.start, one.end) for one in find_highlights(scored)]
    sets = {
        "simulated, grid": drawn,
        "demo, grid": on_grids(heard, "demo"),
        "demo, model": as_chosen(chosen, scored, heard.known, "demo"),
    }
    if not asked.own and asked.data.is_dir():
        games = esports(asked.data)
        sets["esports, grid"] = [pair for name, game in games for pair in on_grids(game, name)]
        sets["esports, model"] = chosen_in_esports(asked.data, games)
        written = chat(asked.data)
        sets["chat, grid"] = on_grids(written, "chat")
        print(f"chat: comments rise {rise_of(written) + LAG:.0f} s after a marked start (median)")
    elif not asked.own:
        print(f"{asked.data} is not there: its sets are skipped")
    results = {name: {"pairs": len(pairs), **measure(pairs)} for name, pairs in sets.items()}
    for name, figures in results.items():
        print(f"{name}, {figures.pop('pairs')} pairs")
        for setting, values in figures.items():
            said = "  ".join(f"{key} {np.round(value, 2)}" for key, value in values.items())
            print(f"  {setting:<10} {said}")
    named, gains = choose_default(drawn)
    for name, (mean, low, high) in gains.items():
        print(f"the best gains {mean:.3f} ({low:.3f} to {high:.3f}) in IoU over {name}")
    print(f"the rule names: {named}")
    if asked.json:
        asked.json.write_text(json.dumps(results, indent=2) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
