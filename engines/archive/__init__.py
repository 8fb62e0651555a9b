"""Many recordings: a list of jobs, and a pool of processes that works through it."""
