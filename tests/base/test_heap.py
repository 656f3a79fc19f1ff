"""What was freed goes back to the machine."""

import os
import platform
from pathlib import Path

import pytest

from duomem_jax.base.heap import give_back


def held():
    """Bytes of this process in memory."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="another C library")
def test_what_is_freed_between_pieces_that_stay_is_given_back():
    # Each larger than what Python allocates by itself, and each hundredth stays.
    pieces = [bytes(1000) for _ in range(200_000)]
    kept = pieces[::100]
    del pieces
    before = held()
    give_back()
    assert before - held() > 100 * 2**20
    assert len(kept) == 2000
