"""Viewers' comments: one file per format, recognised by content."""
