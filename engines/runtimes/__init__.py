"""Engines that execute a network: torch, ONNX Runtime, TensorRT."""
