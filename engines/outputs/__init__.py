"""Scores and highlights in, files out."""
