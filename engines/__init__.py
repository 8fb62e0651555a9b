"""The parts that run: sources, segments, encoders, the streaming scorer, highlight detection, archives at scale."""
