"""Memory that was freed, and that the C library keeps for later."""

import contextlib
import ctypes
import gc
from collections.abc import Iterator


@contextlib.contextmanager
def handing_back() -> Iterator[None]:
    """Return to the machine what a block has used, so that the next does not come on top of it.

    A model, its cache and its programs are more than half of what a machine may have.
    """
    try:
        yield
    finally:
        # Weights may hang in a circle that only the collector takes apart.
        gc.collect()
        give_back()


def give_back() -> None:
    """Return it to the machine; does nothing where the C library is not glibc.

    Compiling a program takes some hundred MB in small pieces and in many threads. glibc keeps what
    is freed of them for each thread apart, so that after twenty programs a process of a model of
    half a GB holds five.
    """
    # No symbol of this name: musl, macOS. A type error: Windows.
    try:
        trim = ctypes.CDLL(None).malloc_trim
    except (AttributeError, OSError, TypeError):
        return
    trim(0)
