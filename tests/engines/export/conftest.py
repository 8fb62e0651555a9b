"""Fixtures that several tests of int8 share."""

from support.outlier_bert import vision
from support.small_backbone import exported, graph, pictures

__all__ = ["exported", "graph", "pictures", "vision"]
