"""A small bundle with random weights, and encoded segments as its input."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from kuaihl.engines.types import EncodedSegment, Transcript
from kuaihl.models.bundle import Bundle, save_bundle
from kuaihl.models.dims import NetworkDims
from kuaihl.models.facts import EncoderFacts, LabelFacts
from kuaihl.models.features import SegmentFeatures
from kuaihl.models.network.kuaihl import KuaiHL
from kuaihl.models.signals import SIGNALS, SIGNALS_WIDTH

DIMS = NetworkDims(visual_width=10, text_width=6, patches=3, width=16, heads=2, window=5, streamers=1)
BEYOND_PAPER = replace(DIMS, signals=SIGNALS_WIDTH, interest=True)


def make_bundle(path: Path, seed: int, dims: NetworkDims = DIMS) -> Bundle:
    torch.manual_seed(seed)
    return save_bundle(
        path,
        KuaiHL(dims),
        profile="edge",
        encoders=(EncoderFacts("vision", "x", "1", ""),),
        label=LabelFacts(),
        licence_weights="MIT",
        licence_data="MIT",
        streamers={"ann": 1},
    )


def segments(number: int, gaps: tuple[int, ...] = ()) -> Iterator[EncodedSegment]:
    draw = np.random.default_rng(0)
    for index in range(number):
        features = SegmentFeatures(
            draw.normal(size=(3, 10)).astype(np.float16),
            draw.normal(size=6).astype(np.float16),
            draw.normal(size=len(SIGNALS)).astype(np.float32),
        )
        yield EncodedSegment(
            index, index * 30.0, index * 30.0 + 30.0, features, Transcript(f"words {index}"), gap=index in gaps
        )
