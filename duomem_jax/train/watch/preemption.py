"""A machine that is taken away says so with SIGTERM: the run saves its state and ends."""

import contextlib
import signal
import threading
from collections.abc import Callable, Iterator

import jax
from jax.experimental import multihost_utils


@contextlib.contextmanager
def notice() -> Iterator[Callable[[int], bool]]:
    """Give `heard(step)`: whether to end after this step, which is the same one on all hosts.

    `heard` is to be called after every step. A host among others leaves the signal to JAX, whose
    coordinator makes all of them agree on a step.
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
    # The handler only takes note: it may run in the middle of anything, a save for example.
    before = signal.signal(signal.SIGTERM, lambda *_: heard.set())
    try:
        yield lambda step: heard.is_set()
    finally:
        signal.signal(signal.SIGTERM, before)
