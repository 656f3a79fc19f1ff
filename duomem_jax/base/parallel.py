"""Jobs side by side, each in a process with its own share of the machine."""

import multiprocessing
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from typing import Any

from duomem_jax.base.commandline import quiet_libraries, show_log, shows_log

# What a process of one accelerator may see; set before JAX starts.
VISIBLE = ("CUDA_VISIBLE_DEVICES", "TPU_VISIBLE_CHIPS")


def run_all(function: Callable[..., Any], jobs: Sequence[tuple], workers: int) -> list[Any]:
    """`function(*job)` of every job, in their order.

    Args:
        function: importable by name, like its arguments.
        jobs: arguments.
        workers: processes; 1 runs everything here. On a CPU each gets an equal share of the
            cores, on accelerators worker i gets the i-th of the devices this process sees.

    Raises:
        The first error of a job; those under way are finished first.
    """
    # Nothing to share out: no process need start, and the job gets the whole machine.
    if workers == 1 or len(jobs) < 2:
        return [function(*job) for job in jobs]
    context = multiprocessing.get_context("spawn")  # a fork would inherit JAX's threads
    # A pool does not number its processes: each draws its number here, when it starts.
    numbers = context.Queue()
    for i in range(workers):
        numbers.put(i)
    share = numbers, workers, shows_log()
    with ProcessPoolExecutor(workers, context, _take_share, share) as pool:
        futures = [pool.submit(function, *job) for job in jobs]
        try:
            return [future.result() for future in futures]
        except BaseException:
            # Leaving the block would run every job that is still waiting before the error is seen.
            pool.shutdown(cancel_futures=True)
            raise


def _take_share(numbers: Any, workers: int, log: bool) -> None:
    """Narrow what a new worker sees of the machine; runs before anything imports JAX in it.

    A worker of a command prints what it logs, as the command does.
    """
    if log:
        show_log()
        quiet_libraries()
    number = numbers.get()
    # JAX takes all devices it sees, and most of their memory: workers must not share one.
    for name in VISIBLE:
        os.environ[name] = _share_of(os.environ.get(name), number)
    if hasattr(os, "sched_setaffinity"):
        cores = sorted(os.sched_getaffinity(0))
        # With more workers than cores some would have none; those take all.
        os.sched_setaffinity(0, cores[number::workers] or cores)


def _share_of(visible: str | None, number: int) -> str:
    """One device for worker `number`: of the visible list where there is one.

    A list shorter than the workers is gone round again; "" and "-1", for none, stay as they are.
    """
    if visible is None:
        return str(number)
    devices = visible.split(",")
    return devices[number % len(devices)]
