"""What a report says: ranks, percentiles, reasons, pictures, comments, near misses, and what it leaves out."""

import base64
import json
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import pytest
from support.curves import scored_stream
from support.report_runs import evidence_of, make_run_folder

from kuaihl.engines.highlights.choice import Choice
from kuaihl.engines.outputs.evidence_jsonl import (
    PARTS,
    Answer,
    EvidenceWriter,
    LoudComment,
    SegmentEvidence,
    read_evidence,
)
from kuaihl.engines.outputs.report.build import build_page
from kuaihl.engines.outputs.report.page import ReportPage
from kuaihl.engines.outputs.run_folder import read_highlights
from kuaihl.engines.outputs.run_record import find_media, read_record
from kuaihl.engines.types import Event, MediaFacts, ScoredSegment, SmallPicture

SCORES = [0.4] * 6 + [0.9] + [0.4] * 8 + [0.7] + [0.4] * 9 + [0.6] + [0.4] * 6
STREAM = scored_stream(SCORES, interests=SCORES)


def page_of(
    tmp_path: Path,
    segments: list[ScoredSegment] | None = None,
    evidence: list[SegmentEvidence] | None = None,
    choice: Choice | None = None,
    source: str = "room.mp4",
) -> ReportPage:
    choice, segments = choice or Choice(), STREAM if segments is None else segments
    folder = make_run_folder(tmp_path / "run", segments, evidence=evidence, choice=choice, source=source, report=False)
    record = read_record(folder)
    assert record is not None
    media = find_media(folder, source, record)
    found = read_evidence(folder / "evidence.jsonl")
    return build_page(folder, read_highlights(folder), segments, found, choice, media)  # type: ignore[arg-type]


def answers(segment: ScoredSegment, **without: float) -> SegmentEvidence:
    """Evidence in which leaving out a part gives that interest, and leaving out any other changes nothing."""
    interest = segment.interest or 0.0
    found = {part: Answer(without.get(part, segment.score), without.get(part, interest)) for part in PARTS}
    return SegmentEvidence(segment.segment, found, (), ())


def test_the_page_of_a_killed_run_has_the_faults_that_its_highlights_lack(tmp_path: Path) -> None:
    segments = [replace(STREAM[0], events=(Event("corrupt", 3.0, "a packet"),)), *STREAM[1:]]
    folder = make_run_folder(tmp_path / "run", segments, report=False)
    document = read_highlights(folder) | {"events": []}
    page = build_page(folder, document, segments, {}, Choice(), None)  # type: ignore[arg-type]
    assert [(one.time, one.kind, one.detail) for one in page.faults] == [(3.0, "corrupt", "a packet")]


def test_cards_are_in_order_of_rank_with_their_share_of_the_recording(tmp_path: Path) -> None:
    page = page_of(tmp_path)
    assert [(card.rank, card.start) for card in page.cards] == [(1, 180.0), (2, 450.0), (3, 750.0)]
    assert [round(card.above, 1) for card in page.cards] == [round(100 * n / 32, 1) for n in (31, 30, 29)]
    assert page.cards[0].words == "words of 6" and page.hindsight and page.complete


def test_the_part_without_which_a_highlight_is_none_is_its_reason(tmp_path: Path) -> None:
    evidence = [answers(one, comments=0.4) if one.segment == 6 else answers(one) for one in STREAM]
    why = page_of(tmp_path, evidence=evidence).cards[0].why
    assert why is not None and why.sentence.startswith("It is the comments: without them")
    without = {effect.part: effect for effect in why.without}
    assert without["the comments"].lift == pytest.approx(0.0, abs=0.01)
    assert without["the words"].score == pytest.approx(why.whole.score) == pytest.approx(0.9, abs=0.01)
    assert (why.whole.bar, without["the comments"].bar < 3) == (100.0, True)


def test_a_part_that_lowers_the_whole_recording_alike_is_no_reason(tmp_path: Path) -> None:
    evidence = [answers(one, pictures=one.score - 0.2) for one in STREAM]
    why = page_of(tmp_path, evidence=evidence).cards[0].why
    assert why is not None and why.sentence.startswith("No single part decides")
    pictures = next(effect for effect in why.without if effect.part == "the pictures")
    assert pictures.score == pytest.approx(0.7, abs=0.01) and pictures.above == pytest.approx(why.whole.above)


def test_a_run_without_evidence_has_a_page_that_says_so(tmp_path: Path) -> None:
    page = page_of(tmp_path)
    assert "kept no evidence" in page.notes[0]
    assert all(card.why is None and not card.pictures and not card.comments for card in page.cards)


def test_reasons_need_the_whole_recording_but_pictures_do_not(tmp_path: Path) -> None:
    evidence = [evidence_of(one, side=32) for one in STREAM]
    evidence[9] = replace(evidence[9], without={})
    page = page_of(tmp_path, evidence=evidence[:20])
    assert [card.why for card in page.cards] == [None] * 3
    assert [len(card.pictures) for card in page.cards] == [3, 3, 0]
    assert any("reasons for a score are not here" in note for note in page.notes)
    assert any("cover only a part" in note for note in page.notes)


def test_pictures_are_spread_over_the_highlight(tmp_path: Path) -> None:
    pictures = [SmallPicture(180.0 + 3 * number, bytes([number])) for number in range(10)]
    evidence = [SegmentEvidence(6, {}, (), tuple(pictures))]
    shown = page_of(tmp_path, evidence=evidence).cards[0].pictures
    assert [picture.time for picture in shown] == [186.0, 195.0, 204.0]
    assert base64.b64decode(shown[0].uri.removeprefix("data:image/webp;base64,")) == bytes([2])


def test_comments_that_are_this_moments_own_stand_before_the_chats_habits(tmp_path: Path) -> None:
    def said(segment: int) -> SegmentEvidence:
        start = 30.0 * segment
        comments = [LoudComment(start, "666", 40)]
        if segment == 6:
            comments += [LoudComment(start, "the dragon!", 3), LoudComment(start, "well done", 1, value=30.0)]
        return SegmentEvidence(segment, {}, tuple(comments), ())

    card = page_of(tmp_path, evidence=[said(one.segment) for one in STREAM]).cards[0]
    assert [(one.text, one.count, one.value) for one in card.comments] == [
        ("well done", 1, 30.0),
        ("the dragon!", 3, None),
        ("666", 40, None),
    ]


def test_near_misses_are_the_best_peaks_that_were_not_chosen_and_say_why(tmp_path: Path) -> None:
    few = page_of(tmp_path, choice=Choice(top=1)).near_misses
    assert [one.start for one in few] == [450.0, 750.0] and "only the best" in few[0].reason
    high = page_of(tmp_path / "high", choice=Choice(min_score=0.65)).near_misses
    assert [(one.start, one.reason) for one in high] == [(750.0, "below the lowest score asked for, 0.650")]
    wavy = [0.4, 0.43] * 20 + [0.9] + [0.4, 0.43] * 20
    page = page_of(tmp_path / "wavy", segments=scored_stream(wavy, interests=wavy))
    assert len(page.cards) == 1 and len(page.near_misses) == 5
    assert all("stands out too little" in one.reason and one.score < 0.5 for one in page.near_misses)


@pytest.mark.parametrize("place", ["run/room.mp4", "room.mp4"])
def test_a_recording_beside_the_page_or_its_folder_is_linked(tmp_path: Path, place: str) -> None:
    page_of(tmp_path)
    (tmp_path / place).write_bytes(b"x" * 100)
    record = read_record(tmp_path / "run")
    assert record is not None
    assert find_media(tmp_path / "run", "/gone/room.mp4", record) == tmp_path / place


def test_a_recording_is_found_from_another_working_directory(tmp_path: Path) -> None:
    page_of(tmp_path, source="rooms/day.mp4")
    media = tmp_path / "disk" / "rooms" / "day.mp4"
    media.parent.mkdir(parents=True)
    media.write_bytes(b"x" * 100)
    record = read_record(tmp_path / "run")
    assert record is not None
    record = replace(record, media=MediaFacts(str(media), Fraction(25)))
    assert find_media(tmp_path / "run", "rooms/day.mp4", record) == media
    assert find_media(tmp_path / "run", "rooms/other.mp4", record) is None, "another one was named"


def test_a_recording_of_another_size_is_not_linked_unless_it_was_named(tmp_path: Path) -> None:
    media = tmp_path / "rooms" / "day 1.mp4"
    media.parent.mkdir()
    media.write_bytes(b"x" * 100)
    page = page_of(tmp_path, source=str(media))
    assert page.media.link == "../rooms/day%201.mp4" and page.media.plays
    record = read_record(tmp_path / "run")
    assert record is not None
    media.write_bytes(b"another")
    assert find_media(tmp_path / "run", str(media), record) is None
    copy = media.rename(media.with_name("copy.mp4"))
    assert find_media(tmp_path / "run", str(copy), record) == copy
    assert find_media(tmp_path / "run", "rtmp://host/live/x", record) is None


def test_the_recordings_own_frame_rate_is_the_one_for_an_edl(tmp_path: Path) -> None:
    page_of(tmp_path)
    for rate, own in ((Fraction(30000, 1001), "29.97"), (Fraction(24), "24"), (Fraction(12), "30"), (None, "30")):
        page = build_page(tmp_path, read_highlights(tmp_path / "run"), STREAM, {}, Choice(), None, rate)  # type: ignore[arg-type]
        assert [words for _, words, is_own in page.media.rates if is_own] == [own]


def test_evidence_comes_back_from_its_file_and_the_last_line_of_a_segment_counts(tmp_path: Path) -> None:
    path, given = tmp_path / "evidence.jsonl", evidence_of(STREAM[6], side=16)
    writer = EvidenceWriter(path)
    for one in (replace(given, comments=()), evidence_of(STREAM[7], side=16), given):
        writer.write(one)
    writer.close()
    with path.open("a") as file:
        file.write('{"segment": 8, "without": {')  # a kill
    assert read_evidence(path)[6] == given and read_evidence(path).keys() == {6, 7}
    EvidenceWriter(path).write(evidence_of(STREAM[8], side=16))
    assert read_evidence(path).keys() == {6, 7, 8}
    assert json.loads(path.read_text().splitlines()[0])["comments"] == []
    assert read_evidence(tmp_path / "none.jsonl") == {}


@pytest.mark.parametrize("interests", [None, [0.5]])
def test_a_recording_of_one_segment_has_a_page(tmp_path: Path, interests: list[float] | None) -> None:
    page = page_of(tmp_path, segments=scored_stream([0.5], interests=interests))
    assert (page.cards, page.near_misses, page.chart.comments, page.chart.seconds) == ((), (), "", 30.0)
    assert page.hindsight == (interests is not None)


def test_the_curve_breaks_where_media_is_missing(tmp_path: Path) -> None:
    chart = page_of(tmp_path, segments=scored_stream(SCORES, interests=SCORES, gaps=(12,))).chart
    assert chart.line.count("M") == 2 and [(one.x, one.width) for one in chart.gaps] == [(360.0, 0.0)]
    assert chart.area.count("Z") == 2 and chart.points[0] == (0.0, 30.0, 0.4)
