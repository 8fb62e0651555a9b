"""PHD: the csv as its README shows it, a file of features per video, histories in place of ids, stretches of 192."""

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.numpy import save_file

from kuaihl.models.data.phd import STRETCH, PhdSet, read_phd
from kuaihl.models.data.phd_counts import found_counts
from kuaihl.models.dims import NetworkDims
from kuaihl.models.errors import DataError
from kuaihl.models.network.kuaihl import KuaiHL

HEADER = "youtubeId,start,duration,user_id,video_duration,is_last"
ROWS = """\
dhuI9TO1rY8,204.39,7.08,12999,314.0,True
dhuI9TO1rY8,206.29,5.29,12999,314.0,True
Z-aTqtRBTIM,0.0,7.66,12999,8.0,False
-aN8wc9Lv2Q,147.0,15.02,12999,152.0,False
vKU7ITgAz4k,79.99,4.14,13000,-1.0,True
"""
RATE = 2.0  # frames per second


def csv_file(folder: Path, rows: str = ROWS, header: str = HEADER) -> Path:
    (folder / "testing.csv").write_text(f"{header}\n{rows}")
    return folder / "testing.csv"


def features(folder: Path, **seconds: int) -> Path:
    """Files whose first number tells the frame, and whose second tells the video."""
    folder.mkdir(exist_ok=True)
    for place, (video, length) in enumerate(seconds.items()):
        visual = np.zeros((int(length * RATE), 1, 4), np.float16)
        visual[:, 0, 0] = np.arange(len(visual))
        visual[:, 0, 1] = place + 1
        save_file({"visual": visual}, folder / f"{video}.safetensors")
    return folder


def phd(folder: Path, **seconds: int) -> PhdSet:
    return PhdSet(read_phd(csv_file(folder)), features(folder / "features", **seconds), frames_per_second=RATE)


def test_a_users_last_video_is_the_target_and_what_came_before_the_history(tmp_path: Path) -> None:
    first, second = read_phd(csv_file(tmp_path))
    assert (first.user, first.video) == ("12999", "dhuI9TO1rY8")
    assert [(span.start, round(span.end, 2)) for span in first.highlights] == [(204.39, 211.47), (206.29, 211.58)]
    assert [span.video for span in first.history] == ["Z-aTqtRBTIM", "-aN8wc9Lv2Q"]
    assert (second.user, second.history) == ("13000", ())


def test_videos_that_are_gone_are_left_out_and_counted(tmp_path: Path) -> None:
    data = phd(tmp_path, dhuI9TO1rY8=314)
    assert [target.user for target in data.targets] == ["12999"]
    assert data.missing == 1
    assert not data.history(0).any()  # rows of zeros: nothing is known of the user
    with pytest.raises(DataError, match="no target video"):
        PhdSet(read_phd(csv_file(tmp_path)), tmp_path, frames_per_second=RATE)


def test_what_is_there_is_counted_beside_the_papers_count(tmp_path: Path) -> None:
    there = features(tmp_path / "features", **{"dhuI9TO1rY8": 314, "-aN8wc9Lv2Q": 152})
    table = csv_file(tmp_path)
    assert found_counts(table, read_phd(table), there) == (
        "testing.csv: 2 users and 4 videos; features of 1 users' targets and of 2 videos; the paper has 833 and 7,595"
    )
    assert "12,541 and 81,056" in found_counts(tmp_path / "training.csv", read_phd(table), there)
    assert "paper" not in found_counts(tmp_path / "mine.csv", read_phd(table), there)


def test_a_frame_is_positive_where_its_middle_lies_in_a_highlight(tmp_path: Path) -> None:
    labels = phd(tmp_path, dhuI9TO1rY8=314).labels(0)
    middles = (np.arange(628) + 0.5) / 2
    np.testing.assert_array_equal(labels, (middles >= 204.39) & (middles < 211.58))


def test_targets_are_cut_into_stretches_that_hold_every_frame_once(tmp_path: Path) -> None:
    data = phd(tmp_path, dhuI9TO1rY8=314, vKU7ITgAz4k=96)
    assert len(data) == 4 + 1  # 628 frames and 192
    assert (data.stretches_of(0), data.stretches_of(1)) == (range(4), range(4, 5))
    got = data.gather(range(len(data)))
    assert got.visual.shape == (5, STRETCH, 1, 4)
    assert got.frame_valid.sum(axis=1).tolist() == [192, 192, 192, 628 - 3 * 192, 192]
    np.testing.assert_array_equal(got.visual[:4, ..., 0, 0][got.frame_valid[:4]], np.arange(628))
    np.testing.assert_array_equal(got.labels[:4][got.frame_valid[:4]], data.labels(0))
    assert not got.visual[~got.frame_valid].any()
    assert not got.labels[~got.frame_valid].any()
    shuffled = data.gather([4, 2])
    np.testing.assert_array_equal(shuffled.visual, got.visual[[4, 2]])
    with pytest.raises(IndexError):
        data.gather([5])


def test_the_protocol_trains_on_stretches_that_hold_a_highlight_alone(tmp_path: Path) -> None:
    data = phd(tmp_path, dhuI9TO1rY8=314, vKU7ITgAz4k=200)
    # At 2 frames per second 204.39 to 211.58 s are frames 409 to 422, of the third stretch of the first target (384 to
    # 575), and 79.99 to 84.13 s are frames 160 to 167, of the first stretch of the second, which is number 4.
    assert data.with_highlights().tolist() == [2, 4]
    assert data.gather(data.with_highlights()).labels.any(axis=1).all()


def test_the_protocol_trains_on_both_stretches_of_a_highlight_that_lies_across_a_cut(tmp_path: Path) -> None:
    table = csv_file(tmp_path, "one,95.0,3.0,1,300.0,True\n")  # frames 190 to 195; the first stretch ends with 191
    data = PhdSet(read_phd(table), features(tmp_path / "features", one=300), frames_per_second=RATE)
    assert data.with_highlights().tolist() == [0, 1]


def test_a_history_is_the_mean_of_what_was_chosen_of_each_video_before(tmp_path: Path) -> None:
    data = phd(tmp_path, **{"dhuI9TO1rY8": 20, "Z-aTqtRBTIM": 8, "-aN8wc9Lv2Q": 152})
    history = data.history(0)
    assert history.shape == (20, 4)
    np.testing.assert_allclose(history[0], [7.5, 2, 0, 0])  # frames 0 to 15: 0 to 7.66 s at two frames per second
    np.testing.assert_allclose(history[1], [298.5, 3, 0, 0])  # 294 to 303: the video ends before the span does
    assert not history[2:].any()
    np.testing.assert_array_equal(data.gather([0]).history[0], history)


def test_two_spans_of_a_video_are_one_highlight_of_the_history(tmp_path: Path) -> None:
    rows = "old,0.0,1.0,1,9.0,False\nold,3.0,1.0,1,9.0,False\nnew,1.0,2.0,1,9.0,True\n"
    data = PhdSet(
        read_phd(csv_file(tmp_path, rows)), features(tmp_path / "features", old=9, new=9), frames_per_second=RATE
    )
    np.testing.assert_allclose(data.history(0)[0, 0], (0 + 1 + 6 + 7) / 4)
    assert not data.history(0)[1:].any()


def test_of_more_than_twenty_the_first_that_are_there_are_the_history(tmp_path: Path) -> None:
    rows = "".join(f"old{number},0.0,1.0,1,9.0,False\n" for number in range(25)) + "new,1.0,2.0,1,9.0,True\n"
    there = {f"old{number}": 9 for number in range(25) if number != 3}  # one is gone from YouTube
    data = PhdSet(
        read_phd(csv_file(tmp_path, rows)), features(tmp_path / "features", **there, new=9), frames_per_second=RATE
    )
    assert data.history(0)[:, 1].tolist() == list(range(1, 21))  # old0, old1, old2, old4 … old20, as the files tell


def test_a_history_that_is_not_finite_is_named(tmp_path: Path) -> None:
    data = phd(tmp_path, **{"dhuI9TO1rY8": 20, "Z-aTqtRBTIM": 8})
    save_file({"visual": np.full((16, 1, 4), np.nan, np.float16)}, data.folder / "Z-aTqtRBTIM.safetensors")
    with pytest.raises(DataError, match="Z-aTqtRBTIM"):
        data.history(0)


def test_text_is_read_where_the_files_have_it(tmp_path: Path) -> None:
    folder = features(tmp_path / "features", vKU7ITgAz4k=10)
    text = np.full((20, 3), 7, np.float16)
    save_file({"visual": np.ones((20, 2, 4), np.float16), "text": text}, folder / "vKU7ITgAz4k.safetensors")
    data = PhdSet(read_phd(csv_file(tmp_path)), folder, frames_per_second=RATE, text_width=3)
    np.testing.assert_array_equal(data.gather([0]).text[0, :20], text)
    assert data.history(0).shape == (20, 8)
    with pytest.raises(DataError, match="text is float16"):
        PhdSet(read_phd(csv_file(tmp_path)), folder, frames_per_second=RATE, text_width=5)


def test_stretches_fit_the_network_with_a_history_and_a_fully_visible_mask(tmp_path: Path) -> None:
    data = phd(tmp_path, dhuI9TO1rY8=314)
    dims = NetworkDims(4, 1, 1, width=8, heads=2, layers=1, causal=False, history_width=4)
    got = data.gather([0, 3])
    with torch.inference_mode():
        logits = KuaiHL(dims).eval()(
            torch.from_numpy(got.visual).float(),
            torch.from_numpy(got.text).float(),
            torch.from_numpy(got.history),
            torch.from_numpy(got.frame_valid),
        )
    assert logits.shape == (2, STRETCH)
    assert logits[torch.from_numpy(got.frame_valid)].isfinite().all()


def test_a_frame_that_is_not_finite_is_named(tmp_path: Path) -> None:
    data = phd(tmp_path, dhuI9TO1rY8=314)
    visual = np.zeros((628, 1, 4), np.float16)
    visual[200, 0, 3] = np.nan
    save_file({"visual": visual}, data.folder / "dhuI9TO1rY8.safetensors")
    data.gather([0])
    with pytest.raises(DataError, match="dhuI9TO1rY8, frame 200"):
        data.gather([1])


@pytest.mark.parametrize(
    "row",
    [
        "../../etc/passwd,1,2,3,4,True",
        "video,nan,2,3,4,True",
        "video,-1,2,3,4,True",
        "video,1,0,3,4,True",
        "video,1,2,3,4,yes",
        "video,1,inf,3,4,True",
        "video",
    ],
)
def test_a_row_that_cannot_be_is_named(tmp_path: Path, row: str) -> None:
    with pytest.raises(DataError, match="line 7"):
        read_phd(csv_file(tmp_path, ROWS + row + "\n"))


def test_another_csv_is_told(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no column user_id"):
        read_phd(csv_file(tmp_path, header=HEADER.replace("user_id", "user")))
    with pytest.raises(DataError, match="cannot be read"):
        read_phd(tmp_path / "nowhere.csv")
