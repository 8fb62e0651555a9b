"""The losses of the paper, section III-C and III-D."""
