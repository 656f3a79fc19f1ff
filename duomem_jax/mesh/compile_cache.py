"""Compiled programs are kept between runs, so that a restart does not compile again."""

import os
from pathlib import Path

import jax

from duomem_jax.base.home import has_home

VARIABLE = "JAX_COMPILATION_CACHE_DIR"


def keep_compiled() -> None:
    """Keep them in the user's cache folder, unless JAX's own variable says where, or "" for not.

    Where the system knows no home folder they are not kept.

    It changes the environment of this process, and so of those that it starts, which then share
    what is kept: for command lines, at their start, not for library code.
    """
    if VARIABLE not in os.environ and (os.environ.get("XDG_CACHE_HOME") or has_home()):
        home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
        # Both: JAX has read the variable already, and processes started later will read it.
        os.environ[VARIABLE] = str(home / "duomem_jax" / "compiled")
        jax.config.update("jax_compilation_cache_dir", os.environ[VARIABLE])
