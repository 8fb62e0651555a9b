"""Programs that are started without caches per thread, and an environment that is left as it was."""

import os

import pytest

from kuaihl.engines.runtimes.heap import without_thread_caches

OFF = "glibc.malloc.tcache_count=0"


@pytest.mark.parametrize(
    ("before", "meanwhile"),
    [
        (None, OFF),
        ("glibc.malloc.perturb=1", f"glibc.malloc.perturb=1:{OFF}"),
        ("glibc.malloc.tcache_count=3", "glibc.malloc.tcache_count=3"),  # whoever starts us decides
    ],
)
def test_the_environment_asks_for_no_caches_for_a_moment(
    before: str | None, meanwhile: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("GLIBC_TUNABLES", raising=False)
    if before is not None:
        monkeypatch.setenv("GLIBC_TUNABLES", before)
    with without_thread_caches():
        assert os.environ["GLIBC_TUNABLES"] == meanwhile
    assert os.environ.get("GLIBC_TUNABLES") == before
