"""Signals that end a command: one wish, however often a wrapper sends it."""

import os
import signal
import time

import pytest

from kuaihl_cli.terminal.interrupt import sigterm_interrupts, stopped_by_signals


def test_a_signal_that_a_wrapper_sends_twice_asks_once_and_a_later_one_interrupts() -> None:
    with stopped_by_signals() as stop:
        for _ in range(2):  # as `timeout` does: to the process, then to its group
            os.kill(os.getpid(), signal.SIGTERM)
        assert stop.is_set()
        time.sleep(0.5)
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)


def test_a_signal_that_is_sent_twice_interrupts_once_so_that_clearing_away_goes_on() -> None:
    cleared = False
    with sigterm_interrupts():
        try:
            os.kill(os.getpid(), signal.SIGTERM)
        except KeyboardInterrupt:
            os.kill(os.getpid(), signal.SIGTERM)
            cleared = True
    assert cleared
