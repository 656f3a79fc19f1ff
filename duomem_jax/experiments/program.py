"""What a command that runs everything prints at its end."""

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


def next_steps(steps: str, out: str) -> str:
    """Commands to go on with, as they can be entered here.

    Args:
        steps: with {duomem} and {out} in place of the program and the folder.
        out: folder of what was run.
    """
    return steps.format(duomem=program(), out=shlex.quote(out))


def ending(report: Path, picture: str, seconds: float, steps: str) -> str:
    """The report, its picture, the time, and what to run next.

    Args:
        report: in the folder of what was run.
        picture: name of the file beside it.
        seconds: that all of it took.
        steps: as in `next_steps`.
    """
    text = report.read_text(encoding="utf-8")
    return (
        f"{text}\nPicture: {report.with_name(picture)}\n"
        f"All of it took {seconds:.0f} s.\n\n{next_steps(steps, str(report.parent))}"
    )
