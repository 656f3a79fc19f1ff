"""The command that trains: `python train.py`, and `duomem train` where there is no checkout."""

import logging
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager

from duomem_jax.base.commandline import LOGGER
from duomem_jax.base.errors import UserError
from duomem_jax.train.config import TrainConfig, load_config, print_fields
from duomem_jax.train.run import run

log = logging.getLogger(f"{LOGGER}.command")


def train(argv: Sequence[str], name: str, hosts: Callable[[], AbstractContextManager]) -> None:
    """Train as a command line says, and tell the folder of the result.

    Args:
        argv: `--config FILE` and overrides of its fields, or `--help` alone.
        name: of the command, for its help.
        hosts: joins those of the run.

    Raises:
        UserError: a mistake on the command line, or as `train.run.run`.
        StoppedError: as `train.run.run`.
    """
    config = parse(argv, name)
    with hosts():
        log.info(run(config))  # the first host's alone


def parse(argv: Sequence[str], name: str = "train.py") -> TrainConfig:
    """Split off `--config FILE`; everything else overrides its fields.

    Raises:
        UserError: no such option or file, an unknown field or a wrong type.
        SystemExit: after `--help`.
    """
    rest, file = list(argv), ""
    for i, word in enumerate(argv):
        option, equals, value = word.partition("=")
        if option == "--config" and (equals or i + 1 < len(argv)):
            file = value if equals else argv[i + 1]
            del rest[i : i + (1 if equals else 2)]
            break
    if file:
        return load_config(file, rest, name)
    if {"-h", "--help"} & set(argv):
        print_fields(name)
    raise UserError(
        f"usage: {name} --config configs/<name>.py [--field value ...]; --help lists the fields"
    )
