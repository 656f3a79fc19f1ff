"""What was freed goes back to the machine."""

import gc
import os
import platform
import weakref
from pathlib import Path

import pytest

from duomem_jax.base.heap import give_back, handing_back


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


def test_what_hangs_in_a_circle_is_gone_behind_a_block():
    class Held:
        pass

    gc.disable()  # nothing but the block may take it apart
    try:
        with handing_back():
            held = Held()
            held.itself = held
            left = weakref.ref(held)
            del held
            assert left() is not None
        assert left() is None
    finally:
        gc.enable()
