"""Output files, one file a format."""
