"""Who is known to a network: room records in, an embedding index for every streamer of the training split out.

Streamers of other splits are unknown, index 0, as anybody new is when the network runs.
"""

from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from kuaihl.models.klive import RoomRecord


def streamer_index(records: "Iterable[RoomRecord]") -> dict[str, int]:
    """Indices from 1, in the order of the names, so that they do not depend on the order of the rooms."""
    known = {record.streamer for record in records if record.split == "train" and record.streamer}
    return {streamer: index for index, streamer in enumerate(sorted(known), start=1)}
