"""What only a command line may do: print, quiet other libraries, end the process."""

import logging
import os
import sys
from collections.abc import Callable

from duomem_jax.base.errors import JoinError, LostHostError, StoppedError, UserError

LOGGER = "duomem_jax"  # above the loggers of all modules of the package


def run_command(name: str, command: Callable[[], None]) -> int:
    """Run a command; its exit status.

    A user's mistake is one sentence and status 2; work that can be continued ends with the status
    that asks a launcher to start it again. When another host is lost, the process ends here.

    Args:
        name: in front of the sentence.
        command: does the work and prints the result.
    """
    show_log()
    quiet_libraries()
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
        return _told(name, "stopped; run the same command again to continue", 2)
    return 0


def _told(name: str, message: object, status: int) -> int:
    print(f"{name}: {message}", file=sys.stderr)
    return status


def _leave_at_once(status: int) -> None:
    """End the process without what runs at its end: JAX would wait for the host that is lost."""
    sys.stdout.flush()
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
        print(record.getMessage(), flush=True)


def quiet_libraries() -> None:
    """Let the logs of libraries say what a user can act upon, and no more."""
    logging.getLogger("absl").setLevel(logging.ERROR)  # Orbax narrates every save
    # A read of a damaged checkpoint leaves tasks behind, each of which asyncio would report.
    logging.getLogger("asyncio").setLevel(logging.CRITICAL)
