"""Terminal output: progress, tables, words for results; also the times that users type."""
