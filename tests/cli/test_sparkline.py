"""A curve of any length fits on a line and shows its bursts."""

from kuaihl_cli.terminal.sparkline import draw_sparkline


def test_a_score_is_a_block_while_there_is_room() -> None:
    assert draw_sparkline([0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8], width=80) == "▁▂▃▄▅▆▇█"
    assert draw_sparkline([], width=80) == ""
    assert draw_sparkline([0.5], width=80) == "▁"


def test_a_day_of_scores_has_the_width_that_was_asked_for_and_keeps_a_single_burst() -> None:
    scores = [0.4] * 2880
    scores[1999] = 0.9
    line = draw_sparkline(scores, width=60)
    assert len(line) == 60
    assert line.index("█") == 1999 * 60 // 2880
    assert set(line) == {"▁", "█"}


def test_noise_on_a_flat_curve_is_not_drawn_as_mountains() -> None:
    assert set(draw_sparkline([0.5, 0.501, 0.5005, 0.5], width=80)) == {"▁"}
