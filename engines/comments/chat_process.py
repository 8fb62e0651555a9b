"""yt-dlp in a process that ends with the one that started it, whose end of standard input is the only sign of life."""

import os
import runpy
import threading


def _end_with_parent() -> None:
    os.read(0, 1)  # nobody writes: it returns once the parent is gone, even if it was killed
    os._exit(1)


if __name__ == "__main__":
    threading.Thread(target=_end_with_parent, daemon=True).start()
    runpy.run_module("yt_dlp", run_name="__main__", alter_sys=True)
