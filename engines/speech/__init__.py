"""Audio in, words out."""
