"""The demo broadcast, part by part: what happens, what is said, heard, seen and written."""
