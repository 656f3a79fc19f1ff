"""Train an adapter on a frozen base, or all parameters of a small model.

python train.py --config configs/<name>.py [--field value ...]

The command is `duomem_jax.train.command`, and `duomem train` the same without a checkout;
`duomem_jax.train.run` does the work: plan -> weights -> state -> loop -> export. Run the same
command again after a crash: it continues from the last checkpoint and ends with the same result bit
for bit. Where a run has several hosts, each runs the same command (`duomem_jax.mesh.hosts`).
"""

import sys
from contextlib import nullcontext

from duomem_jax.base.commandline import run_command


def main(argv: list[str]) -> int:
    """Command line of a run on this host alone; its exit status, as `run_command` explains it."""

    def command() -> None:
        from duomem_jax.train.command import train

        train(argv, "train.py", nullcontext)

    return run_command("train.py", command)


def _process() -> None:
    """What a process does that is one of the run's hosts."""
    # Imported here: it takes seconds, in which Ctrl-C is to end as it does later.
    from duomem_jax.mesh.compile_cache import keep_compiled
    from duomem_jax.mesh.hosts import joined
    from duomem_jax.train.command import train

    keep_compiled()
    train(sys.argv[1:], "train.py", joined)


if __name__ == "__main__":
    sys.exit(run_command("train.py", _process))
