"""Several hosts that work as one: how they meet, who speaks for all, what a lost one looks like.

Each host runs the same command. JAX finds the others by itself on Cloud TPU, GKE, Slurm and Open
MPI; elsewhere three variables say where they are:

    JAX_COORDINATOR_ADDRESS=HOST:PORT JAX_NUM_PROCESSES=N JAX_PROCESS_ID=I python train.py ...
"""

import contextlib
import logging
import os
from collections.abc import Iterator
from typing import Any

import jax
import numpy as np
from jax.experimental import multihost_utils

from duomem_jax.base.commandline import LOGGER
from duomem_jax.base.errors import JoinError, LostHostError, UserError, first_line

# JAX's own values of the last two are several times longer: hosts that are paid for would wait.
JOIN = 300  # seconds to wait for all hosts at the start
SILENCE = 30  # seconds without a sign of life after which a host counts as lost
LEAVE = 10  # seconds to wait for the others at the end; all of them have met just before
ADDRESS, COUNT, INDEX = "JAX_COORDINATOR_ADDRESS", "JAX_NUM_PROCESSES", "JAX_PROCESS_ID"
# In what JAX, Gloo and Orbax say when they wait for a host that is gone: they have no exception
# of their own for it.
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
    """Be one of the run's hosts; alone where there are no others. The first reports for all.

    Where no computation is under way that could fail when another host is lost, JAX itself ends the
    process after `SILENCE` seconds, with a longer message and SIGABRT.

    Raises:
        UserError: the variables do not say which host this is.
        JoinError: the others do not come.
        LostHostError: a host that had come is gone.
    """
    _join()
    if not is_first():
        logging.getLogger(LOGGER).setLevel(logging.WARNING)
    # A stack, so that leaving can be called off below.
    with contextlib.ExitStack() as stack:
        stack.callback(_leave)
        try:
            yield
        # A user's mistake may quote such an error too, that of a hub for example.
        except UserError:
            raise
        except Exception as e:
            if jax.process_count() > 1 and _means_lost(e):
                stack.pop_all()  # to leave would be to wait for the lost host
                raise LostHostError(
                    f"host {jax.process_index()} of {jax.process_count()} has lost another one; "
                    "run the command again on all hosts to go on from the last checkpoint "
                    f"({first_line(e)})"
                ) from e
            raise


def _leave() -> None:
    # Whatever the run came to is decided by now; a failed farewell must not replace it.
    with contextlib.suppress(Exception):
        jax.distributed.shutdown()


def _means_lost(e: BaseException | None) -> bool:
    """Whether an error, or one that it came from, is of the kind that a lost host causes."""
    return e is not None and (
        any(sign in str(e) for sign in SIGNS) or _means_lost(e.__cause__ or e.__context__)
    )


def _join() -> None:
    timeouts: dict[str, Any] = {
        "initialization_timeout": JOIN,
        "heartbeat_timeout_seconds": SILENCE,
        "shutdown_timeout_seconds": LEAVE,
    }
    # JAX reads the address itself, but neither the number of processes nor which one this is.
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
        raise JoinError(
            f"not all hosts came within {JOIN} s; see that the command runs on each and "
            f"that they reach the first one's port ({first_line(e)})"
        ) from None


def _number(name: str) -> int:
    try:
        return int(os.environ[name])
    except (KeyError, ValueError):
        given = os.environ.get(name, "not set")
        raise UserError(f"environment: {name} is {given}; give a number") from None


def is_first() -> bool:
    """Whether this host is the one that writes for all."""
    return jax.process_index() == 0


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
    # Untiled, JAX refuses arrays that lie on several hosts.
    return multihost_utils.process_allgather(tree, tiled=True)
