"""What becomes of a vector of a segment on its way to a token: W_z for its text, W_x for its signals."""

from torch import nn

from kuaihl.models.network_dims import NetworkDims


def text_projection(dims: NetworkDims) -> nn.Sequential:
    """W_z: [..., d_t] -> [..., d], by the multi-layer perceptron of the supplement (section I-A), then normalised.

    The paper says neither how many layers it has nor how wide they are: here two, d wide, with GELU between them. One
    alone is what bundles of before have.
    """
    layers: list[nn.Module] = [nn.Linear(dims.text_width, dims.width)]
    for _ in range(1, dims.text_layers):
        layers += [nn.GELU(), nn.Linear(dims.width, dims.width)]
    return nn.Sequential(*layers, nn.LayerNorm(dims.width))


def signals_projection(dims: NetworkDims) -> nn.Sequential:
    """W_x: [..., k] columns of `signals` -> [..., d], a perceptron as W_z. Not in the paper.

    They are numbers of many kinds, and what one means depends on others, so one linear layer would not do.
    """
    return nn.Sequential(
        nn.Linear(dims.signals, dims.width), nn.GELU(), nn.Linear(dims.width, dims.width), nn.LayerNorm(dims.width)
    )
