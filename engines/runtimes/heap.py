"""Measures that keep freed memory from piling up in glibc's heaps per thread and in the buffers of Intel's MKL.

A dozen threads come and go here. docs/benchmarks.md gives the measured saving of each.
"""

import ctypes
import os
import sys
from functools import cache

_M_ARENA_MAX = -8  # from malloc.h


@cache
def _c_library() -> ctypes.CDLL | None:
    """glibc, or None if the process uses another C library."""
    if sys.platform != "linux":
        return None
    library = ctypes.CDLL(None)
    return library if hasattr(library, "malloc_trim") and hasattr(library, "mallopt") else None


def share_one_heap() -> None:
    """Let all threads share one heap, as MALLOC_ARENA_MAX=1 does. Call it before threads start: existing heaps stay."""
    if (library := _c_library()) is not None:
        library.mallopt(_M_ARENA_MAX, 1)


def keep_no_mkl_buffers() -> None:
    """Have MKL free its buffers after use, unless the environment says otherwise; call it before MKL first computes."""
    os.environ.setdefault("MKL_DISABLE_FAST_MM", "1")


def give_back_freed_memory() -> None:
    """Return freed memory to the system; takes a few milliseconds."""
    if (library := _c_library()) is not None:
        library.malloc_trim(0)
