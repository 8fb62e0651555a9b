"""Scores in, highlights and clips out."""
