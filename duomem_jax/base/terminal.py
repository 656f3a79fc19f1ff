"""Standard output and error as they come: closed, full, gone, or of few letters.

What cannot be printed never ends the work, whose results are in files.
"""

import contextlib
import errno
import io
import os
import sys
from pathlib import Path
from typing import TextIO

_lost: list[OSError] = []  # why standard output takes no more


def prepare_streams() -> None:
    """Make both usable: closed ones lead nowhere, letters they lack are written as escapes."""
    _lost.clear()
    _plug()
    for stream in (sys.stdout, sys.stderr):
        # Notebooks and tests put streams of other kinds there.
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def say(text: str, stream: TextIO | None = None) -> None:
    """Print a line, or nothing where nobody can read it.

    Args:
        text: the line.
        stream: standard output by default.
    """
    stream = stream or sys.stdout
    try:
        print(text, file=stream, flush=True)
    except OSError as e:
        _give_up(stream, e)


def lost_output() -> str:
    """Why standard output could not be written, to be told; "" for nothing that must be.

    A reader who has read enough (`| head`) or a terminal that was closed is no mistake.
    """
    try:
        sys.stdout.flush()
    except OSError as e:
        _give_up(sys.stdout, e)
    except ValueError:  # somebody has closed it
        return ""
    told = [e for e in _lost if e.errno not in (errno.EPIPE, errno.EIO)]
    return (told[0].strerror or type(told[0]).__name__) if told else ""


def _plug() -> None:
    """Open what was closed before the start: the next file would get its number, and its text."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # the lowest free number, so this one
    # Python leaves None there.
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, Path(os.devnull).open("w", encoding="utf-8"))  # noqa: SIM115


def _give_up(stream: TextIO, why: OSError) -> None:
    if stream is sys.stdout:
        _lost.append(why)
    # What is still in its buffer would fail again when Python ends. (Streams without a number have
    # no such buffer.)
    with contextlib.suppress(OSError, ValueError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)
