"""Who is told to end saves first: by SIGTERM (a machine is taken away), SIGHUP or Ctrl-C."""

import contextlib
import os
import signal
import threading
from collections.abc import Callable, Iterator
from types import FrameType

import jax
from jax.experimental import multihost_utils

from duomem_jax.base.commandline import shows_log

SIGNALS = (signal.SIGTERM, signal.SIGHUP, signal.SIGINT)
_STOPPING = "\nstopping after this step; Ctrl-C again ends without saving\n"


@contextlib.contextmanager
def notice() -> Iterator[Callable[[int], bool]]:
    """Give `heard(step)`: whether to end after this step, which is the same one on all hosts.

    `heard` is to be called after every step. A host among others leaves SIGTERM to JAX, whose
    coordinator makes all of them agree on a step. A second Ctrl-C does what it did before.
    """
    # A handler of our own would take the signal away from JAX, and stop one host alone.
    if jax.distributed.is_initialized():
        yield multihost_utils.reached_preemption_sync_point
        return
    heard = threading.Event()
    # Python lets only the main thread handle signals; in another one none is heard.
    if threading.current_thread() is not threading.main_thread():
        yield lambda step: False
        return
    before = {int(number): signal.getsignal(number) for number in SIGNALS}

    # The handler only takes note: it may run in the middle of anything, a save for example.
    def take_note(number: int, frame: FrameType | None) -> None:
        heard.set()
        if number == signal.SIGINT:
            signal.signal(number, before[number])
            # A step may take minutes. Not through `print`, which may be in the middle of a line.
            if shows_log():
                with contextlib.suppress(OSError):
                    os.write(2, _STOPPING.encode())

    # What is ignored stays so: `nohup` ignores SIGHUP, `&` in a script SIGINT.
    ours = [number for number, handler in before.items() if handler != signal.SIG_IGN]
    for number in ours:
        signal.signal(number, take_note)
    try:
        yield lambda step: heard.is_set()
    finally:
        for number in ours:
            # After a Ctrl-C it is what it was already, or what a second one has made of it.
            if signal.getsignal(number) is take_note:
                signal.signal(number, before[number])
