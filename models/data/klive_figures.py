"""KLive in figures, as the paper's supplement (section I-A) prints them; the data set itself is not public."""

ROOMS, HOSTS = 17_897, 9_932
HOURS = 19_334.0  # "nearly"
LONGEST_HOURS = 46.46
_PRINTED_MEAN_HOURS = 1.0  # HOURS / ROOMS is 1.08
LONG_MINUTES, LONG_SHARE = 36.0, 0.49  # share of rooms that last longer
MANY_VIEWERS, MANY_SHARE = 100, 0.38  # share of rooms with more viewers on average
_MOST_VIEWERS, LEAST_VIEWERS = 32_006, 60  # of a room, on average
_SAMPLES = 1_436_979 + 286_510  # windows of 20 segments, training and test
SEGMENT_SECONDS = 30.0

# By the names of `report.RoomSummary`; the paper does not print the others.
PRINTED: dict[str, float] = {
    "rooms": ROOMS,
    "streamers": HOSTS,
    "rooms_per_streamer": ROOMS / HOSTS,
    "hours": HOURS,
    "longest_hours": LONGEST_HOURS,
    "mean_hours": _PRINTED_MEAN_HOURS,
    "share_longer_than_36_minutes": LONG_SHARE,
    "most_viewers": _MOST_VIEWERS,
    "least_viewers": LEAST_VIEWERS,
    "share_above_100_viewers": MANY_SHARE,
}
