"""Models learned on the set itself, by cross-validation: ridge, a small network, and the shipped head trained on.

Every segment is scored by a model that has seen neither it nor anything near it. One part is tested. The next part that
has highlights decides when to stop; of two parts, it is the last fifth of every training recording. The others are
learned from. Ridge, which has only its penalty to choose, learns from the second, too. Sizes and rates were fixed
before anything was measured.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from head import Inputs, answers, scores_of
from intervals import kendall_tau, roc_area
from numpy.typing import NDArray
from sets import RealSet

from kuaihl.models.dims import NetworkDims
from kuaihl.models.losses.objective import Objective
from kuaihl.models.losses.pairwise import pairwise_loss
from kuaihl.models.losses.point import point_loss
from kuaihl.models.training.linear_fit import past_of

if TYPE_CHECKING:
    from torch import Tensor

    from kuaihl.models.network.kuaihl import KuaiHL

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]

WINDOW = 20
SEQUENCE = 2 * WINDOW - 1  # segments of a training sample: all that a score depends on
MARGIN = 2 * WINDOW  # segments beside a tested part of the same recording, left out of training
PAST = 4  # segments that ridge reads
PENALTIES = tuple(10.0**power for power in range(5))  # of ridge, per block of features of variance 1


@dataclass(frozen=True)
class Part:
    """The roles of all N segments: to learn from, to decide when to stop, and to test."""

    train: Mask
    validation: Mask
    test: Mask


@dataclass(frozen=True)
class Loop:
    """The training of a network."""

    learning_rate: float
    epochs: int  # at most
    patience: int  # epochs without a better validation
    batch: int = 8
    weight_decay: float = 0.0


FROM_SCRATCH = Loop(learning_rate=1e-3, epochs=40, patience=6)
FINE_TUNED = Loop(learning_rate=1e-4, epochs=15, patience=3)


def parts_of(real: RealSet) -> list[Part]:
    """One part per fold, over the segments of all recordings one after the other."""
    folds, labels = (np.concatenate([getattr(each, name) for each in real.recordings]) for name in ("folds", "present"))
    of = np.concatenate([np.full(len(each.folds), i) for i, each in enumerate(real.recordings)])
    late = np.concatenate([np.arange(len(each.folds)) >= 0.8 * len(each.folds) for each in real.recordings])
    names = np.unique(folds)
    found = []
    for i, name in enumerate(names):
        test = folds == name
        near = np.zeros(len(test), bool)
        for place in np.flatnonzero(test):
            span = slice(max(place - MARGIN, 0), place + MARGIN + 1)
            near[span] |= of[span] == of[place]
        others = [folds == other for other in (*names[i + 1 :], *names[:i])] if len(names) > 2 else [late]
        far = [other & ~near for other in others]
        validation = first_mixed(far, labels)
        found.append(Part(~near & ~validation, validation, test))
    return found


def first_mixed(masks: Sequence[Mask], labels: Floats) -> Mask:
    """The first with two kinds of labels: others have no order to stop by."""
    return next((mask for mask in masks if len(np.unique(labels[mask])) > 1), masks[0])


def by_parts(real: RealSet, scored: Callable[[Part], dict[str, Floats]]) -> dict[str, Floats]:
    """By question, scores [N], each from the part in which its segment is tested.

    Parts share a unit only if they are of one broadcast, and are compared there. So scores are standardised by the same
    network's scores of the segments that it has learned from.
    """
    found: dict[str, Floats] = {}
    for part in parts_of(real):
        for question, scores in scored(part).items():
            target = found.setdefault(question, np.full(len(part.test), np.nan))
            seen = scores[part.train]
            target[part.test] = (scores[part.test] - seen.mean()) / max(float(seen.std()), 1e-12)
    return found


def lengths(recordings: list[Inputs]) -> list[int]:
    return [len(recording.text) for recording in recordings]


def ridge(real: RealSet, recordings: list[Inputs], blocks_read: Sequence[str]) -> dict[str, Floats]:
    """Ridge regression of the label, less its recording's mean, on "text" or "signals" of the last PAST segments."""
    blocks = [
        np.concatenate([past_of(getattr(each, name).double().numpy(), PAST) for each in recordings])
        for name in blocks_read
    ]
    questions = tuple(recordings[0].labels)
    targets = np.stack([centred(recordings, question) for question in questions], axis=1)

    folds = np.concatenate([recording.folds for recording in real.recordings])
    fifths = np.concatenate([np.arange(long) * 5 // long for long in lengths(recordings)])

    def scored(part: Part) -> dict[str, Floats]:
        seen = part.train | part.validation
        features = np.concatenate([scaled(block, seen) for block in blocks], axis=1)
        groups = folds if len(np.unique(folds[seen])) > 1 else fifths
        return dict(zip(questions, fit_ridge(features, targets, seen, groups).T, strict=True))

    return by_parts(real, scored)


def centred(recordings: list[Inputs], question: str) -> Floats:
    """Labels [N], less the mean of the recording: only the order within a recording matters."""
    labels = [recording.labels[question].double().numpy() for recording in recordings]
    return np.concatenate([each - np.nanmean(each) for each in labels])


def scaled(block: Floats, train: Mask) -> Floats:
    """Columns as standard scores over the training segments; the whole block has variance 1, however wide."""
    mean, deviation = block[train].mean(axis=0), block[train].std(axis=0)
    varied = deviation > 1e-6
    if not varied.any():
        return np.zeros((len(block), 0))
    scores = np.clip((block[:, varied] - mean[varied]) / deviation[varied], -10, 10)
    return np.asarray(scores / np.sqrt(varied.sum()))


def fit_ridge(features: Floats, targets: Floats, seen: Mask, groups: NDArray[np.int64]) -> Floats:
    """Fitted values [N, Q] of targets [N, Q], learned from `seen`.

    Each target has the penalty with the least squared error over left-out groups.
    """
    seen = seen & np.isfinite(targets).all(axis=1)
    errors = np.zeros((len(PENALTIES), targets.shape[1]))
    for group in np.unique(groups[seen]):
        left_out = seen & (groups == group)
        for i, fitted in enumerate(fits(features, targets, seen & ~left_out, left_out)):
            errors[i] += np.square(fitted - targets[left_out]).sum(axis=0)
    every = np.stack(list(fits(features, targets, seen, np.ones(len(seen), bool))))
    return every[errors.argmin(axis=0), :, np.arange(targets.shape[1])].T


def fits(features: Floats, targets: Floats, train: Mask, asked: Mask) -> Iterator[Floats]:
    """Fitted values of the asked segments at each penalty, in closed form: over segments or features, if fewer."""
    around, mean = features[train].mean(axis=0), targets[train].mean(axis=0)
    x, y, new = (torch.from_numpy(each) for each in (features[train] - around, targets[train] - mean, features[asked]))
    new = new - torch.from_numpy(around)
    few = len(x) < x.shape[1]
    products = x @ x.T if few else x.T @ x
    for penalty in PENALTIES:
        factor = torch.linalg.cholesky(products + penalty * torch.eye(len(products), dtype=torch.float64))
        solved = torch.cholesky_solve(y if few else x.T @ y, factor)
        yield mean + (new @ (x.T @ solved if few else solved)).numpy()


def network(
    real: RealSet, recordings: list[Inputs], start: "Callable[[], KuaiHL]", loop: Loop
) -> dict[str, Floats]:  # fmt: skip
    """Networks that begin as `start` returns them, one per part."""

    def scored(part: Part) -> dict[str, Floats]:
        return scores_of(trained(real, recordings, start(), part, loop), recordings)

    return by_parts(real, scored)


def small_network(recordings: list[Inputs]) -> "KuaiHL":
    """A network that fits a few hundred labels, its readers standardised over the set's features (not its labels)."""
    from kuaihl.models.network.kuaihl import KuaiHL
    from kuaihl.models.network.standardize import read_standardised

    text, signals = (torch.cat([getattr(each, name) for each in recordings]) for name in ("text", "signals"))
    torch.manual_seed(0)
    made = KuaiHL(
        NetworkDims(
            visual_width=1,
            text_width=text.shape[1],
            patches=1,
            width=64,
            heads=2,
            layers=1,
            window=WINDOW,
            feed_forward=2,
            dropout=0.2,
            use_visual=False,
            use_text=bool(text.any()),
            use_id=False,
            signals=signals.shape[1],
            interest=True,
        )
    )
    read_standardised(made.signals, signals.numpy())
    if made.dims.use_text:
        read_standardised(made.text, text.numpy())
    return made


def trained(real: RealSet, recordings: list[Inputs], start: "KuaiHL", part: Part, loop: Loop) -> "KuaiHL":
    """The network of the epoch that orders the validation segments best; the initial one if no epoch does better."""
    torch.manual_seed(0)
    random = np.random.default_rng(0)
    adam = torch.optim.AdamW(start.parameters(), lr=loop.learning_rate, weight_decay=loop.weight_decay)
    best, weights, since = order_in(real, recordings, start, part.validation), copy_of(start), 0
    for _ in range(loop.epochs):
        start.train()
        for sample in samples(recordings, part.train, loop.batch, random):
            loss = loss_of(start, *sample)
            adam.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            torch.nn.utils.clip_grad_norm_(start.parameters(), 1.0)
            adam.step()
        reached = order_in(real, recordings, start, part.validation)
        if reached > best:
            best, weights, since = reached, copy_of(start), 0
        else:
            since += 1
            if since >= loop.patience:
                break
    start.load_state_dict(weights)
    return start


def copy_of(made: "KuaiHL") -> "dict[str, Tensor]":
    return {name: part.detach().clone() for name, part in made.state_dict().items()}


def samples(
    recordings: list[Inputs], train: Mask, batch: int, random: np.random.Generator
) -> "Iterator[tuple[Tensor, Tensor, Tensor, dict[str, Tensor]]]":
    """One epoch of batches of newly cut stretches: text, signals, the mask of segments, labels (NaN if hidden)."""
    cut = []
    for recording, seen in zip(recordings, np.split(train, np.cumsum(lengths(recordings))[:-1]), strict=True):
        first = -int(random.integers(SEQUENCE // 2))
        for begin in range(first, len(seen), SEQUENCE):
            places = np.arange(begin, begin + SEQUENCE)
            inside = (places >= 0) & (places < len(seen))
            places = np.clip(places, 0, len(seen) - 1)
            counted = torch.from_numpy(inside & seen[places])
            if counted.any():
                labels = {
                    question: torch.where(counted, values[places], torch.nan)
                    for question, values in recording.labels.items()
                }
                cut.append((recording.text[places], recording.signals[places], torch.from_numpy(inside), labels))
    order = random.permutation(len(cut))
    for begin in range(0, len(cut), batch):
        chosen = [cut[i] for i in order[begin : begin + batch]]
        text, signals, valid = (torch.stack([each[i] for each in chosen]) for i in range(3))
        labels = {question: torch.stack([each[3][question] for each in chosen]) for question in chosen[0][3]}
        yield text, signals, valid, labels


def loss_of(
    made: "KuaiHL", text: "Tensor", signals: "Tensor", valid: "Tensor", labels: "dict[str, Tensor]"
) -> "Tensor":  # fmt: skip
    """L_point and L_pair of eq. 13, of both questions."""
    score, interest = answers(made, text, signals, valid)
    weights = Objective()
    total = score.sum() * 0.0
    for question, logits in (("next", score), ("present", interest)):
        if question in labels and logits is not None:
            counted = labels[question].isfinite()
            total = total + weights.point * point_loss(logits, labels[question], counted)
            total = total + weights.pair * pairwise_loss(logits, labels[question], counted)
    return total


def order_in(real: RealSet, recordings: list[Inputs], made: "KuaiHL", chosen: Mask) -> float:
    """Mean over questions and units of tau (or AUC) over the chosen segments, so that training may stop at its best."""
    units = np.concatenate([np.full(len(each.starts), each.unit) for each in real.recordings])
    measure = roc_area if real.ordered == "AUC" else kendall_tau
    found = []
    for question, scores in scores_of(made, recordings).items():
        if question not in recordings[0].labels:
            continue
        labels = np.concatenate([each.labels[question].double().numpy() for each in recordings])
        for unit in np.unique(units[chosen]):
            own = chosen & (units == unit) & np.isfinite(labels)
            found.append(measure(scores[own], labels[own], np.ones((1, int(own.sum()))))[0])
    return float(np.nanmean(found))
