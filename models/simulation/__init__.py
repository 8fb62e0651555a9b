"""Simulated rooms, on which the default bundle is trained."""
