"""All runs of all tables at once on one GPU, which takes minutes in place of half a day; then run_all.py writes them.

    python benchmarks/paper/on_gpu.py [--setting full] [--work paper-runs]

The seeds of a row are one stacked network (torch.func), and a step of it is one CUDA graph. The rows take turns on
streams of their own. A seed has the same first weights and the same data in the same order as in `experiment.py`, and
the same losses and optimiser. Only the random draws differ: of dropout, hidden ids, swaps and orders. The weights of
seed 0 alone are kept, for Figure 5. On a CPU nothing is gained; the tests run it there.
"""

import hashlib
import math
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass, fields
from multiprocessing import get_context
from pathlib import Path
from typing import Any, cast

import numpy as np
import table1
import table2
import table3
import torch
from experiment import RUNS_FILE, Run, Variant, append, known_runs, number, plan_of
from numpy.typing import NDArray
from safetensors.torch import save_file
from setting import Setting, arguments, data_set, tell
from torch import Tensor, nn
from torch.func import functional_call, stack_module_state, vmap
from torch.nn.attention import SDPBackend, sdpa_kernel

from kuaihl.engines.runtimes.processor import read_processor
from kuaihl.models.architectures import build_network
from kuaihl.models.batch import Batch
from kuaihl.models.data.klive import KLive, streamer_index
from kuaihl.models.dims import UNKNOWN_STREAMER
from kuaihl.models.evaluation.bootstrap import THRESHOLDS, evaluate
from kuaihl.models.evaluation.room_scores import ScoredRoom
from kuaihl.models.facts import RoomRecord
from kuaihl.models.training.batches import batches, steps_per_epoch
from kuaihl.models.training.loop import start_readers
from kuaihl.models.training.plan import TrainingPlan
from kuaihl.models.training.report import TERMS, StepReport
from kuaihl.models.training.validation import validation_of

ROOMS_AT_ONCE = 25  # in evaluation
WARM_UP = 3  # steps before a graph is captured; they are taken back
LEAD = 40  # steps that may wait on the card, so that its memory of launches does not fill
COURSE_EVERY = TrainingPlan.report_every

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Material:
    """A split's rooms, one after another, on the device; row N of every part is padding."""

    records: tuple[RoomRecord, ...]
    first: NDArray[np.int64]  # of each room, the row of its first segment
    visual: Tensor  # [N + 1, P, d_v] float16
    text: Mapping[str, Tensor]  # by source, [N + 1, d_t] float16
    signals: Tensor  # [N + 1, k]
    labels: Tensor  # [N + 1], of the next segment
    label_valid: Tensor
    interest: Tensor
    interest_valid: Tensor
    streamer: Tensor  # [N + 1], of the room


def read_material(data: KLive, split: str, sources: Sequence[str], device: torch.device) -> Material:
    """All rooms of a split. Raises DataError."""
    records, streamers = data.rooms_of(split), streamer_index(data.rooms)
    parts: dict[str, list[Any]] = {}
    for record in records:
        room = data.room(record, signals=True)
        labels, valid = room.labels()
        present, present_valid = room.present_labels()
        who = np.full(record.segments, streamers.get(record.streamer, UNKNOWN_STREAMER))
        found = {"visual": room.visual, "labels": labels, "label_valid": valid, "interest": present,
                 "interest_valid": present_valid, "streamer": who, "signals": room.signals}  # fmt: skip
        found |= {source: data.room(record, text=cast(Any, source)).text for source in sources}
        for name, rows in found.items():
            parts.setdefault(name, []).append(np.asarray(rows))

    def padded(name: str) -> Tensor:
        rows = parts.pop(name)
        return torch.from_numpy(np.concatenate([*rows, np.zeros_like(rows[0][:1])])).to(device)

    first = np.cumsum([0, *(record.segments for record in records[:-1])])
    text = {source: padded(source) for source in sources}
    return Material(records, first, text=text, **{name: padded(name) for name in list(parts)})


def window_rows(data: KLive, material: Material, window: int) -> Tensor:
    """The rows of every training window [W, n], in the order of `KLive.windows`; padding points at the last row."""
    index = data.windows("train", window)
    rooms, ends = index.pairs(np.arange(len(index)))
    first = material.first[rooms][:, None]
    rows = first + ends[:, None] + np.arange(1 - window, 1)
    return torch.from_numpy(np.where(rows < first, len(material.labels) - 1, rows))


def draw_orders(windows: int, setting: Setting, batch: int) -> Tensor:
    """The windows of every step and seed [steps, E, B], as `training.batches` orders them."""
    steps = steps_per_epoch(windows, batch)
    orders = [
        np.concatenate(
            [
                np.resize(np.random.default_rng((seed, epoch)).permutation(windows), steps * batch)
                for epoch in range(setting.epochs)
            ]
        ).reshape(-1, batch)
        for seed in range(setting.seeds)
    ]
    return torch.from_numpy(np.stack(orders, axis=1))


class Row:
    """A variant with all its seeds: stacked weights, an optimiser, and a step that runs without the processor."""

    def __init__(self, variant: Variant, data: KLive, setting: Setting, device: torch.device, steps: int) -> None:
        self.variant, self.setting, self.device = variant, setting, device
        self.plans = [plan_of(variant, seed, data, setting) for seed in range(setting.seeds)]
        plan = self.plans[0]
        windows = data.windows("train", plan.dims.window, plan.text, signals=plan.dims.signals > 0)
        networks = []
        for own in self.plans:
            torch.manual_seed(own.seed)
            network = build_network(own.architecture, own.dims)
            start_readers(network, next(batches(windows, streamer_index(data.rooms), own, range(1))))
            networks.append(network)
        self.network = networks[0].to(device)  # gives the function alone
        weights, self.buffers = stack_module_state([network.to(device) for network in networks])
        self.weights = {name: part.detach().clone().requires_grad_() for name, part in weights.items()}
        fast = device.type == "cuda"
        self.optimiser = torch.optim.Adam(
            self.weights.values(),
            plan.learning_rate,
            weight_decay=plan.weight_decay,
            decoupled_weight_decay=True,
            capturable=fast,
        )
        self.course = torch.zeros(steps, len(TERMS), setting.seeds, device=device)
        self.step = torch.zeros(1, dtype=torch.long, device=device)
        self.best = {name: part.detach().clone() for name, part in self.weights.items()}
        self.best_tau = [-math.inf] * setting.seeds
        self.stream = torch.cuda.Stream() if fast else None
        self.graph: torch.cuda.CUDAGraph | None = None

    def learn(self, material: Material, rows: Tensor, orders: Tensor) -> None:
        """One step of every seed."""
        windows = orders.index_select(0, self.step)[0]  # [E, B]
        batch = self._gather(material, rows[windows])  # [E, B, n, …]
        terms = self._stacked(_Losses(self.network, self.variant))(self.weights, self.buffers, batch)  # [E, TERMS]
        self.optimiser.zero_grad()
        terms[:, 0].sum().backward()  # seeds share nothing, so each has its own gradient
        self.optimiser.step()
        self.course.index_copy_(0, self.step, terms.detach().T[None])
        self.step += 1

    def capture(self, material: Material, rows: Tensor, orders: Tensor) -> None:
        """Make the step one CUDA graph. Weights, optimiser and course end as they were."""
        if self.stream is None:
            return
        before = {name: part.detach().clone() for name, part in self.weights.items()}
        self.network.train()
        with torch.cuda.stream(self.stream):
            for _ in range(WARM_UP):
                self.learn(material, rows, orders)
        torch.cuda.synchronize()
        graph = torch.cuda.CUDAGraph()
        try:
            with torch.cuda.graph(graph, stream=self.stream):
                self.learn(material, rows, orders)
            self.graph = graph
        except RuntimeError as error:
            tell(f"{self.variant.name}: no graph ({str(error).splitlines()[0]}); its steps are launched one by one")
        with torch.no_grad():
            for name, part in self.weights.items():
                part.copy_(before[name])
            for state in self.optimiser.state.values():
                for part in state.values():
                    part.zero_()
            self.step.zero_()
            self.course.zero_()

    def run_step(self, material: Material, rows: Tensor, orders: Tensor) -> None:
        """The next step, queued on the row's own stream."""
        self.network.train()
        if self.stream is None:
            self.learn(material, rows, orders)
            return
        with torch.cuda.stream(self.stream):
            if self.graph is not None:
                self.graph.replay()
            else:
                self.learn(material, rows, orders)

    def score(self, material: Material, weights: Mapping[str, Tensor]) -> list[NDArray[np.float32]]:
        """Scores [E, S] of every room of the material, in their order; rooms of like length go together."""
        self.network.eval()
        lengths = np.array([record.segments for record in material.records])
        found: list[NDArray[np.float32]] = [np.empty(0, np.float32)] * len(lengths)
        by_length = np.argsort(lengths)
        forward = self._stacked(_Scores(self.network), shared=True)
        with torch.no_grad():
            for start in range(0, len(lengths), ROOMS_AT_ONCE):
                rooms = by_length[start : start + ROOMS_AT_ONCE]
                places = np.arange(lengths[rooms].max())
                rows = material.first[rooms][:, None] + places
                rows = np.where(places < lengths[rooms][:, None], rows, len(material.labels) - 1)
                batch = self._gather(material, torch.from_numpy(rows).to(self.device))
                scores = forward(weights, self.buffers, batch).cpu().numpy()  # [E, R, S]
                for place, room in enumerate(rooms):
                    found[room] = scores[:, place, : lengths[room]]
        return found

    def keep_best(self, taus: Sequence[float]) -> None:
        """Keep the weights of the seeds whose validation tau is their best so far."""
        for seed, tau in enumerate(taus):
            if tau > self.best_tau[seed]:
                self.best_tau[seed] = tau
                for name, part in self.weights.items():
                    self.best[name][seed] = part.detach()[seed]

    def _stacked(self, module: nn.Module, *, shared: bool = False) -> Callable[..., Tensor]:
        """The module's output for every seed's weights and batch, or for one batch that the seeds share."""

        def one(weights: Mapping[str, Tensor], buffers: Mapping[str, Tensor], batch: dict[str, Tensor]) -> Tensor:
            inner = {f"network.{name}": part for name, part in {**weights, **buffers}.items()}
            return cast(Tensor, functional_call(module, inner, (batch,)))

        run = vmap(one, in_dims=(0, 0, None if shared else 0), randomness="different")

        def run_plainly(*inputs: Any) -> Tensor:
            with sdpa_kernel(SDPBackend.MATH):  # the only attention that is stacked with a bias that learns
                return cast(Tensor, run(*inputs))

        return run_plainly

    def _gather(self, material: Material, rows: Tensor) -> dict[str, Tensor]:
        """The parts of a `Batch` for rows [..., S]."""
        plan = self.plans[0]
        there = rows < len(material.labels) - 1
        found = {
            "visual": material.visual[rows].float(),
            "text": material.text[plan.text][rows].float(),
            "streamer": material.streamer[rows].amax(dim=-1),
            "labels": material.labels[rows],
            "label_valid": material.label_valid[rows],
            "segment_valid": there,
        }
        if plan.dims.signals:
            found |= {
                "signals": material.signals[rows],
                "interest": material.interest[rows],
                "interest_valid": material.interest_valid[rows],
            }
        return found


class _Losses(nn.Module):
    """The terms of a batch, in the order of TERMS."""

    def __init__(self, network: nn.Module, variant: Variant) -> None:
        super().__init__()
        self.network, self.objective = network, variant.objective

    def forward(self, batch: dict[str, Tensor]) -> Tensor:
        terms = self.network.training_losses(self.objective, _as_batch(batch))  # type: ignore[operator]
        return torch.stack([getattr(terms, name) for name in TERMS])


class _Scores(nn.Module):
    """Scores of rooms that are padded at their end, which no causal network sees."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, batch: dict[str, Tensor]) -> Tensor:
        told = [batch["signals"]] if "signals" in batch else []
        found = self.network(batch["visual"], batch["text"], batch["streamer"], None, *told)
        return cast(Tensor, found.sigmoid())


def _as_batch(parts: dict[str, Tensor]) -> Batch:
    return Batch(**{part.name: parts.get(part.name) for part in fields(Batch)})  # type: ignore[arg-type]


def make_runs(variants: Sequence[Variant], work: Path, setting: Setting, device: torch.device) -> list[Run]:
    """Train and test all seeds of the variants side by side; a run as `experiment.made` returns it."""
    began = time.perf_counter()
    torch.backends.mha.set_fastpath_enabled(False)  # it cannot be stacked
    data = data_set(work, setting)
    plan = plan_of(variants[0], 0, data, setting)
    sources = sorted({plan_of(variant, 0, data, setting).text for variant in variants})
    material = {split: read_material(data, split, sources, device) for split in ("train", "validation", "test")}
    machine = torch.cuda.get_device_name() if device.type == "cuda" else read_processor().name
    rows = window_rows(data, material["train"], plan.dims.window).to(device)
    orders = draw_orders(len(rows), setting, plan.batch).to(device)
    steps = steps_per_epoch(len(rows), plan.batch)
    together = [Row(variant, data, setting, device, len(orders)) for variant in variants]
    for row in together:
        row.capture(material["train"], rows, orders)
    tell(f"{len(together)} rows of {setting.seeds} seeds ready after {time.perf_counter() - began:.0f} s")
    with ProcessPoolExecutor(min(16, torch.get_num_threads()), mp_context=get_context("spawn")) as pool:
        for step in range(len(orders)):
            for row in together:
                row.run_step(material["train"], rows, orders)
            if device.type == "cuda" and step % LEAD == 0:
                torch.cuda.synchronize()
            if step % 500 == 0:
                tell(f"step {step} of {len(orders)}, {time.perf_counter() - began:.0f} s")
            if (step + 1) % steps == 0:
                if device.type == "cuda":
                    torch.cuda.synchronize()
                _validate(together, material["validation"], data, pool)
        tell(f"trained after {time.perf_counter() - began:.0f} s")
        found = _test(together, material["test"], data, work, pool, began)
    return [run | {"machine": f"{machine}, all runs at once, torch {torch.__version__}"} for run in found]


def _validate(together: Sequence[Row], material: Material, data: KLive, pool: ProcessPoolExecutor) -> None:
    """Keep what is best on the validation rooms, as `training.loop` does."""
    known = [data.labels(record) for record in material.records]
    scored = [row.score(material, row.weights) for row in together]
    waiting = [
        [pool.submit(_validation_tau, [room[seed] for room in rooms], known) for seed in range(row.setting.seeds)]
        for row, rooms in zip(together, scored, strict=True)
    ]
    for row, taus in zip(together, waiting, strict=True):
        row.keep_best([tau.result() for tau in taus])


def _validation_tau(scores: Sequence[Floats], known: Sequence[tuple[Any, Any]]) -> float:
    return validation_of(
        (room[valid].astype(np.float64), labels[valid]) for room, (labels, valid) in zip(scores, known, strict=True)
    ).tau


def _test(
    together: Sequence[Row], material: Material, data: KLive, work: Path, pool: ProcessPoolExecutor, began: float
) -> list[Run]:
    """The runs, with the weights of seed 0 beside them."""
    known = [data.labels(record) for record in material.records]
    waiting = []
    for row in together:
        rooms = row.score(material, row.best)
        for seed in range(row.setting.seeds):
            scored = [
                ScoredRoom(record, own[seed].astype(np.float64), labels.astype(np.float64), valid)
                for record, own, (labels, valid) in zip(material.records, rooms, known, strict=True)
            ]
            waiting.append((row, seed, pool.submit(evaluate, scored, draws=0)))
    runs = []
    for row, seed, future in waiting:
        found, key = future.result(), row.variant.key(row.setting, seed)
        weights = f"run-{hashlib.sha256(key.encode()).hexdigest()[:12]}.safetensors"
        if seed == 0:
            save_file({name: part[0].cpu().contiguous() for name, part in row.best.items()}, work / weights)
        runs.append(
            {
                "key": key,
                "variant": row.variant.name,
                "seed": seed,
                "tau above": {str(threshold): number(found.tau[threshold].value) for threshold in THRESHOLDS},
                "tau per room": number(found.tau_per_room[0.0].value),
                "validation tau": row.best_tau[seed],
                "parameters": sum(part[0].numel() for part in row.best.values()),
                "seconds": round((time.perf_counter() - began) / len(waiting), 1),  # a share: all ran at once
                "course": _course(row, seed),
                "weights": weights,
            }
        )
    return runs


def _course(row: Row, seed: int) -> list[dict[str, float]]:
    """The means of every COURSE_EVERY steps, as training reports them."""
    terms = row.course[:, :, seed].double().cpu().numpy()
    steps = len(terms)
    per_epoch = steps // row.setting.epochs
    ends = sorted({*range(COURSE_EVERY, steps + 1, COURSE_EVERY), *range(per_epoch, steps + 1, per_epoch)})
    reports, before = [], 0
    for end in ends:
        means = terms[before:end].mean(axis=0).tolist()
        reports.append(asdict(StepReport(end, steps, (end - 1) // per_epoch + 1, *means)))
        before = end
    return reports


def all_variants() -> list[Variant]:
    """The rows of every table."""
    return [*table1.SYSTEMS, *table2.ROWS, *table2.BY_ALL_PAIRS, *table3.VARIANTS]


def main() -> None:
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    work, _, setting = arguments(__doc__)
    known = known_runs(work)
    wanted = {variant.key(setting, 0): variant for variant in all_variants()}
    missing = [
        variant
        for variant in wanted.values()
        if any(variant.key(setting, seed) not in known for seed in range(setting.seeds))
    ]
    if not missing:
        tell("every run is there")
        sys.exit()
    for run in make_runs(missing, work, setting, device):
        append(work / RUNS_FILE, run)


if __name__ == "__main__":
    main()
