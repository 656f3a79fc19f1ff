"""Ctrl-C in a command: the first ends it in order, the second at once. And who is told to end."""

import contextlib
import os
import signal
import threading
from collections.abc import Iterator
from types import FrameType

from duomem_jax.base.errors import StoppedError

STOPPED = "stopped; run the same command again to continue"
STOPPED_STATUS = 2


@contextlib.contextmanager
def interruptible(name: str) -> Iterator[threading.Event]:
    """Within the block, let a second Ctrl-C end the process without waiting for anything.

    Whatever waits at the end of a command (answers that are paid for, a checkpoint) can so be left;
    files are whole at any moment. Gives whether there was a first.

    Args:
        name: of the command, in front of the sentence.
    """
    pressed = threading.Event()

    def leave(number: int, frame: FrameType | None) -> None:
        # Not `print`, which may be in the middle of a line already.
        os.write(2, f"\n{name}: ended at once; run the same command again to continue\n".encode())
        os._exit(128 + number)

    def first(number: int, frame: FrameType | None) -> None:
        # Compiled modules print a traceback of what interrupts them while they are imported.
        if _imports(frame):
            os.write(2, f"{name}: {STOPPED}\n".encode())
            os._exit(STOPPED_STATUS)
        pressed.set()
        signal.signal(signal.SIGINT, leave)
        raise KeyboardInterrupt

    # Where Ctrl-C is ignored (`nohup`, `&` in a script) or somebody else's, it stays so; and only
    # the main thread may say.
    ours = (
        threading.current_thread() is threading.main_thread()
        and signal.getsignal(signal.SIGINT) is signal.default_int_handler
    )
    if ours:
        signal.signal(signal.SIGINT, first)
    try:
        yield pressed
    finally:
        # After a Ctrl-C the second one keeps its meaning to the end of the process.
        if ours and signal.getsignal(signal.SIGINT) is first:
            signal.signal(signal.SIGINT, signal.default_int_handler)


@contextlib.contextmanager
def told_to_end(sentence: str) -> Iterator[None]:
    """Within the block, let SIGTERM (a machine is taken away) end the work as Ctrl-C does.

    Args:
        sentence: what is said then.

    Raises:
        StoppedError: it was told.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    told = threading.Event()

    def end(number: int, frame: FrameType | None) -> None:
        if not told.is_set():  # what the first one has begun must come to its end
            told.set()
            raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, end)
    try:
        yield
    # Compiled modules pass it on as an error of their own.
    except BaseException as e:
        if told.is_set():
            raise StoppedError(sentence) from e
        raise
    finally:
        signal.signal(signal.SIGTERM, before)


def _imports(frame: FrameType | None) -> bool:
    """Whether an import is under way."""
    while frame is not None:
        if frame.f_code.co_filename.startswith("<frozen importlib"):
            return True
        frame = frame.f_back
    return False
