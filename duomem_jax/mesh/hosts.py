"""Several hosts that work as one: how they meet, who speaks for all, what a lost one looks like.

Each host runs the same command. JAX finds the others by itself on Cloud TPU, GKE, Slurm and Open
MPI; elsewhere three variables say where they are:

    JAX_COORDINATOR_ADDRESS=HOST:PORT JAX_NUM_PROCESSES=N JAX_PROCESS_ID=I python train.py ...
"""

import contextlib
import os
import sys
from collections.abc import Iterator
from typing import Any

import jax
import numpy as np
from jax.experimental import multihost_utils

from duomem_jax.base.errors import StoppedError, UserError, first_line

JOIN = 300  # seconds to wait for all hosts at the start
SILENCE = 30  # seconds without a sign of life after which a host counts as lost
LEAVE = 10  # seconds to wait for the others at the end; all of them have met just before
ADDRESS, COUNT, INDEX = "JAX_COORDINATOR_ADDRESS", "JAX_NUM_PROCESSES", "JAX_PROCESS_ID"
# In what JAX, Gloo and Orbax say when they wait for a host that is gone.
SIGNS = (
    "heartbeat",
    "Connection closed by peer",
    "Connection reset",
    "Connection refused",
    "Gloo",
    "coordination service",
    "CoordinationService",
    "Barrier",
    "DEADLINE_EXCEEDED",
    "UNAVAILABLE",
)


@contextlib.contextmanager
def joined() -> Iterator[None]:
    """Be one of the run's hosts; alone where there are no others.

    When another host is lost the process ends here, with one sentence and the status of
    `StoppedError`: what shuts JAX down would wait for the lost one. Where no computation is under
    way that could fail, JAX itself ends the process after `SILENCE` seconds, with a longer
    message and SIGABRT.

    Raises:
        UserError: the variables do not say which host this is.
        SystemExit: the others do not come; status 1, as it may be worth another try.
    """
    _join()
    try:
        yield
    except Exception as e:
        if jax.process_count() > 1 and _means_lost(e):
            _end(
                f"host {jax.process_index()} of {jax.process_count()} has lost another one; run "
                "the command again on all hosts to go on from the last checkpoint "
                f"({first_line(e)})"
            )
        raise
    finally:
        with contextlib.suppress(Exception):
            jax.distributed.shutdown()


def _means_lost(e: BaseException | None) -> bool:
    return e is not None and (
        any(sign in str(e) for sign in SIGNS) or _means_lost(e.__cause__ or e.__context__)
    )


def _end(sentence: str) -> None:
    print(f"train.py: {sentence}", file=sys.stderr)
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(StoppedError.status)


def _join() -> None:
    timeouts: dict[str, Any] = {
        "initialization_timeout": JOIN,
        "heartbeat_timeout_seconds": SILENCE,
        "shutdown_timeout_seconds": LEAVE,
    }
    told: dict[str, Any] = {}
    if ADDRESS in os.environ:
        told = {"num_processes": _number(COUNT), "process_id": _number(INDEX)}
    try:
        jax.distributed.initialize(**told, **timeouts)
    except ValueError as e:
        if told:
            raise UserError(
                f"environment: {ADDRESS}, {COUNT} or {INDEX}: {first_line(e)}"
            ) from None
        # JAX has found no other hosts: this one is alone.
    except jax.errors.JaxRuntimeError as e:
        sys.exit(
            f"train.py: not all hosts came within {JOIN} s; see that the command runs on each and "
            f"that they reach the first one's port ({first_line(e)})"
        )


def _number(name: str) -> int:
    try:
        return int(os.environ[name])
    except (KeyError, ValueError):
        given = os.environ.get(name, "not set")
        raise UserError(f"environment: {name} is {given}; give a number") from None


def is_first() -> bool:
    """Whether this host is the one that prints and writes for all."""
    return jax.process_index() == 0


def say(text: str) -> None:
    """Print a line, once for all hosts."""
    if is_first():
        print(text, flush=True)


def meet(name: str) -> None:
    """Wait until every host has come here."""
    if jax.process_count() > 1:
        multihost_utils.sync_global_devices(name)


def agree(ok: bool) -> bool:
    """Whether it went well on every host."""
    if jax.process_count() == 1:
        return ok
    return bool(multihost_utils.process_allgather(np.asarray(ok)).all())


def gathered(tree: Any) -> Any:
    """Arrays of a mesh as numpy arrays; every host must call it, and gets them all."""
    if jax.process_count() == 1:
        return jax.device_get(tree)
    return multihost_utils.process_allgather(tree, tiled=True)
