"""Train an adapter on a frozen base, or all parameters of a small model.

python train.py --config configs/<name>.py [--field value ...]

Parsed here; `duomem_jax.train.run` does the rest: plan -> weights -> state -> loop -> export. Run
the same command again after a crash: it continues from the last checkpoint and ends with the same
result bit for bit. Where a run has several hosts, each runs the same command
(`duomem_jax.mesh.hosts`).
"""

import logging
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext

from duomem_jax.base.commandline import LOGGER, run_command
from duomem_jax.base.errors import UserError
from duomem_jax.mesh.compile_cache import keep_compiled
from duomem_jax.mesh.hosts import joined
from duomem_jax.train.config import TrainConfig, load_config
from duomem_jax.train.run import run

log = logging.getLogger(f"{LOGGER}.command")


def parse(argv: list[str]) -> TrainConfig:
    """Split off `--config FILE`; everything else overrides its fields."""
    if len(argv) < 2 or argv[0] != "--config":
        raise UserError("usage: train.py --config configs/<name>.py [--field value ...]")
    return load_config(argv[1], argv[2:])


def main(argv: list[str], hosts: Callable[[], AbstractContextManager] = nullcontext) -> int:
    """Command line; its exit status, as `duomem_jax.base.commandline.run_command` explains it.

    Args:
        argv: arguments.
        hosts: joins those of the run; a notebook or a test is alone.
    """

    def train() -> None:
        config = parse(argv)
        with hosts():
            log.info(run(config))  # the first host's alone

    return run_command("train.py", train)


if __name__ == "__main__":
    keep_compiled()
    sys.exit(main(sys.argv[1:], joined))
