"""Torch's scaled dot-product attention in ONNX: two products and a softmax.

The exporter's own translation guards against rows with nothing to attend to. In every layer it compares and selects
over all of [B, h, Q, K], a fifth of a BERT's time in ONNX Runtime. No row is empty here.
"""

from collections.abc import Callable
from typing import Any

import onnxscript
import torch

_op: Any = onnxscript.opset22
OPSET = 22  # the first that allows bfloat16 convolutions


def _write_attention(
    query: Any,
    key: Any,
    value: Any,
    attn_mask: Any = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    scale: float | None = None,
    enable_gqa: bool = False,
) -> Any:
    """softmax(Q K^T / sqrt(d) + mask) V; a bool mask becomes 0 and -inf once, before broadcasting."""
    scaled = _op.Mul(query, _op.CastLike(_op.Constant(value_float=float(query.shape[-1]) ** -0.5), query))
    logits = _op.MatMul(scaled, _op.Transpose(key, perm=[0, 1, 3, 2]))
    if attn_mask is not None:
        if attn_mask.dtype == onnxscript.ir.DataType.BOOL:
            shown, hidden = (_op.CastLike(_op.Constant(value_float=each), query) for each in (0.0, float("-inf")))
            attn_mask = _op.Where(attn_mask, shown, hidden)
        logits = _op.Add(logits, attn_mask)
    return _op.MatMul(_op.Softmax(logits, axis=-1), value)


TRANSLATIONS: dict[Callable[..., Any], Callable[..., Any]] = {
    torch.ops.aten.scaled_dot_product_attention.default: _write_attention
}
