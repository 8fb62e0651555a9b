"""The sources of encoder weights: a catalogue, a search order, a cache."""
