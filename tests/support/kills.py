"""Work that is killed at a chosen touch of a folder."""

import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path

TOUCHES = {"open", "os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.truncate"}  # audit events that change a folder


def killed_at(touch: int, folder: Path, work: Callable[[], object]) -> bool:
    """Do the work in a process that kills itself at that touch of the folder; False if there were fewer."""
    child = os.fork()
    if child:
        _, status = os.waitpid(child, 0)
        assert os.WIFSIGNALED(status) or os.WEXITSTATUS(status) == 0
        return os.WIFSIGNALED(status)
    left = touch

    def watch(event: str, arguments: tuple[object, ...]) -> None:
        nonlocal left
        if event in TOUCHES and str(arguments[0]).startswith(str(folder)):
            left -= 1
            if left < 0:
                os.kill(os.getpid(), signal.SIGKILL)

    code = 1
    try:
        sys.addaudithook(watch)
        work()
        code = 0
    finally:
        os._exit(code)
