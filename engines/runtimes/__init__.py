"""What executes a network: torch, ONNX Runtime, TensorRT."""
