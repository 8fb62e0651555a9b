"""Features in, scores out; also a room from its source to its run folder."""
