"""A bundle in, compiled graphs out: ONNX and TensorRT, and their measurement."""
