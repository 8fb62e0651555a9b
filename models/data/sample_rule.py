"""The windows of a room that are training samples, and those of their labels that count.

"masked" is ours: a window ends at each segment, and a label from too few views does not count.
"recent" is the supplement's (section I-A): n consecutive segments, kept if the most recent one has enough viewers; then
all n labels count. Its wording leaves open which segment that is, since labels are shifted. It may be the last of the
n, or the one after it, which gives the last label. The sample is its n segments, so we take the last of them.
"""

from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

SampleRule = Literal["masked", "recent"]


def recent_samples(views: NDArray[Any] | None, segments: int, window: int, min_views: int) -> NDArray[np.int32]:
    """The segments at which a room's samples end by the rule "recent", in order.

    Samples have no padding and a label for their last segment, so they end at n-1 to S-2. `views` is [S], or None if
    labels are rates that nobody counted: then all are kept.
    """
    ends = np.arange(window - 1, segments - 1, dtype=np.int32)
    return ends if views is None else ends[views[ends] >= min_views]
