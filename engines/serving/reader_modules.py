"""All that a process needs that reads rooms, imported once: those processes are forked from one that has done it."""

import gc
from importlib import import_module

_USED = ("av.audio.fifo", "av.codec.context", "av.filter", "av.video.reformatter", "av.subtitles.stream")

for _name in (*_USED, "kuaihl.engines.serving.reader_process"):
    import_module(_name)
gc.freeze()  # a collection writes to all that it looks at, and what is written to is not shared any longer
