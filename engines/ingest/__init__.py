"""Source in, packets on one monotonic clock out; files and live streams alike."""
