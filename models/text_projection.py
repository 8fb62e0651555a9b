"""W_z: the text encoder's vector, d_t wide, becomes a token d wide (eq. 2; supplement, section I-A)."""

from torch import nn

from kuaihl.models.network_dims import NetworkDims


def text_projection(dims: NetworkDims) -> nn.Sequential:
    """[..., d_t] -> [..., d], by the multi-layer perceptron of the supplement, then normalised.

    The paper says neither how many layers it has nor how wide they are: here two, d wide, with GELU between them. One
    alone is what bundles of before have.
    """
    layers: list[nn.Module] = [nn.Linear(dims.text_width, dims.width)]
    for _ in range(1, dims.text_layers):
        layers += [nn.GELU(), nn.Linear(dims.width, dims.width)]
    return nn.Sequential(*layers, nn.LayerNorm(dims.width))
