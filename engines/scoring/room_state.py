"""state.safetensors: a room after one of its segments, from which another process can go on (DESIGN, section 6)."""

import json
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors.torch import save

from kuaihl.engines.ingest.live_clock import ClockMark
from kuaihl.engines.outputs.atomic import write_output
from kuaihl.engines.scoring.scorer import ScorerState
from kuaihl.models.errors import ModelError
from kuaihl.models.json_text import parse_json
from kuaihl.models.network.stream_state import read_tensors

_ROOM = "room"  # the tensor of all that is no tensor: JSON in UTF-8


@dataclass(frozen=True)
class RoomState:
    """A room after a segment: written before the segment's line, which it therefore carries."""

    scorer: ScorerState
    segment: int
    line: str  # of scores.jsonl
    clock: ClockMark | None = None  # of a stream that cannot be read again


def write_state(path: Path, state: RoomState) -> None:
    """Write it, whole or not at all. Raises UsageError if it cannot be written."""
    said = {"segment": state.segment, "line": state.line, "clock": state.clock}
    room = torch.tensor(list(json.dumps(said).encode()), dtype=torch.uint8)
    write_output(path, save(state.scorer.tensors() | {_ROOM: room}))


def read_state(path: Path) -> RoomState | None:
    """The state in a file; None if there is none, or none that this version reads."""
    try:
        parts = read_tensors(path.read_bytes())
        said = parse_json(bytes(parts.pop(_ROOM).tolist()))
        mark = said["clock"]
        scorer = ScorerState.from_tensors(parts)
        return RoomState(scorer, int(said["segment"]), str(said["line"]), None if mark is None else ClockMark(*mark))
    except (OSError, ModelError, ValueError, KeyError, TypeError):
        return None
