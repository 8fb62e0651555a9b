"""What an editor must know of a recording is read from its header, whatever the container."""

import os
from fractions import Fraction
from pathlib import Path

import pytest
from support.media import make, media_tags, write_flv
from support.rated_media import NTSC, NTSC_FILM, NTSC_TWICE, PAL, make_rated

from kuaihl.engines.ingest.media_facts import facts_of, probe_file
from kuaihl.engines.ingest.opening import open_source
from kuaihl.engines.types import MediaFacts
from kuaihl.models.errors import SourceError


@pytest.mark.parametrize("suffix", [".mp4", ".mov", ".mkv", ".flv", ".ts"])
@pytest.mark.parametrize("rate", [NTSC_FILM, PAL, NTSC, NTSC_TWICE])
def test_the_rate_is_exact_although_containers_round_time_stamps(rate: Fraction, suffix: str, tmp_path: Path) -> None:
    facts = probe_file(str(make_rated(tmp_path / f"a{suffix}", rate, seconds=4.0)))
    assert (facts.rate, facts.varies) == (rate, False)
    assert facts.frames == pytest.approx(4 * rate, abs=4)
    assert (facts.width, facts.height, facts.audio_rate, facts.channels) == (48, 32, 48_000, 2)


@pytest.mark.parametrize("rate", [NTSC_FILM, Fraction(24), PAL, NTSC, Fraction(30), NTSC_TWICE, Fraction(60)])
def test_the_rate_is_exact_of_an_flv_that_states_none(rate: Fraction, tmp_path: Path) -> None:
    bare = write_flv(tmp_path / "bare.flv", media_tags(make_rated(tmp_path / "a.flv", rate, seconds=4.0)))
    facts = probe_file(str(bare))
    assert (facts.rate, facts.varies) == (rate, False)


@pytest.mark.parametrize(
    ("name", "code"), [("a.mov", "01:00:00;00"), ("a.mp4", "23:59:58:12"), ("a.mkv", "01:00:00;00"), ("a.ts", "")]
)
def test_the_time_code_of_the_first_frame_is_the_file_s(name: str, code: str, tmp_path: Path) -> None:
    assert probe_file(str(make_rated(tmp_path / name, NTSC, seconds=2.0, start_code=code))).start_code == code


def test_a_varying_rate_is_the_usual_one_nearby(tmp_path: Path) -> None:
    kept = [number for number in range(240) if number % 7 not in (2, 3)]
    facts = probe_file(str(make_rated(tmp_path / "a.mp4", Fraction(30), seconds=8.0, kept=kept)))
    assert (facts.rate, facts.varies, facts.frames) == (30, True, 240)


def test_a_picture_that_comes_late_leads_by_that_much(tmp_path: Path) -> None:
    facts = probe_file(str(make(tmp_path / "late.mkv", seconds=6.0, video_from=2.0)))
    assert facts.lead == pytest.approx(2.0, abs=0.05)


def test_sound_alone_is_counted_in_25_frames_per_second(tmp_path: Path) -> None:
    facts = probe_file(str(make(tmp_path / "a.m4a", seconds=4.0, video=None)))
    assert facts == MediaFacts(str(tmp_path / "a.m4a"), PAL, frames=100, audio_rate=48_000, channels=1)
    assert not facts.has_video


def test_a_file_whose_header_states_no_length_is_measured_from_its_end(tmp_path: Path) -> None:
    bare = write_flv(tmp_path / "bare.flv", media_tags(make(tmp_path / "a.flv", seconds=4.0)))
    assert probe_file(str(bare)).frames == pytest.approx(40, abs=1)


def test_the_path_is_absolute_wherever_the_command_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_rated(tmp_path / "a.mp4", PAL, seconds=1.0, sound=False)
    monkeypatch.chdir(tmp_path)
    facts = probe_file("a.mp4")
    assert facts.path == str(tmp_path / "a.mp4") and facts.channels == 0


def test_what_can_be_read_only_once_has_no_facts(tmp_path: Path) -> None:
    path = make_rated(tmp_path / "a.mp4", PAL, seconds=1.0)
    with path.open("rb") as file:
        kept = os.dup(0)
        os.dup2(file.fileno(), 0)
        try:
            with open_source("-") as source:
                assert facts_of(source) is None
        finally:
            os.dup2(kept, 0)
            os.close(kept)
    with pytest.raises(SourceError, match=r"nowhere\.mp4"):
        probe_file(str(tmp_path / "nowhere.mp4"))
