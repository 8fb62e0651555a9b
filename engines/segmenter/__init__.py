"""Packets in, segments out: three frames, 16 kHz mono audio, comments."""
