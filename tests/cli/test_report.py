"""`--report` and `kuaihl report`, as a user types them: pages from run folders alone, without a model."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from support.command import assert_one_line, kuaihl
from support.curves import scored_stream
from support.report_runs import evidence_of, make_run_folder

from kuaihl.engines.outputs.lock import FolderLock
from kuaihl.engines.outputs.run_record import read_record
from kuaihl_cli.main import main

SCORES = [0.4] * 6 + [0.9] + [0.4] * 8 + [0.7] + [0.4] * 9 + [0.6] + [0.4] * 6
STREAM = scored_stream(SCORES, interests=SCORES)


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A finished run that was asked for a report, and whose page is gone."""
    evidence = [evidence_of(one, side=32) for one in STREAM]
    return make_run_folder(tmp_path / "out" / "room.mp4", STREAM, evidence=evidence, report=False)


def type_in(*arguments: str | Path) -> int:
    with pytest.raises(SystemExit) as end:
        main([*map(str, arguments)])
    assert isinstance(end.value.code, int)
    return end.value.code


def test_a_report_is_made_later_from_the_run_folder_without_a_model(run: Path) -> None:
    check = (
        "import sys; sys.argv = ['kuaihl', 'highlights', sys.argv[1], '--report', '--top', '2']\n"
        "from kuaihl_cli.main import main\n"
        "try: main()\n"
        "except SystemExit as end: assert end.code == 0\n"
        "print(sorted({'torch', 'transformers', 'onnxruntime', 'av', 'matplotlib', 'PIL'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", check, str(run)], capture_output=True, text=True, timeout=120)
    assert done.stdout.splitlines()[-1] == "[]", done.stderr
    page = (run / "report.html").read_text(encoding="utf-8")
    assert page.count('<article class="card') == 2 and page.count('<p class="label">Why <span') == 2
    record = read_record(run)
    assert record is not None and record.products["report"] is True


def test_what_a_kill_left_half_written_is_removed(run: Path) -> None:
    torn = run.parent / ".6db73721a216.part"
    torn.write_bytes(b"<")
    assert type_in("report", run.parent) == 0
    assert not torn.exists()


def test_the_page_follows_another_choice_once_it_is_there(run: Path) -> None:
    assert type_in("highlights", run, "--report") == 0
    assert type_in("highlights", run, "--top", "1") == 0
    assert (run / "report.html").read_text(encoding="utf-8").count('<article class="card') == 1


def test_without_evidence_the_page_says_what_it_lacks(tmp_path: Path) -> None:
    run = make_run_folder(tmp_path / "old", STREAM, report=False)
    assert type_in("highlights", run, "--report", "-q") == 0
    page = (run / "report.html").read_text(encoding="utf-8")
    assert "kept no evidence" in page and "<img" not in page and 'class="why"' not in page


def test_a_recording_that_has_moved_is_linked_from_where_it_is(run: Path, tmp_path: Path) -> None:
    (tmp_path / "moved here.webm").write_bytes(b"x")
    assert type_in("highlights", run, "--report", "--source", tmp_path / "moved here.webm") == 0
    assert 'src="../../moved%20here.webm"' in (run / "report.html").read_text(encoding="utf-8")


def test_the_index_leads_to_every_page_and_makes_those_that_are_missing(
    run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = run.parent
    make_run_folder(out / "cut.ts", STREAM[:9], why="the file ends early", report=True)
    late = make_run_folder(out / "killed.ts", STREAM[:5], report=False)
    (late / "highlights.json").unlink()
    (out / "batch.jsonl").write_text(
        "".join(
            json.dumps({"source": f"/rec/{name}", "output": f"{out}/{name}", "status": status, "reason": reason}) + "\n"
            for name, status, reason in [
                ("room.mp4", "failed", "an earlier try"),
                ("room.mp4", "done", None),
                ("broken.mp4", "failed", "holds no picture"),
            ]
        )
        + '{"torn'
    )
    (out / "left_out.jsonl").write_text(json.dumps({"source": "/rec/now.flv", "reason": "may still be written"}) + "\n")
    assert type_in("report", out) == 0
    said = capsys.readouterr().err.splitlines()
    assert said == [f"{late}: no page: its highlights are not chosen yet", f"wrote {out}/index.html"]
    page = (out / "index.html").read_text(encoding="utf-8")
    assert (run / "report.html").is_file() and not (late / "report.html").exists()
    for words in (
        'href="room.mp4/report.html"', 'href="cut.ts/report.html"', 'href="room.mp4/report.html#h1"',
        "/rec/broken.mp4", "holds no picture", "the file ends early", "may still be written", "0.900", "16 min",
    ):  # fmt: skip
        assert words in page, words
    assert "an earlier try" not in page and "killed.ts/report.html" not in page
    best = [part.split("</b>")[0] for part in page.split('<p class="figures"><b>')[1:]]
    assert best == sorted(best, reverse=True) and len(best) == 4
    assert "<script" not in page


@pytest.mark.parametrize("damaged", ["scores.jsonl", "highlights.json", "report.html"])
def test_a_run_folder_that_is_damaged_costs_the_others_nothing(
    run: Path, damaged: str, capsys: pytest.CaptureFixture[str]
) -> None:
    bad = make_run_folder(run.parent / "bad.mp4", STREAM, report=False)
    if damaged == "report.html":
        (bad / damaged).mkdir()  # so it cannot be written
    else:
        (bad / damaged).write_text('{"highlights": [{"rank": 1}], "duration": null}\n')
    assert type_in("report", run.parent) == 0
    assert f"{bad}: no page: " in capsys.readouterr().err
    page = (run.parent / "index.html").read_text(encoding="utf-8")
    assert "bad.mp4" in page and 'href="room.mp4/report.html#h1"' in page


def test_a_run_that_is_being_written_keeps_its_folder_to_itself(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lock = FolderLock(run)
    assert type_in("report", run.parent) == 0
    lock.release()
    assert "no page" in capsys.readouterr().err and not (run / "report.html").exists()


def test_another_folder_is_refused_in_one_line(run: Path, tmp_path: Path) -> None:
    assert_one_line(kuaihl("report", str(tmp_path / "gone")), 3, "gone", "cannot be read")
    (tmp_path / "empty").mkdir()
    assert_one_line(kuaihl("report", str(tmp_path / "empty")), 3, "holds no run folder")
    assert_one_line(kuaihl("report", str(run)), 3, "run folder of one recording", f"kuaihl highlights {run} --report")
