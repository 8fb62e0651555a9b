"""What a span of the stream holds: its segments and the words spoken in it."""

from collections.abc import Iterable

from kuaihl.engines.segment import ScoredSegment


def segments_in(scored: Iterable[ScoredSegment], start: float, end: float) -> tuple[int, ...]:
    """The segments whose media overlaps [start, end)."""
    return tuple(one.segment for one in scored if one.start < end and one.end > start)


def words_in(scored: Iterable[ScoredSegment], start: float, end: float) -> str:
    """The words spoken in [start, end), in order.

    A sentence counts where its middle lies; a segment whose sentences have no times counts as a whole.
    """
    words = []
    for one in scored:
        if one.start >= end or one.end <= start:
            continue
        if one.sentences:
            words += [said.text for said in one.sentences if start <= (said.start + said.end) / 2 < end]
        elif start <= (one.start + one.end) / 2 < end:
            words.append(one.text)
    return " ".join(filter(None, (word.strip() for word in words)))
