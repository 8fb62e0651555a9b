"""Are chat labels worth training on? Trained on half of a broadcast's own chat, measured on marks made in the other.

    python benchmarks/real/chat_labels.py [--real DIR] [--json FILE]

Reads chat_zh of ../shared/real beside the checkout, and stops if it is absent. A ridge reads the comments' signals of
the last WINDOW segments of the running stream. It learns the chat labels of `kuaihl dataset build --labels chat`, and
nothing from marks made by hand. It is compared with distinct chatters, the best simple rule of that set, and with the
chat labels themselves, which know the future. Their agreement with the marks bounds the worth of training on them.
"""

import argparse
import gzip
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from sets import share_within

from kuaihl.engines.comments.feed import CommentTrack
from kuaihl.engines.datasets.chat_labels import chat_rates
from kuaihl.engines.encoders.signals.comments import comment_signals
from kuaihl.engines.encoders.signals.measure import values_of
from kuaihl.engines.types import SEGMENT_SECONDS as SECONDS
from kuaihl.engines.types import Comment
from kuaihl.models.evaluation.average_precision import average_precision
from kuaihl.models.evaluation.rank_correlation import kendall_tau_b
from kuaihl.models.signals import SIGNAL_NAMES, SIGNALS, with_standard_scores
from kuaihl.models.training.linear_fit import past_of

WINDOW = 5  # segments that the ridge reads; fixed beforehand, like PENALTY
PENALTY = 100.0  # on features of unit variance
BLOCK = 20  # segments, 10 minutes: the unit that the bootstrap draws
DRAWS = 1000
OWN = [i for i, signal in enumerate(SIGNALS) if signal.group == "comments"]
QUESTIONS = {"present": 0, "next": 1}  # how many segments ahead the label is

Floats = NDArray[np.float64]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    beside = Path(__file__).parents[2].resolve().parent / "shared" / "real"
    parser.add_argument("--real", type=Path, default=beside, help="default: ../shared/real beside the checkout")
    parser.add_argument("--json", type=Path, metavar="FILE")
    arguments = parser.parse_args()
    if not (arguments.real / "chat_zh").is_dir():
        print(f"skipped: {arguments.real / 'chat_zh'} is not here")
        return
    found = results(*halves(arguments.real / "chat_zh"))
    for direction, questions in found.items():
        for question, systems in questions.items():
            for system, measures in systems.items():
                told = "  ".join(
                    f"{name} {v:+.3f} ({low:+.3f} – {high:+.3f})" for name, (v, low, high) in measures.items()
                )
                print(f"{direction:24} {question:8} {system:28} {told}")
    if arguments.json:
        arguments.json.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")


def halves(folder: Path) -> tuple[list[list[Comment]], list[Floats]]:
    """The comments of each half, from its own start, and the share of each of its segments marked by hand."""
    facts = json.loads((folder / "highlights.json").read_text(encoding="utf-8"))
    each = int(facts["seconds"] // SECONDS) // 2
    marked = share_within(facts["highlights"], 2 * each)
    with gzip.open(folder / "messages.jsonl.gz", "rt", encoding="utf-8") as lines:
        read = [json.loads(line) for line in lines]
    comments = CommentTrack(Comment(float(one["time"]), one["text"], one["author"]) for one in read)
    cuts = [(0.0, each * SECONDS), (each * SECONDS, 2 * each * SECONDS)]
    moved = [[Comment(c.time - first, c.text, c.author) for c in comments.take(first, last)] for first, last in cuts]
    return moved, [marked[:each], marked[each:]]


def results(
    comments: list[list[Comment]], marked: list[Floats]
) -> dict[str, dict[str, dict[str, dict[str, list[float]]]]]:
    """Direction, question, system, measure: its value and the ends of its 95% interval."""
    found: dict[str, dict[str, dict[str, dict[str, list[float]]]]] = {}
    for trained, tested in ((0, 1), (1, 0)):
        direction = f"half {trained + 1} -> half {tested + 1}"
        inputs, labels = features(comments[trained]), labels_of(comments[trained], len(marked[trained]))
        unseen, chatters = features(comments[tested]), signals(comments[tested])[:, SIGNAL_NAMES.index("chatters")]
        hindsight = labels_of(comments[tested], len(marked[tested]))
        found[direction] = {}
        for question, ahead in QUESTIONS.items():
            predict = ridge(inputs[: len(inputs) - ahead], labels[ahead:])
            rows, truth = len(unseen) - ahead, marked[tested][ahead:]
            scores = {
                "ridge on chat labels": predict(unseen)[:rows],
                "distinct chatters": chatters[:rows],
                "the chat label, in hindsight": hindsight[ahead:],
            }
            found[direction][question] = {name: measured(score, truth) for name, score in scores.items()} | {
                "ridge less chatters": measured(scores["ridge on chat labels"], truth, scores["distinct chatters"]),
                # Not against the marks: whether the chat predicts the chat.
                "ridge, of the chat label": measured(scores["ridge on chat labels"], hindsight[ahead:], only=("tau",)),
            }
    return found


def signals(comments: list[Comment]) -> Floats:
    """The comments' signals [S, SIGNALS_WIDTH columns], as a live stream has them."""
    track = CommentTrack(comments)
    rows = [
        values_of(comment_signals(track.take(start, start + SECONDS), SECONDS))
        for start in np.arange(segments_of(comments)) * SECONDS
    ]
    columns = with_standard_scores(rows).astype(np.float64)
    offset = columns.shape[1] - 2 * len(SIGNALS)
    return columns[:, offset:]


def segments_of(comments: list[Comment]) -> int:
    return int(comments[-1].time // SECONDS) + 1


def features(comments: list[Comment]) -> Floats:
    """Values and standard scores of the last WINDOW segments [S, WINDOW · 20]; zeros before the first."""
    columns = signals(comments)
    own = np.concatenate([columns[:, OWN], columns[:, [i + len(SIGNALS) for i in OWN]]], axis=1)
    return past_of(own, WINDOW)


def labels_of(comments: list[Comment], segments: int) -> Floats:
    starts = np.arange(segments) * SECONDS
    return chat_rates(comments, starts, starts + SECONDS, "chat_zh").astype(np.float64)


def ridge(inputs: Floats, labels: Floats) -> Callable[[Floats], Floats]:
    """The closed form on standardised inputs [S, K]; returns the function that scores other inputs."""
    mean, deviation = inputs.mean(axis=0), np.maximum(inputs.std(axis=0), 1e-6)
    x = (inputs - mean) / deviation
    weights = np.linalg.solve(x.T @ x + PENALTY * np.eye(x.shape[1]), x.T @ (labels - labels.mean()))
    return lambda unseen: (unseen - mean) / deviation @ weights


def measured(
    scores: Floats, marked: Floats, less: Floats | None = None, *, only: tuple[str, ...] = ("tau", "AP")
) -> dict[str, list[float]]:
    """Tau-b with the share marked and AP of segments that hold a mark, with intervals over blocks; or differences."""
    measures: dict[str, Callable[[Floats, Floats], float]] = {
        "tau": kendall_tau_b,
        "AP": lambda s, m: average_precision(s, (m > 0).astype(int)),
    }
    random = np.random.default_rng(0)
    blocks = np.array_split(np.arange(len(marked)), range(BLOCK, len(marked), BLOCK))
    draws = [np.arange(len(marked))]
    draws += [np.concatenate([blocks[i] for i in random.integers(len(blocks), size=len(blocks))]) for _ in range(DRAWS)]
    found = {}
    for name in only:
        measure = measures[name]
        values = np.array(
            [measure(scores[d], marked[d]) - (measure(less[d], marked[d]) if less is not None else 0.0) for d in draws]
        )
        found[name] = [round(float(v), 4) for v in (values[0], *np.nanquantile(values[1:], (0.025, 0.975)))]
    return found


if __name__ == "__main__":
    main()
