"""L_point (eq. 8): binary cross-entropy of every score against its label, an LVTR in [0, 1].

The paper names the loss. A rate is the mean of yes-or-no answers, so cross-entropy against it is the likelihood of the
viewers' choices, up to a constant.
"""

from torch import Tensor
from torch.nn import functional


def point_loss(logits: Tensor, labels: Tensor, valid: Tensor) -> Tensor:
    """Mean over the valid labels, 0 if there are none; all three are [B, S], `valid` is bool.

    An invalid label, even NaN, affects neither the value nor the gradient.
    """
    logits = logits.float()
    each = functional.binary_cross_entropy_with_logits(
        logits, labels.float().masked_fill(~valid, 0.0), reduction="none"
    )
    return each.masked_fill(~valid, 0.0).sum() / valid.sum().clamp(min=1)
