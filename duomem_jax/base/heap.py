"""Memory that was freed, and that the C library keeps for later."""

import ctypes


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
