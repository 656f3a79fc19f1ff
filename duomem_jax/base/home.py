"""A home folder where there is none: libraries ask for it, and some end without."""

import atexit
import logging
import os
import shutil
import tempfile
from pathlib import Path

logger = logging.getLogger(__name__)


def ensure_home() -> None:
    """Give this process a temporary home folder, if the system knows none.

    So it is in a container whose user has a number and no name. For command lines, at their start:
    it changes the environment, which libraries read when they are imported.
    """
    if has_home():
        return
    folder = tempfile.mkdtemp(prefix="duomem-home-")
    os.environ["HOME"] = folder
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    logger.info("no home folder: downloads and compiled programs are not kept; set HOME to one")


def has_home() -> bool:
    """Whether the system knows a home folder for this user."""
    try:
        # With a user who has no entry, Python raises; an empty HOME is none either.
        return str(Path.home()) not in ("", ".")
    except RuntimeError:
        return False
