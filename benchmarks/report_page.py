"""What does a report cost, how large is its page, and how soon does it open?

    python benchmarks/report_page.py                              # pages, from run folders that are made up
    python benchmarks/report_page.py --score stream.flv stream.xml   # and what `--report` adds to scoring a recording

A page of six hours must be below 3 MB and open within a second; one of ten hours must be made within seconds. Pictures
are about 3 kB each, as of real streams. Times of pages are processor time in this process, and those of Chromium are
its own, from navigation to the load event. Scoring runs on one thread with a report, and the processor time of each
addition is set beside the rest: both are of one run, so a busy machine changes neither much.
"""

import argparse
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

sys.path.append(str(Path(__file__).resolve().parent.parent / "tests"))  # for the run folders of tests/support

import pytest
from support.chromium import browser, open_page
from support.report_runs import evidence_of, long_stream, make_run_folder

from kuaihl.engines.highlights.choice import Choice
from kuaihl.engines.types import ScoredSegment

OPENINGS = 5


def make_page(folder: Path, segments: list[ScoredSegment], choice: Choice) -> tuple[Path, float]:
    """The page of a recording, and the processor seconds from its run folder to the page."""
    from kuaihl.engines.scoring.remake import remake_highlights
    from kuaihl.engines.scoring.settings import Products

    make_run_folder(folder, segments, evidence=[evidence_of(one) for one in segments], report=False)
    begun = time.process_time()
    remake_highlights(folder, Products(report=True, **vars(choice)))
    return folder / "report.html", time.process_time() - begun


def open_times(pages: list[Path]) -> list[str]:
    """The median milliseconds that Chromium takes to open each page; words if there is none."""
    try:
        with browser() as chromium:
            return [f"{statistics.median(_open(chromium, page) for _ in range(OPENINGS)):.0f}" for page in pages]
    except pytest.skip.Exception as reason:
        return [str(reason)] * len(pages)


def _open(chromium: object, page: Path) -> float:
    opened = open_page(chromium, page)
    took = float(opened.page.evaluate("performance.getEntriesByType('navigation')[0].loadEventEnd"))
    assert not opened.errors and not opened.requests, (opened.errors, opened.requests)
    opened.page.context.close()
    return took


def share_of_scoring(media: Path, comments: Path | None, asr: str) -> None:
    """Score a recording with a report, and print the processor time of each addition beside that of all."""
    from kuaihl.engines.encoders import encode
    from kuaihl.engines.scoring import journal, scorer
    from kuaihl.engines.scoring.evidence import AblatedScorer
    from kuaihl.engines.scoring.model import load_model
    from kuaihl.engines.scoring.run import Run
    from kuaihl.engines.scoring.settings import ScoreSettings

    spent: dict[str, float] = {}

    def timed(name: str, owner: Any, attribute: str) -> None:
        function = getattr(owner, attribute)

        def measured(*arguments: Any, **named: Any) -> Any:
            begun = time.thread_time()
            try:
                return function(*arguments, **named)
            finally:
                spent[name] = spent.get(name, 0.0) + time.thread_time() - begun

        setattr(owner, attribute, measured)

    timed("small pictures", encode, "shrink_frames")
    timed("texts without a part", encode, "encode_partial_texts")
    timed("the network without a part", AblatedScorer, "score")
    timed("choosing comments", scorer, "gather_evidence")
    timed("evidence.jsonl", journal.Journal, "write_evidence")
    settings = ScoreSettings(report=True, threads=1, device="cpu", asr=asr)  # type: ignore[arg-type]
    model = load_model(settings)
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place) / "run"
        begun = time.process_time()
        result = Run(model, str(media), settings, output=folder, comments=comments).finish()
        whole = time.process_time() - begun
        size = (folder / "evidence.jsonl").stat().st_size
    count, added = len(result.segments), sum(spent.values())
    print(f"\n| {count} segments, speech by {model.encoders.transcriber_name} | ms per segment | of scoring |")
    print("|---|---:|---:|")
    for name, seconds in [("scoring without a report", whole - added), *spent.items(), ("all additions", added)]:
        print(f"| {name} | {1000 * seconds / count:.1f} | {seconds / (whole - added):.1%} |")
    print(f"\nevidence.jsonl: {size / count / 1000:.1f} kB per segment")


def main() -> None:
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--score", nargs="+", type=Path, metavar="FILE", help="a recording, and its comments")
    options = arguments.parse_args()
    cases = {
        "6 h": (long_stream(6.0), Choice()),
        "6 h, a burst every two minutes, `--top 1000`": (long_stream(6.0, bursts=0.5), Choice(top=1000)),
        "6 h, segments of 2 s": (long_stream(6.0, words=5, seconds=2.0), Choice()),
        "10 h": (long_stream(10.0), Choice()),
        "10 h, `--top 1000 --padding 2s,4s`": (long_stream(10.0), Choice(top=1000, padding=(2.0, 4.0))),
    }
    with tempfile.TemporaryDirectory() as place:
        made = {name: make_page(Path(place) / str(number), *case) for number, (name, case) in enumerate(cases.items())}
        opened = open_times([page for page, _ in made.values()])
        print("| recording | highlights | page, kB | made in, s | opens in, ms |\n|---|---:|---:|---:|---:|")
        for (name, (page, seconds)), ms in zip(made.items(), opened, strict=True):
            text = page.read_text(encoding="utf-8")
            count = text.count('<article class="card')
            print(f"| {name} | {count} | {page.stat().st_size / 1000:.0f} | {seconds:.2f} | {ms} |")
    if options.score:
        for asr in ("auto", "none"):
            share_of_scoring(options.score[0], options.score[1] if len(options.score) > 1 else None, asr)


if __name__ == "__main__":
    main()
