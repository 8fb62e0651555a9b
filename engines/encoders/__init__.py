"""Segments in, features out."""
