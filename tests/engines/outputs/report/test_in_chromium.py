"""The page in a real browser: quiet, quick, usable by keyboard, inert whatever it shows, readable without a script."""

import http.server
import json
import threading
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from support.chromium import Opened, open_page, wait_for
from support.curves import scored_stream
from support.media import FPS, make
from support.report_runs import HOSTILE, long_stream, make_hostile_run, make_run_folder

from kuaihl.engines.datasets.cut_files import MediaClock, read_spans
from kuaihl.engines.highlights.choice import Choice
from kuaihl.engines.outputs.report.index import write_index
from kuaihl.engines.outputs.report.write import write_report
from kuaihl.engines.outputs.run_folder import read_highlights
from kuaihl.engines.outputs.scores_jsonl import read_scores
from kuaihl.engines.scoring.remake import remake_highlights
from kuaihl.engines.scoring.settings import Products


def file_of(folder: Path) -> Path:
    return folder / "report.html"


def download(opened: Opened, kind: str, into: Path) -> Path:
    page = opened.page
    page.select_option("#format", kind)
    with page.expect_download() as waiting:
        page.click("#save")
    path = into / waiting.value.suggested_filename
    waiting.value.save_as(path)
    return path


def test_six_hours_open_within_a_second_without_an_error_or_a_request(browser: Any, six_hours: Path) -> None:
    assert file_of(six_hours).stat().st_size < 3_000_000
    took = []
    for _ in range(3):
        opened = open_page(browser, file_of(six_hours))
        assert opened.page.locator(".card.panel[data-rank]").count() == len(read_highlights(six_hours)["highlights"])
        took.append(opened.page.evaluate("performance.getEntriesByType('navigation')[0].loadEventEnd"))
        assert (opened.errors, opened.requests) == ([], [])
        opened.page.context.close()
    assert 0.0 < min(took) < 1000.0, took  # ms


def test_a_page_says_what_may_run_and_names_no_address(six_hours: Path) -> None:
    text = file_of(six_hours).read_text(encoding="utf-8")
    policy = text.split('Content-Security-Policy" content="')[1].split('"')[0]
    assert policy.startswith("default-src &#39;none&#39;; style-src &#39;sha256-")
    assert "unsafe" not in policy and "http" not in policy
    assert "http://" not in text.replace("http://www.w3.org/2000/svg", "") and "https://" not in text


def test_keys_move_keep_drop_and_zoom(browser: Any, six_hours: Path, tmp_path: Path) -> None:
    opened = open_page(browser, file_of(six_hours))
    page = opened.page

    def current() -> list[str]:
        return [card.get_attribute("data-rank") for card in page.locator(".card.current").all()]

    page.keyboard.press("ArrowRight")
    page.keyboard.press("k")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("n")
    assert current() == ["3"]
    page.keyboard.press("d")
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("K")
    assert current() == ["2"] and page.inner_text("#count") == "2 kept"
    assert page.locator(".card.dropped").get_attribute("data-rank") == "3"
    assert page.locator(".span.kept").count() == 2
    page.keyboard.press("d")  # instead of kept
    assert page.inner_text("#count") == "1 kept"
    whole = page.locator(".plane").first.get_attribute("viewBox")
    page.keyboard.press("+")
    assert page.locator(".plane").first.get_attribute("viewBox") != whole
    page.keyboard.press("0")
    assert page.locator(".plane").first.get_attribute("viewBox") == whole
    page.select_option("#order", "time")
    starts = {str(one["rank"]): one["start"] for one in read_highlights(six_hours)["highlights"]}
    order = [starts[card.get_attribute("data-rank")] for card in page.locator(".card.panel[data-rank]").all()]
    assert order == sorted(order)
    page.reload()
    assert page.inner_text("#count") == "1 kept", "the browser remembers"
    assert opened.errors == []


def test_what_was_kept_stays_kept_whatever_its_rank_is(browser: Any, tmp_path: Path) -> None:
    scores = [0.4] * 6 + [0.9] + [0.4] * 8 + [0.7] + [0.4] * 6
    folder = make_run_folder(tmp_path / "room", scored_stream(scores, interests=scores))
    page = open_page(browser, file_of(folder)).page
    page.click("#h1 .keep")
    document = read_highlights(folder)
    for one in document["highlights"]:
        one["rank"] = 3 - one["rank"]
    segments = [one.scored for one in read_scores(folder / "scores.jsonl")]
    write_report(folder, document, segments, Choice(), None)  # type: ignore[arg-type]
    page.reload()
    assert page.locator(".card.kept").get_attribute("id") == "h2"


@pytest.mark.parametrize("kind", ["csv", "llc.csv", "llc", "edl"])
def test_what_was_kept_is_saved_as_a_timeline(browser: Any, six_hours: Path, tmp_path: Path, kind: str) -> None:
    opened = open_page(browser, file_of(six_hours))
    for number in (1, 4):
        opened.page.click(f"#h{number} .keep")
    path = download(opened, kind, tmp_path)
    assert path.name == f"room.{kind}"
    kept = [one for one in read_highlights(six_hours)["highlights"] if one["rank"] in (1, 4)]
    spans = read_spans(path, MediaClock(30.0))
    assert [(one.start, one.end) for one in spans] == [
        (pytest.approx(one["start"], abs=0.02), pytest.approx(one["end"], abs=0.02)) for one in kept
    ]
    if kind == "edl":
        opened.page.select_option("#rate", "30000/1001")
        ntsc = read_spans(download(opened, kind, tmp_path), MediaClock(30000 / 1001))
        assert [one.start for one in ntsc] == [pytest.approx(one["start"], abs=0.02) for one in kept]
        assert {one.source for one in spans} == {"room.mp4"}
    elif kind != "csv":
        assert spans[0].name.startswith(f"#{kept[0]['rank']} · {kept[0]['score']:.3f} · ")
    assert opened.errors == []


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_hostile_run(tmp_path_factory.mktemp("hostile") / "batch")


def test_hostile_texts_are_shown_and_nothing_of_them_runs(browser: Any, hostile: Path, tmp_path: Path) -> None:
    (hostile.parent / "left_out.jsonl").write_text(json.dumps({"source": HOSTILE[1], "reason": HOSTILE[2]}) + "\n")
    (hostile.parent / "batch.jsonl").write_text(
        json.dumps({"source": HOSTILE[0], "output": "x", "status": "failed", "reason": HOSTILE[2]}) + "\n"
    )
    for path in (file_of(hostile), write_index(hostile.parent)):
        opened = open_page(browser, path)
        page = opened.page
        page.wait_for_timeout(100)
        assert page.evaluate("window.ran") is None
        assert (opened.errors, opened.requests) == ([], [])
        assert page.locator("script").count() == (2 if path.name == "report.html" else 0)
        assert page.locator("img[onerror], [onclick], [src^=http], [href^=javascript]").count() == 0
        assert page.locator("style").count() == 1
    text = open_page(browser, file_of(hostile)).page.inner_text("body")
    assert any(shown in text for shown in HOSTILE[:3]) and "\u202e" not in text


def test_a_hostile_title_leaves_the_downloads_whole(browser: Any, hostile: Path, tmp_path: Path) -> None:
    opened = open_page(browser, file_of(hostile))
    count = len(read_highlights(hostile)["highlights"])
    for kind in ("csv", "llc.csv", "llc", "edl"):
        path = download(opened, kind, tmp_path)
        assert len(read_spans(path, MediaClock(30.0))) == count
        text = path.read_text(encoding="utf-8")
        assert not any(cell.startswith(("=", "@")) for line in text.splitlines() for cell in line.split(","))


def test_without_a_script_everything_but_playing_and_picking_is_there(browser: Any, six_hours: Path) -> None:
    opened = open_page(browser, file_of(six_hours), java_script_enabled=False)
    page = opened.page
    assert page.locator(".card.panel[data-rank]").count() == len(read_highlights(six_hours)["highlights"])
    assert page.locator(".line").last.get_attribute("d").startswith("M0 ")
    assert page.locator(".missed li").count() == 5
    for hidden in ("#save", ".keep >> nth=0", "#in"):
        assert not page.locator(hidden).is_visible()
    page.click(".span[data-rank='4']", force=True)
    assert page.url.endswith("#h4")
    assert opened.errors == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_phone_shows_it_without_scrolling_sideways(browser: Any, six_hours: Path, scheme: str) -> None:
    viewport = {"width": 390, "height": 844}
    opened = open_page(browser, file_of(six_hours), viewport=viewport, color_scheme=scheme, has_touch=True)
    assert opened.page.evaluate("document.documentElement.scrollWidth") <= 390
    rates = [one.bounding_box() for one in opened.page.locator(".rates text").all()]
    left = opened.page.locator("#chart").bounding_box()["x"]
    assert rates and all(box["x"] >= 0 and box["x"] + box["width"] < left for box in rates), "no curve crosses a rate"
    assert opened.page.locator("#times text").count() > 0
    paper = opened.page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert paper == ("rgb(247, 246, 242)" if scheme == "light" else "rgb(18, 21, 24)")


@pytest.fixture(scope="module")
def playing(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run folder beside its recording, whose highlight begins at its second 30."""
    folder = tmp_path_factory.mktemp("playing")
    media = make(folder / "my room.mp4", seconds=45.0, audio=None, gop=10)
    scores = [0.4] + [0.8] + [0.4] * 6
    segments = [replace(one, score=rate, interest=rate) for one, rate in zip(long_stream(8 / 120), scores, strict=True)]
    return make_run_folder(folder / "my room.kuaihl", segments, source=str(media))


@pytest.fixture(scope="module")
def served(playing: Path) -> Iterator[str]:
    handler = partial(http.server.SimpleHTTPRequestHandler, directory=str(playing.parent))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/my%20room.kuaihl/report.html"
        server.shutdown()


def test_the_player_starts_at_the_second(browser: Any, playing: Path) -> None:
    opened = open_page(browser, file_of(playing))
    page = opened.page
    page.keyboard.press("ArrowRight")
    page.keyboard.press(" ")
    wait_for(page, "document.getElementById('video').currentTime > 30.05")
    assert page.evaluate("document.getElementById('video').currentTime") < 35
    page.keyboard.press(" ")
    assert page.evaluate("document.getElementById('video').paused")
    assert opened.errors == []
    assert {request.rsplit("/", 1)[1] for request in opened.requests} == {"my%20room.mp4"}


def test_a_server_may_show_it_too(browser: Any, served: str) -> None:
    opened = open_page(browser, served)
    wait_for(opened.page, "document.getElementById('video').readyState > 0")
    assert [error for error in opened.errors if "favicon" not in error and "404" not in error] == []


def test_a_clip_that_begins_before_its_highlight_plays_from_the_highlight_on(browser: Any, tmp_path: Path) -> None:
    media = make(tmp_path / "room.flv", seconds=45.0, audio=None, gop=13 * FPS)  # a keyframe at 26 s, none at 30 s
    scores = [0.4] + [0.8] + [0.4] * 6
    segments = [replace(one, score=rate, interest=rate) for one, rate in zip(long_stream(8 / 120), scores, strict=True)]
    folder = make_run_folder(tmp_path / "run", segments, source=str(media))
    remake_highlights(folder, Products(clips=True, report=True))
    opened = open_page(browser, file_of(folder))
    page = opened.page
    assert "so only the clips play here" in page.inner_text("main")
    page.keyboard.press("ArrowRight")
    page.keyboard.press(" ")
    wait_for(page, "document.getElementById('video').currentTime > 0")
    assert 4.0 <= page.evaluate("document.getElementById('video').currentTime") < 20.0
    wait_for(page, "Number(document.getElementById('now').getAttribute('x1')) > 30")
    assert opened.errors == []


def test_without_highlights_there_is_nothing_to_choose_from(browser: Any, tmp_path: Path) -> None:
    folder = make_run_folder(tmp_path / "calm", scored_stream([0.4] * 6, interests=[0.4] * 6))
    opened = open_page(browser, file_of(folder))
    assert "No part of this recording stands out" in opened.page.inner_text("main")
    assert not opened.page.locator(".tools").is_visible()
    assert opened.errors == []


def test_a_recording_that_is_gone_is_said_in_the_player(browser: Any, playing: Path, tmp_path: Path) -> None:
    moved = tmp_path / "alone.html"
    moved.write_bytes(file_of(playing).read_bytes())
    page = open_page(browser, moved).page
    wait_for(page, "document.getElementById('playing').textContent.includes('cannot play')")
