"""Signals of a segment that cost nothing beside words and pictures: measured here, named in `kuaihl.models.signals`."""
