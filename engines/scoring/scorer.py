"""Encoded segments in, scored segments out: the head's step in an engine, one segment at a time.

The score made after segment i predicts segment i+1: the span that begins where segment i ends.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from safetensors.torch import save
from torch import Tensor

from kuaihl.engines.outputs.evidence_jsonl import SegmentEvidence
from kuaihl.engines.runtimes.graphs import step_graph
from kuaihl.engines.runtimes.runtime import OpenRuntime, Runtime
from kuaihl.engines.runtimes.torch_runtime import open_torch
from kuaihl.engines.scoring.evidence import AblatedScorer, gather_evidence
from kuaihl.engines.types import EncodedSegment, ScoredSegment, Thumbnail
from kuaihl.models.bundle import Bundle
from kuaihl.models.errors import ModelError
from kuaihl.models.features import UNREAD
from kuaihl.models.network.stream_memory import StreamMemory, memory_from, start_memory
from kuaihl.models.network.stream_state import read_tensors
from kuaihl.models.signals import Floats, RunningMoments, columns_of

_ABLATED = "without."  # before the names of the tensors of a memory with parts left out


@dataclass(frozen=True)
class ScorerState:
    """A room's whole state: small, explicit, and of constant size however long the stream."""

    network: StreamMemory
    moments: RunningMoments  # of its signals
    gaps: tuple[bool, ...]  # of the last n segments
    head_sha256: str  # of the bundle that made it; another bundle's state would mean nothing
    picture: Thumbnail | None = None  # the last one, with which the next segment's first is compared
    language: str | None = None  # the last one that was heard
    ablated: StreamMemory | None = None  # the network's memory of the stream with parts left out, for a report

    def tensors(self) -> dict[str, Tensor]:
        """The state as named tensors, ready for safetensors."""
        extra = {
            "gaps": torch.tensor(self.gaps),
            "signals_moments": torch.from_numpy(self.moments.to_array()),
            "head_sha256": torch.tensor(list(bytes.fromhex(self.head_sha256))),
        }
        if self.picture is not None:
            extra["picture"] = torch.from_numpy(np.ascontiguousarray(self.picture))
        if self.language is not None:
            extra["language"] = torch.tensor(list(self.language.encode()), dtype=torch.uint8)
        if self.ablated is not None:
            extra |= {f"{_ABLATED}{name}": tensor for name, tensor in self.ablated.tensors().items()}
        return self.network.tensors() | extra

    @classmethod
    def from_tensors(cls, parts: dict[str, Tensor]) -> "ScorerState":
        """The inverse of `tensors`. Raises ModelError if `parts` are not those of a state."""
        if not {"gaps", "signals_moments", "head_sha256"} <= parts.keys():
            raise ModelError("room state: made by something else than a scorer; start the stream anew without it")
        head = bytes(int(byte) for byte in parts["head_sha256"]).hex()
        try:
            moments = RunningMoments.from_array(parts["signals_moments"].numpy())
        except ValueError as error:
            raise ModelError(f"room state: {error}; start the stream anew without it") from None
        ablated = {name.removeprefix(_ABLATED): part for name, part in parts.items() if name.startswith(_ABLATED)}
        return cls(
            memory_from(parts),
            moments,
            tuple(bool(gap) for gap in parts["gaps"]),
            head,
            parts["picture"].numpy() if "picture" in parts else None,
            bytes(parts["language"].tolist()).decode() if "language" in parts else None,
            memory_from(ablated) if ablated else None,
        )

    def to_bytes(self) -> bytes:
        """The state as one safetensors file."""
        return save(self.tensors())

    @classmethod
    def from_bytes(cls, data: bytes) -> "ScorerState":
        """The inverse of `to_bytes`. Raises ModelError if `data` is not such a file."""
        return cls.from_tensors(read_tensors(data))


def open_step(bundle: Bundle, open_runtime: OpenRuntime | None = None) -> Runtime:
    """The head's step of a bundle in an engine, torch on the CPU if none is given.

    Raises ModelError if the weights cannot be used, or if the bundle's network cannot follow a stream.
    """
    bundle.check_streams()
    return (open_runtime or open_torch())("step", bundle.head_sha256, lambda: step_graph(bundle.streaming_network()))


class StreamingScorer:
    """Scores one room as it comes; `streamer` is a name the bundle may know, `state` continues an earlier room.

    `step` is the bundle's, from `open_step`; any number of rooms may share it.
    Raises ModelError if the state belongs to another bundle, and as `open_step`.
    """

    def __init__(
        self,
        bundle: Bundle,
        step: Runtime | None = None,
        *,
        device: str | torch.device = "cpu",  # the engine's, where the state is kept
        streamer: str | None = None,
        segment_seconds: float | None = None,  # if segments have another length than the bundle's
        state: ScorerState | None = None,
        on_evidence: Callable[[SegmentEvidence], None] | None = None,  # gets that of every segment, for a report
    ) -> None:
        self.bundle, self.device = bundle, torch.device(device)
        self.segment_seconds = segment_seconds or bundle.segment_seconds
        self.step = step or open_step(bundle)
        self._unread = columns_of(UNREAD[bundle.text])
        if state is None:
            who = torch.tensor([bundle.streamer_index(streamer)], device=self.device)
            self._memory = start_memory(bundle.architecture, bundle.dims, who)
        elif state.head_sha256 == bundle.head_sha256:
            self._memory = state.network.to(self.device)
        else:
            raise ModelError(f"{bundle.path}: the room's state was made by another bundle; start the stream anew")
        self._gaps = state.gaps if state is not None else ()
        self._picture = state.picture if state is not None else None
        self._language = state.language if state is not None else None
        self._moments = RunningMoments() if state is None else RunningMoments.from_array(state.moments.to_array())
        self._on_evidence = on_evidence
        self._ablated: AblatedScorer | None = None
        if on_evidence is not None and (state is None or state.ablated is not None):
            memory = None if state is None else state.ablated
            self._ablated = AblatedScorer(bundle, self.step, self.device, streamer, memory)

    @property
    def state(self) -> ScorerState:
        """The state needed to continue from here, in this process or another."""
        moments = RunningMoments.from_array(self._moments.to_array())
        return ScorerState(
            self._memory.to(self.device),
            moments,
            self._gaps,
            self.bundle.head_sha256,
            self._picture,
            self._language,
            None if self._ablated is None else self._ablated.memory.to(self.device),
        )

    def scores(self, encoded: Iterable[EncodedSegment]) -> Iterator[ScoredSegment]:
        """One score per segment, as soon as the segment arrives."""
        for segment in encoded:
            yield self.score(segment)

    def score(self, segment: EncodedSegment) -> ScoredSegment:
        """Score one more segment. Raises ModelError if its features are not those that the head was trained on."""
        features, columns = self._features(segment)
        score, *kept = self.step.run(*features, *self._memory.inputs())
        interest = kept.pop(0) if self.bundle.dims.interest else None
        self._memory.push(*kept)
        answers = float(score[0]), None if interest is None else float(interest[0])  # the next run overwrites them
        if self._on_evidence is not None:
            without = {} if self._ablated is None else self._ablated.score(segment, columns)
            self._on_evidence(gather_evidence(segment, without))
        self._gaps = (*self._gaps, segment.gap)[-self.bundle.dims.window :]
        self._picture = segment.last_picture if segment.last_picture is not None else self._picture
        self._language = segment.transcript.language or self._language
        return ScoredSegment(
            segment=segment.index,
            start=segment.start,
            end=segment.end,
            predicts_start=segment.end,
            predicts_end=segment.end + self.segment_seconds,
            score=answers[0],
            interest=answers[1],
            text=segment.transcript.text,
            comments=len(segment.comments),
            gap=any(self._gaps),
            wall_time=segment.wall_time,
            sentences=segment.transcript.sentences,
            keyframe_times=segment.keyframe_times,
            seek=segment.seek,
            loudness=segment.loudness,
            events=segment.events,
        )

    def _features(self, segment: EncodedSegment) -> tuple[tuple[Tensor, ...], Floats | None]:
        """The inputs of the step, and the columns of signals among them, None if the network reads none."""
        dims, features = self.bundle.dims, segment.features
        expected = ((dims.patches, dims.visual_width), (dims.text_width,))
        if (features.visual.shape, features.text.shape) != expected:
            raise ModelError(
                f"{self.bundle.path}: the head reads features {expected[0]} and {expected[1]}, segment {segment.index} "
                f"has {features.visual.shape} and {features.text.shape}; use the encoders of profile "
                f"{self.bundle.profile!r}"
            )
        if not (np.isfinite(features.visual).all() and np.isfinite(features.text).all()):
            raise ModelError(f"segment {segment.index}: features hold NaN or infinity; check the encoders' weights")
        visual = torch.from_numpy(features.visual).to(self.device, torch.float32).unsqueeze(0)  # [1, P, d_v]
        text = torch.from_numpy(features.text).to(self.device, torch.float32).unsqueeze(0)  # [1, d_t]
        columns = self._moments.push(features.signals)  # the room's past grows even if the network does not read it
        if not dims.signals:
            return (visual, text), None
        columns[self._unread] = 0
        return (visual, text, torch.from_numpy(columns).to(self.device).unsqueeze(0)), columns  # [1, k]
