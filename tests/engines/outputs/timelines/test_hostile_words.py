"""What people say and call their files breaks no format: each stays valid, and no word becomes a command."""

import random
import re
import sys
from fractions import Fraction
from pathlib import Path
from xml.etree import ElementTree

import av
import pytest
from support.editors import (
    auto_editor_spans,
    check_fcpxml,
    check_xmeml,
    edl_spans,
    fcpxml_spans,
    llc_segments,
    losslesscut_csv,
    otio_spans,
    resolve_markers,
    twitch_markers,
    xmeml_spans,
    youtube_chapters,
)
from support.rated_media import NTSC

from kuaihl.engines.datasets.cut_files import MediaClock, read_spans
from kuaihl.engines.outputs.formats import FORMATS, write_formats
from kuaihl.engines.outputs.highlights_json import Report, build_document
from kuaihl.engines.outputs.timelines.timeline import build_timeline
from kuaihl.engines.types import Highlight, MediaFacts

WORDS = [
    "plain words",
    '她说:"太棒了!" 🎉👩‍👩‍👧',
    "=1+1", "+1", "-1", "@SUM(A1)", "\t=1", '=HYPERLINK("http://x","click")',
    "two\nlines\r\n\r\nand more", "\u2028separator\x85next", "nul \x00 bell \x07 escape \x1b[31m",
    "<script>alert('&')</script> ]]> <!-- &amp; <b>", '" onload="x', "quotes ' and \" and `",
    "שלום עולם \u202egnirts desrever\u202c العربية", "a --> b", "1\n00:00:01,000 --> 00:00:02,000",
    "|M:other |D:9 |C:ResolveColorRed", "* FROM CLIP NAME: other.mp4",
    "001  AX       V     C        00:00:00:00 00:00:09:00 01:00:00:00 01:00:09:00",
    "9 1 2 3 4 5 6 7 8", "=;#\\ [CHAPTER]", "[CHAPTER]\nSTART=0\nEND=1", ";FFMETADATA1", "0:00 another chapter",
    "lone surrogate \udcff", "not a character \ufffe \uffff", "\U0010ffff", "x" * 5000, "", " ", "%s {0} \\n",
]  # fmt: skip
NAMES = [
    "stream.mp4", "two words & more.mp4", "直播 🎉.mp4", "it's \"quoted\" <b>.mp4", "100% #1?.mp4", "a\nb\x07.mp4",
    "=1+1.mp4", "rtl \u202e4pm.mp4",
]  # fmt: skip


def check_all(words: list[str], path: str, folder: Path, rate: Fraction = NTSC) -> None:
    """Write every format, and read each with another program or by its rules."""
    highlights = [
        Highlight(40.0 * index + 1 / 3, 40.0 * index + 25.7, 0.9 - index / 1000, (index,), text)
        for index, text in enumerate(words)
    ]
    document = build_document(Report(path, 40.0 * len(words), None, "edge", None, highlights))
    media = MediaFacts(path, rate, round(40 * len(words) * rate), False, "", 0.0, 640, 360, 48000, 2)
    timeline = build_timeline(document, media, Path(path).stem)
    spans = [(round(one.start * rate), round(one.end * rate)) for one in highlights]
    text = {}
    for name, file in zip(FORMATS, write_formats(document, FORMATS, folder, timeline), strict=True):
        text[name] = file.read_bytes().decode("utf-8")
        if name not in ("csv", "llc", "auto-editor"):  # which hold words and names as they are, escaped
            assert not re.search("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\u2028\u2029\ufffe\uffff\u202e]", text[name]), name
    assert otio_spans(text["otio"]) == spans
    assert edl_spans(text["edl"], rate) == spans
    check_fcpxml(text["fcpxml"])
    assert fcpxml_spans(text["fcpxml"]) == spans
    check_xmeml(text["xmeml"])
    assert xmeml_spans(text["xmeml"]) == spans
    markers = resolve_markers(text["resolve"], rate)
    assert [(first, first + length) for first, length, *_ in markers] == spans
    segments = llc_segments(text["llc"], Path(path).name)
    assert len(segments) == len(losslesscut_csv(text["llc-csv"])) == len(spans)
    assert auto_editor_spans(text["auto-editor"], path, timeline.frames)[0] == spans
    assert len(youtube_chapters(text["youtube"], timeline.duration)) == 2 * len(spans)
    assert [place for place, _ in twitch_markers(text["twitch"])] == [int(one.start) for one in highlights]
    for _, _, cell in losslesscut_csv(text["llc-csv"]):
        assert not cell.startswith(("=", "+", "-", "@", "\t", "\r"))
    for _, cell in twitch_markers(text["twitch"]):
        assert not cell.startswith(("=", "+", "-", "@", "\t", "\r"))
    with av.open(str(folder / "highlights.ffmetadata"), format="ffmetadata", metadata_errors="replace") as container:
        chapters = container.chapters()
        assert not container.metadata
    assert len(chapters) == 2 * len(spans)
    titles = {one["metadata"]["title"].rstrip() for one in chapters}
    clean = [title for title in words if title.isprintable() and 0 < len(" ".join(title.split())) == len(title) < 80]
    assert set(clean) <= titles
    with av.open(str(folder / "highlights.chapters.vtt")) as container:
        assert sum(bool(packet.size) for packet in container.demux()) == 2 * len(spans)
    ours = read_spans(folder / "highlights.resolve.edl", MediaClock(float(rate), "01:00:00:00"))
    assert len(ours) == len(spans)


def test_every_format_survives_every_word(tmp_path: Path) -> None:
    check_all(WORDS, "/media/stream.mp4", tmp_path)


@pytest.mark.parametrize("name", NAMES)
def test_every_format_survives_every_file_name(name: str, tmp_path: Path) -> None:
    check_all(["words", "=1+1", "and"], f"/media of mine/{name}", tmp_path)


@pytest.mark.parametrize("seed", range(12))
def test_every_format_survives_any_characters(seed: int, tmp_path: Path) -> None:
    chance = random.Random(seed)
    pools = [range(0x20), range(0x20, 0x7F), range(0x80, 0x2100), range(0x2000, 0x2070), range(sys.maxunicode + 1)]
    words = ["".join(chr(chance.choice(chance.choice(pools))) for _ in range(chance.randrange(60))) for _ in range(20)]
    check_all(words, "/media/stream.mp4", tmp_path, chance.choice([NTSC, Fraction(25), Fraction(60)]))


def test_the_words_arrive_as_they_were_said(tmp_path: Path) -> None:
    said = 'שלום <b> & "太棒了" 🎉 = ; # \\'
    highlights = [Highlight(0.0, 20.0, 0.5, (0,), said)]
    document = build_document(Report("x", 60.0, None, "edge", None, highlights))
    timeline = build_timeline(document, MediaFacts("/a/x.mp4", NTSC, 1800, width=64, height=36), "x")
    text = {name: one.render(document, timeline) for name, one in FORMATS.items()}
    assert f"#1 · 0.500 · {said}" in text["edl"]
    assert resolve_markers(text["resolve"], NTSC)[0][3] == f"“{said}”"
    assert llc_segments(text["llc"], "x.mp4")[0][2] == losslesscut_csv(text["llc-csv"])[0][2] == f"#1 · 0.500 · {said}"
    assert ElementTree.fromstring(text["fcpxml"]).find(".//marker").attrib["note"] == said  # type: ignore[union-attr]
    assert ElementTree.fromstring(text["xmeml"]).findtext(".//marker/comment") == said
    (tmp_path / "f").write_text(text["ffmetadata"], encoding="utf-8")
    with av.open(str(tmp_path / "f"), format="ffmetadata") as container:
        assert container.chapters()[0]["metadata"]["title"].rstrip() == said
