"""Measures that keep freed memory from piling up in glibc's heaps and caches per thread, and in Intel MKL's buffers.

A dozen threads come and go here. docs/benchmarks.md gives the measured saving of each.
"""

import ctypes
import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache

_M_ARENA_MAX = -8  # from malloc.h
_TUNABLES, _CACHE_COUNT = "GLIBC_TUNABLES", "glibc.malloc.tcache_count"
_ENVIRONMENT = threading.Lock()


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


@contextmanager
def without_thread_caches() -> Iterator[None]:
    """Let a program that is started meanwhile keep no freed memory per thread, unless the environment decides that.

    glibc reads this as a program begins; there is no call for it.
    """
    with _ENVIRONMENT:
        before = os.environ.get(_TUNABLES)
        if before is None or _CACHE_COUNT not in before:
            os.environ[_TUNABLES] = ":".join(filter(None, (before, f"{_CACHE_COUNT}=0")))
        try:
            yield
        finally:
            if before is None:
                del os.environ[_TUNABLES]
            else:
                os.environ[_TUNABLES] = before


def keep_no_mkl_buffers() -> None:
    """Have MKL free its buffers after use, unless the environment says otherwise; call it before MKL first computes."""
    os.environ.setdefault("MKL_DISABLE_FAST_MM", "1")


def give_back_freed_memory() -> None:
    """Return freed memory to the system; takes a few milliseconds."""
    if (library := _c_library()) is not None:
        library.malloc_trim(0)
