"""Encoder networks in plain PyTorch."""
