"""Viewers' comments: one file a format, recognised by content."""
