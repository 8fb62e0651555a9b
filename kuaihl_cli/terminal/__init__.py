"""What a person sees in a terminal: progress, tables, words for results; and how they write times."""
