"""Simulated rooms: what the default bundle is trained on."""
