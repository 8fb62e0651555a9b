"""What a report shows of a span: three pictures, the comments that stood out, and the comments per minute."""

import base64
import math
from bisect import bisect_left
from collections import Counter
from collections.abc import Mapping, Sequence

from kuaihl.engines.highlights.curve import segments_in
from kuaihl.engines.one_line import one_line
from kuaihl.engines.outputs.evidence_jsonl import SegmentEvidence
from kuaihl.engines.outputs.report.page import Picture, Said
from kuaihl.engines.types import ScoredSegment, SmallPicture

_MOST_COMMENTS = 6
_MOST_SHARE = 1.0 / 3.0  # of a chat's segments with the same text: more is this chat's habit, not this moment


def to_uri(picture: SmallPicture) -> str:
    """A picture as the value of an attribute."""
    return f"data:image/webp;base64,{base64.b64encode(picture.webp).decode('ascii')}"


def pick_pictures(
    evidence: Mapping[int, SegmentEvidence],
    segments: Sequence[ScoredSegment],
    start: float,
    end: float,
    count: int = 3,
) -> tuple[Picture, ...]:
    """The pictures nearest to evenly spaced instants of a span, in order of time, none twice."""
    found = [
        picture
        for segment in segments_in(segments, start, end)
        if segment in evidence
        for picture in evidence[segment].pictures
    ]
    chosen: dict[float, SmallPicture] = {}
    for index in range(count):
        instant = start + (index + 0.5) * (end - start) / count
        left = [one for one in found if one.time not in chosen]
        if left:
            best = min(left, key=lambda one: abs(one.time - instant))
            chosen[best.time] = best
    return tuple(Picture(time, to_uri(chosen[time])) for time in sorted(chosen))


def count_segments_with(evidence: Mapping[int, SegmentEvidence]) -> Counter[str]:
    """The number of segments in which each text was written."""
    return Counter(text for one in evidence.values() for text in {_same(comment.text) for comment in one.comments})


def pick_comments(
    evidence: Mapping[int, SegmentEvidence],
    segments: Sequence[ScoredSegment],
    start: float,
    end: float,
    seen_in: Counter[str],
) -> tuple[Said, ...]:
    """The comments of a span that stood out: the paid ones, then those frequent here and rare elsewhere (tf-idf)."""
    counts: Counter[str] = Counter()
    texts: dict[str, str] = {}
    values: dict[str, float] = {}
    for segment in segments_in(segments, start, end):
        for one in evidence[segment].comments if segment in evidence else ():
            same = _same(one.text)
            counts[same] += one.count
            texts.setdefault(same, one.text)
            if one.value:
                values[same] = max(values.get(same, 0.0), one.value)

    def weight(same: str) -> float:
        return counts[same] * math.log((1 + len(evidence)) / seen_in[same])

    usual = {same for same in counts if seen_in[same] > max(3.0, _MOST_SHARE * len(evidence))}
    ordered = sorted(
        (same for same in counts if one_line(same)),
        key=lambda same: (same in usual and same not in values, -values.get(same, 0.0), -weight(same)),
    )
    return tuple(Said(one_line(texts[same], 160), counts[same], values.get(same)) for same in ordered[:_MOST_COMMENTS])


def comments_per_minute(segments: Sequence[ScoredSegment], start: float, end: float) -> float:
    """Comments per minute of the segments that a span covers, each by the share that lies in it."""
    seconds = comments = 0.0
    numbers = segments_in(segments, start, end)
    first = bisect_left(segments, numbers[0], key=lambda one: one.segment) if numbers else 0
    for one in segments[first : first + len(numbers)]:
        inside = min(end, one.end) - max(start, one.start)
        if inside > 0:
            seconds += inside
            comments += one.comments * inside / max(one.end - one.start, 1e-3)
    return 60.0 * comments / seconds if seconds else 0.0


def _same(text: str) -> str:
    return text.casefold().strip()
