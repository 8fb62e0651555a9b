"""Where encoder weights come from: a catalogue, a search order, a cache."""
