"""Why a segment scored as it did: the network runs again on the same stream with a part of its input left out.

Each part is left out of the whole stream, not of one segment: the network's memory knows nothing of it either.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from kuaihl.engines.encoders.encode import WRITTEN
from kuaihl.engines.outputs.evidence_jsonl import PARTS, Answer, LoudComment, Part, SegmentEvidence
from kuaihl.engines.runtimes.runtime import Runtime
from kuaihl.engines.types import Comment, EncodedSegment, PartialTexts
from kuaihl.models.bundle import Bundle
from kuaihl.models.network.stream_memory import StreamMemory, start_memory
from kuaihl.models.signals import GROUPS, Floats, SignalGroup, columns_of

# The signals that go with a part; what is unknown is 0 to the network, as are pictures and words that are not there.
_SIGNALS_OF: Mapping[Part, tuple[SignalGroup, ...]] = {
    "pictures": ("pictures",),
    "words": ("speech",),
    "comments": ("comments",),
    "sound": ("sound",),
    "signals": GROUPS,
}
_MOST_COMMENTS = 24  # different texts kept per segment
_MOST_CHARACTERS = 160  # of each


class AblatedScorer:
    """One room scored once per part with that part left out, all of them in one call of the step."""

    def __init__(
        self,
        bundle: Bundle,
        step: Runtime,
        device: torch.device,
        streamer: str | None,
        memory: StreamMemory | None = None,
    ) -> None:
        """`memory` goes on with an earlier room. Raises ModelError as `start_memory`."""
        dims = bundle.dims
        self.parts = tuple(part for part in PARTS if dims.signals or part not in ("sound", "signals"))
        self._has_interest, self._step, self._device = dims.interest, step, device
        who = torch.full((len(self.parts),), bundle.streamer_index(streamer), device=device)
        self.memory = start_memory(bundle.architecture, dims, who) if memory is None else memory.to(device)

    def score(self, segment: EncodedSegment, columns: Floats | None) -> dict[Part, Answer]:
        """The answers without each part; `columns` [k] are the segment's signals, None if the network reads none."""
        texts = segment.partial_texts or PartialTexts(segment.features.text, segment.features.text)
        rows = len(self.parts)
        visual = np.stack([segment.features.visual] * rows)  # [R, P, d_v]
        text = np.stack([segment.features.text] * rows)  # [R, d_t]
        signals = np.stack([columns] * rows) if columns is not None else None  # [R, k]
        for row, part in enumerate(self.parts):
            if part == "pictures":
                visual[row] = 0
            elif part == "words":
                text[row] = texts.without_speech
            elif part == "comments":
                text[row] = texts.without_comments
            if signals is not None:
                signals[row, columns_of(_SIGNALS_OF[part])] = 0
        inputs = [one for one in (visual, text, signals) if one is not None]
        scores, *kept = self._step.run(*map(self._tensor, inputs), *self.memory.inputs())
        interests = kept.pop(0) if self._has_interest else None
        self.memory.push(*kept)
        return {
            part: Answer(float(scores[row]), None if interests is None else float(interests[row]))
            for row, part in enumerate(self.parts)
        }

    def _tensor(self, rows: NDArray[np.floating[Any]]) -> Tensor:
        return torch.from_numpy(rows).to(self._device, torch.float32)


def gather_evidence(segment: EncodedSegment, without: Mapping[Part, Answer]) -> SegmentEvidence:
    """The evidence of a segment from its answers, its comments and its pictures."""
    return SegmentEvidence(segment.index, without, pick_comments(segment.comments), segment.pictures)


def pick_comments(comments: Iterable[Comment]) -> tuple[LoudComment, ...]:
    """The comments that stood out among those of a segment: paid ones, then those that most viewers wrote."""
    same: dict[str, list[Comment]] = defaultdict(list)
    for comment in comments:
        if comment.kind in WRITTEN and (text := " ".join(comment.text.split())):
            same[text[:_MOST_CHARACTERS]].append(comment)
    found = [
        LoudComment(
            min(one.time for one in group),
            text,
            len(group),
            max((one.value for one in group if one.value is not None), default=None),
        )
        for text, group in same.items()
    ]
    found.sort(key=lambda one: (-(one.value or 0.0), -one.count, -min(len(one.text), 40), one.time))
    return tuple(found[:_MOST_COMMENTS])
