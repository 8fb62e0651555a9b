"""Simulated rooms as a data set in the KLive layout: a plan and two feature banks in, a directory out.

The set stands in for the paper's KLive, which is not public. It has the causes of `causes` and one more: speech and
pictures may follow different orders (docs/cold-start.md). Taste shows only in the streamer's id. The ceiling that label
noise allows is measured and written beside the rooms.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kuaihl.models.data.klive_writer import DataSetWriter
from kuaihl.models.data.segment_counts import NOT_COUNTED, segment_counts
from kuaihl.models.data.shift import next_of
from kuaihl.models.evaluation.bootstrap import THRESHOLDS, is_above
from kuaihl.models.evaluation.rank_correlation import FEWEST_LABELS, kendall_tau_b
from kuaihl.models.facts import MIN_VIEWS, DataSetFacts, EncoderFacts, LabelFacts, RoomRecord
from kuaihl.models.features import Float16
from kuaihl.models.signals import SignalsFacts, with_standard_scores
from kuaihl.models.simulation.feature_bank import FeatureBank, codes_of, features_of, keys_of
from kuaihl.models.simulation.proportions import Proportions, draw_hosts, draw_segments, with_audiences
from kuaihl.models.simulation.rooms import draw_room, draw_rooms
from kuaihl.models.simulation.streamers import draw_streamers
from kuaihl.models.simulation.terms import EVERYTHING, NOTHING, Integers, Room, labels_of

SHARES = {"train": 0.8, "validation": 0.1, "test": 0.1}  # of the rooms
_FRAMES = 3  # a segment's patches are those of its frames, one after another
FARTHEST_SWAP = 4  # segments between two things that speech swaps
TAU_ABOVE = "tau above"  # a ceiling's taus by Δ; older sets hold "tau", over pairs of labels more than Δ apart


@dataclass(frozen=True)
class SimulationPlan:
    """All that decides the simulation; two sets of one plan and the same banks are the same."""

    rooms: int = 300
    streamers: int = 60
    seed: int = 0
    pooled: bool = True  # one patch per frame, the mean of its own: a quarter of the numbers, for training on CPU
    swaps: float = 0.08  # per segment, how often speech swaps two things
    proportions: Proportions = "even"  # of room lengths, audiences and rooms per host

    @property
    def source(self) -> str:
        """The source of the labels, for `dataset.json`."""
        return (
            f"simulated: rooms {self.rooms}, streamers {self.streamers}, seed {self.seed}, "
            f"swaps {self.swaps}, {'pooled' if self.pooled else 'whole'} patches"
            f"{'' if self.proportions == 'even' else f', proportions of {self.proportions}'}"
        )


def write_simulated_set(
    path: Path,
    plan: SimulationPlan,
    train_bank: FeatureBank,
    held_out_bank: FeatureBank,
    *,
    profile: str,
    encoders: tuple[EncoderFacts, ...],
    progress: Callable[[int, int], None] = lambda done, rooms: None,
) -> dict[str, Any]:
    """Simulate rooms, write them, and return the ceiling; `progress` receives the rooms done and their number.

    Raises DataError.
    """
    banks = split_banks(plan, train_bank, held_out_bank)
    patches, width = train_bank.visual.shape[-2:]
    facts = DataSetFacts(
        profile=profile,
        encoders=encoders,
        segment_seconds=30.0,
        label=LabelFacts(source=plan.source),
        signals=SignalsFacts(),
        visual_width=width,
        text_width=train_bank.text.shape[-1],
        patches=_FRAMES if plan.pooled else patches,
        licence="simulated; sentences and scenes written for kuaihl (MIT)",
    )
    writer = DataSetWriter(path, facts)
    done, test_rooms = 0, []
    for split, random, rooms in simulated_rooms(plan, {split: bank.styles for split, bank in banks.items()}):
        for room in rooms:
            swapped = swap_order(room, plan.swaps, random)
            record = RoomRecord(f"room-{done:05}", f"streamer-{room.streamer:04}", len(room.rate), split)
            writer.write_room(record, room_arrays(swapped, banks[split], random, pooled=plan.pooled))
            done += 1
            progress(done, plan.rooms)
            if split == "test":
                test_rooms.append(room)
    ceiling = noise_ceiling(test_rooms)
    writer.finish(ceiling)
    return ceiling


def simulated_rooms(
    plan: SimulationPlan, styles: Mapping[str, int]
) -> Iterator[tuple[str, np.random.Generator, list[Room]]]:
    """Each split, the source of all its randomness, and its rooms; `styles` counts a split's drawn worlds.

    Even proportions have the same streamers in all splits, and some inputs of their rooms are unknown. With KLive's,
    all inputs are known. A host has few rooms there, so some hosts of test rooms have no training room.
    """
    streamers = draw_streamers(plan.streamers, np.random.default_rng(plan.seed))
    outlines: Iterator[tuple[int, int]] = iter(())  # each room's host and length, if fixed beforehand
    if plan.proportions == "klive":
        random = np.random.default_rng((plan.seed, len(SHARES)))
        hosts, lengths = draw_hosts(plan.rooms, plan.streamers, random), draw_segments(plan.rooms, random)
        streamers = with_audiences(streamers, random)
        outlines = zip(hosts.tolist(), lengths.tolist(), strict=True)
    for split, count in _room_counts(plan.rooms).items():
        random = np.random.default_rng((plan.seed, list(SHARES).index(split)))
        if plan.proportions == "even":
            yield split, random, draw_rooms(count, streamers, styles[split], random)
        else:
            yield (
                split,
                random,
                [
                    draw_room(
                        host,
                        streamers[host],
                        styles[split],
                        random,
                        length=length,
                        least_mean=MIN_VIEWS,
                        known=EVERYTHING,
                    )
                    for host, length in islice(outlines, count)
                ],
            )


def _room_counts(rooms: int) -> dict[str, int]:
    """The number of rooms per split, at least one each."""
    held = {split: max(1, round(SHARES[split] * rooms)) for split in ("validation", "test")}
    return {"train": rooms - sum(held.values()), **held}


def split_banks(plan: SimulationPlan, train: FeatureBank, held_out: FeatureBank) -> dict[str, FeatureBank]:
    """Each split's bank: the sentences of validation and test are held out, half of them for each.

    The same holds for the drawn worlds of even proportions. With KLive's, a host looks the same in all splits, as real
    hosts do.
    """
    banks = dict(zip(SHARES, (train, *split_bank(held_out)), strict=True))
    if plan.proportions == "klive":
        return {split: replace(bank, visual=train.visual) for split, bank in banks.items()}
    return banks


def split_bank(bank: FeatureBank) -> tuple[FeatureBank, FeatureBank]:
    """Two banks that share no text and no style; each key has texts in both if it has two."""
    styles = bank.styles // 2
    one, other = half_rows(bank)
    return bank.part(one, slice(styles)), bank.part(other, slice(styles, None))


def half_rows(bank: FeatureBank) -> tuple[Integers, Integers]:
    """The rows of the bank's texts in each half: the first ones of every key, and the others."""
    codes = codes_of(bank.keys)
    rank = np.empty(len(codes), np.int64)
    rank[bank.order] = np.arange(len(codes)) - bank.starts[codes[bank.order]]
    first = rank < bank.counts[codes] // 2
    return np.flatnonzero(first), np.flatnonzero(~first)


def swap_order(room: Room, swaps: float, random: np.random.Generator) -> Room:
    """The room with the speech topics of some pairs of segments swapped; pairs are at most FARTHEST_SWAP apart.

    Such a speaker talks about things in another order than the pictures show them. Silence stays in place.
    """
    speech = room.speech.copy()
    for first in np.flatnonzero(random.random(len(speech)) < swaps):
        second = first + int(random.integers(1, FARTHEST_SWAP + 1))
        if second < len(speech) and NOTHING not in (speech[first], speech[second]):
            speech[first], speech[second] = speech[second], speech[first]
    return replace(room, speech=speech)


def room_arrays(room: Room, bank: FeatureBank, random: np.random.Generator, *, pooled: bool) -> dict[str, NDArray[Any]]:
    """A room as it is stored; every text and picture lies between two of its kind, so that rooms differ."""
    features = features_of(room, bank, random)
    length = len(room.rate)
    text_share = random.uniform(0.0, 0.5, size=(length, 1)).astype(np.float32)
    other_style = np.full(length, random.integers(bank.styles))  # a room's world is the same throughout
    style_share = np.float32(random.uniform(0.0, 0.5))

    def say_words(rows: Integers) -> Float16:
        return _interpolate(bank.text_of(rows), bank.text_of(bank.draw_alike(rows, random)), text_share)

    scene, level, _ = features.visual
    other = replace(features, visual=(scene, level, other_style))
    visual = _interpolate(bank.visual_of(features), bank.visual_of(other), style_share)
    return {
        "visual": pool_frames(visual) if pooled else visual,
        "text": say_words(features.text),
        "text_speech": say_words(bank.draw(keys_of(room, comments=False), random)),
        "text_comments": say_words(bank.draw(keys_of(room, speech=False), random)),
        "signals": with_standard_scores(room.signals),
        "views": room.views.astype(np.int32),
        "long_views": room.long_views.astype(np.int32),
        "true_rate": room.rate.astype(np.float32),
        # The causes provide impressions and messages; a room recorded without its comments has no messages to count.
        "counts": segment_counts(
            length,
            exposure=room.views,
            comment=room.comments if "comments" in room.known else np.full(length, NOT_COUNTED),
        ),
    }


def _interpolate(one: Float16, other: Float16, share: "NDArray[np.float32] | np.float32") -> Float16:
    """`share` of the way from one to the other."""
    mixed: Float16 = ((1 - share) * one.astype(np.float32) + share * other.astype(np.float32)).astype(np.float16)
    return mixed


def pool_frames(visual: Float16) -> Float16:  # [S, P, d_v] -> [S, FRAMES, d_v]
    """The mean of each frame's patches."""
    frames = visual.reshape(len(visual), _FRAMES, -1, visual.shape[-1])
    pooled: Float16 = frames.mean(axis=2, dtype=np.float32).astype(np.float16)
    return pooled


def noise_ceiling(rooms: list[Room]) -> dict[str, Any]:
    """The reach of perfect knowledge: taus of the next segment's true rate with the counted rate.

    They cover the segments whose counted rate is above Δ, as in `evaluate`; the tau per room is the one at Δ = 0. The
    counted rate is a binomial draw at the true one, and the noise of that draw keeps tau below 1. Beside it stands the
    tau of the present segment's true rate: the reach of knowing the viewers' present mood, but not the future.
    """
    contenders = {
        "next segment's true rate": [next_of(room.rate) for room in rooms],
        "this segment's true rate": [room.rate for room in rooms],
    }
    labels = [labels_of(room) for room in rooms]
    counted = np.concatenate([rate[valid] for rate, valid in labels])
    found: dict[str, Any] = {"split": "test", "rooms": len(rooms), "labels": len(counted)}
    for name, rates in contenders.items():
        true = np.concatenate([rate[valid] for rate, (_, valid) in zip(rates, labels, strict=True)])
        chosen = [valid & is_above(seen, 0.0) for seen, valid in labels]
        per_room = [
            kendall_tau_b(rate[which], seen[which])
            for rate, (seen, _), which in zip(rates, labels, chosen, strict=True)
            if which.sum() >= FEWEST_LABELS
        ]
        found[name] = {
            TAU_ABOVE: {str(threshold): _tau_above(true, counted, threshold) for threshold in THRESHOLDS},
            "tau_per_room": round(float(np.nanmean(per_room)), 4) if per_room else None,
        }
    return found


def _tau_above(scores: NDArray[np.float64], labels: NDArray[np.float64], threshold: float) -> float | None:
    """Kendall's tau-b over the segments whose label is above the threshold, to four digits; None if undefined."""
    which = is_above(labels, threshold)
    value = kendall_tau_b(scores[which], labels[which])
    return round(value, 4) if np.isfinite(value) else None
