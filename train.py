"""Train an adapter on a frozen base, or all parameters of a small model.

python train.py --config configs/<name>.py [--field value ...]

Parsed here; `duomem_jax.train.run` does the rest: mesh -> data -> state -> loop -> export. Run the
same command again after a crash: it goes on from the last checkpoint and ends with the same result
bit for bit. Where a run has several hosts, each runs the same command (`duomem_jax.mesh.hosts`).
"""

import os
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext

from duomem_jax.base.errors import StoppedError, UserError
from duomem_jax.mesh.compile_cache import keep_compiled
from duomem_jax.mesh.hosts import JoinError, LostHostError, joined, say
from duomem_jax.train.config import TrainConfig, load_config
from duomem_jax.train.run import run


def parse(argv: list[str]) -> TrainConfig:
    """Split off `--config FILE`; everything else overrides its fields."""
    if len(argv) < 2 or argv[0] != "--config":
        raise UserError("usage: train.py --config configs/<name>.py [--field value ...]")
    return load_config(argv[1], argv[2:])


def main(argv: list[str], hosts: Callable[[], AbstractContextManager] = nullcontext) -> int:
    """Command line: a user's mistake is one sentence and status 2; 75 asks to be started again.

    When another host is lost, this process ends here, with status 75.

    Args:
        argv: arguments.
        hosts: joins those of the run; a notebook or a test is alone.
    """
    try:
        config = parse(argv)
        with hosts():
            say(str(run(config)))
    except UserError as e:
        print(f"train.py: {e}", file=sys.stderr)
        return 2
    except LostHostError as e:
        print(f"train.py: {e}", file=sys.stderr)
        sys.stdout.flush()
        sys.stderr.flush()
        # Not `return`: at a normal exit JAX's shutdown would wait for the host that is gone.
        os._exit(e.status)
    except (StoppedError, JoinError) as e:
        print(f"train.py: {e}", file=sys.stderr)
        return e.status
    return 0


if __name__ == "__main__":
    keep_compiled()
    sys.exit(main(sys.argv[1:], joined))
