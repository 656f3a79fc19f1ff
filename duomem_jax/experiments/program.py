"""How `duomem` is called where the user is, for commands that are printed."""

import os
import shlex
import shutil
import sys
from pathlib import Path


def program() -> str:
    """`duomem`, or what stands for it here."""
    beside = Path(sys.executable).with_name("duomem")
    found = shutil.which("duomem")
    # `make quickstart` leaves an environment that nobody has activated.
    if found and Path(found) == beside:
        return "duomem"
    if beside.exists():
        return shlex.quote(os.path.relpath(beside))
    return f"{shlex.quote(sys.executable)} -m duomem_jax"
