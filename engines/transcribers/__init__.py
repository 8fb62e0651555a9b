"""Speech back-ends, one file each."""
