"""A graph's module computing in half precision behind float32 ports, for torch and for export alike."""

import copy

import torch
from torch import Tensor, nn

from kuaihl.engines.runtimes.runtime import Precision
from kuaihl.models.errors import UsageError

_DTYPES = {"fp32": torch.float32, "fp16": torch.float16, "bf16": torch.bfloat16}


class InPrecision(nn.Module):
    """`module` in fp32, fp16 or bf16: float inputs are cast to that precision, float outputs to float32."""

    def __init__(self, module: nn.Module, precision: Precision) -> None:
        super().__init__()
        if precision not in _DTYPES:
            raise UsageError(f"{precision}: a network is quantised after its export, not cast to it")
        self.dtype = _DTYPES[precision]
        # The module may be shared with others that stay in float32.
        self.module = module if self.dtype == torch.float32 else copy.deepcopy(module).to(self.dtype)

    def forward(self, *inputs: Tensor) -> Tensor | tuple[Tensor, ...]:
        found = self.module(*(each.to(self.dtype) if each.is_floating_point() else each for each in inputs))
        return tuple(each.float() for each in found) if isinstance(found, tuple) else found.float()
