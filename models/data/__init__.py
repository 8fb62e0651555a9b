"""Data sets in, samples and labels out."""
