"""Features in, scores out; and a room from its source to its run folder."""
