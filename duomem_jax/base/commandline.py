"""What only a command line may do: print, quiet other libraries, end the process."""

import logging
import os
import sys
import threading
from collections.abc import Callable

from duomem_jax.base.errors import JoinError, LostHostError, StoppedError, UserError
from duomem_jax.base.explain import explain
from duomem_jax.base.home import ensure_home
from duomem_jax.base.interrupts import STOPPED, STOPPED_STATUS, interruptible
from duomem_jax.base.terminal import lost_output, prepare_streams, say

LOGGER = "duomem_jax"  # above the loggers of all modules of the package


def run_command(name: str, command: Callable[[], None]) -> int:
    """Run a command; its exit status.

    A user's mistake is one sentence and status 2; work that can be continued ends with the status
    that asks a launcher to start it again. When another host is lost, the process ends here.

    Args:
        name: in front of the sentence.
        command: does the work and prints the result. What it imports is best imported in it: an
            import takes seconds, in which Ctrl-C ends as it does later.
    """
    prepare_streams()
    show_log()
    quiet_libraries()
    ensure_home()
    try:
        with interruptible(name) as pressed:
            status = _run(name, command, pressed)
    # `--help` leaves so, with text that is not written yet.
    except SystemExit:
        _tell_lost(name)
        raise
    return status or _tell_lost(name)


def _run(name: str, command: Callable[[], None], pressed: threading.Event) -> int:
    try:
        command()
    except UserError as e:
        return _told(name, e, 2)
    # Before StoppedError, of which it is one: this one must not return.
    except LostHostError as e:
        _leave_at_once(_told(name, e, e.status))
    except (StoppedError, JoinError) as e:
        return _told(name, e, e.status)
    except KeyboardInterrupt:
        return _told(name, STOPPED, STOPPED_STATUS)
    # A reader who has read enough, of what other libraries print.
    except BrokenPipeError:
        return 0
    except Exception as e:
        # Compiled modules pass a Ctrl-C on as an error of their own.
        if pressed.is_set():
            return _told(name, STOPPED, STOPPED_STATUS)
        if (sentence := explain(e)) is None:
            raise
        return _told(name, sentence, 2)
    return 0


def _tell_lost(name: str) -> int:
    if why := lost_output():
        return _told(name, f"standard output cannot be written ({why}); the work itself is done", 2)
    return 0


def _told(name: str, message: object, status: int) -> int:
    say(f"{name}: {message}", sys.stderr)
    return status


def _leave_at_once(status: int) -> None:
    """End the process without what runs at its end: JAX would wait for the host that is lost."""
    lost_output()
    sys.stderr.flush()
    os._exit(status)


def show_log() -> None:
    """Print what the package logs, as plain lines: what it does, and how far it is."""
    logger = logging.getLogger(LOGGER)
    # Called again in one process, it must not print every line twice.
    if not shows_log():
        logger.addHandler(_Lines())
    logger.setLevel(logging.INFO)
    logger.propagate = False  # some library gives the root logger a handler, too


def shows_log() -> bool:
    """Whether this process is a command's, which prints what the package logs."""
    return any(isinstance(handler, _Lines) for handler in logging.getLogger(LOGGER).handlers)


class _Lines(logging.Handler):
    """Lines on standard output, looked up again for each one: tests and notebooks replace it."""

    def emit(self, record: logging.LogRecord) -> None:
        say(record.getMessage())


def quiet_libraries() -> None:
    """Let the logs of libraries say what a user can act upon, and no more."""
    logging.getLogger("absl").setLevel(logging.ERROR)  # Orbax narrates every save
    # A read of a damaged checkpoint leaves tasks behind, each of which asyncio would report.
    logging.getLogger("asyncio").setLevel(logging.CRITICAL)
