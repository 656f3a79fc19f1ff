"""Jobs side by side, each in a process with its own share of the machine."""

import contextlib
import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import Any

from duomem_jax.base.commandline import quiet_libraries, show_log, shows_log
from duomem_jax.base.errors import UserError
from duomem_jax.base.heap import handing_back
from duomem_jax.base.terminal import prepare_streams

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
        UserError: a process was killed, as the system does when memory runs out.
        KeyboardInterrupt: at Ctrl-C; jobs that save when told to have done so.
        The first error of a job; those under way are finished first.
    """
    # Nothing to share out: no process need start, and the job gets the whole machine.
    if workers == 1 or len(jobs) < 2:
        return [_alone(function, *job) for job in jobs]
    context = multiprocessing.get_context("spawn")  # a fork would inherit JAX's threads
    # A pool does not number its processes: each draws its number here, when it starts.
    numbers = context.Queue()
    for i in range(workers):
        numbers.put(i)
    share = numbers, workers, shows_log()
    with ProcessPoolExecutor(workers, context, _take_share, share) as pool:
        try:
            with _deaf_children():
                futures = [pool.submit(_job, function, *job) for job in jobs]
            return _results(futures, workers)
        except KeyboardInterrupt:
            # Whoever pressed it has told them too; whoever sent the signal to this process has not.
            for process in multiprocessing.active_children():
                process.terminate()
            raise
        except BaseException:
            # Leaving the block would run every job that is still waiting before the error is seen.
            pool.shutdown(cancel_futures=True)
            raise


def _alone(function: Callable[..., Any], *job: Any) -> Any:
    with handing_back():
        return function(*job)


def _results(futures: Sequence[Future], workers: int) -> list[Any]:
    try:
        return [future.result() for future in futures]
    except BrokenProcessPool as e:
        raise UserError(
            f"one of {workers} worker processes was killed, as the system does when memory runs "
            "out; give fewer workers or a machine with more memory, and run the same command again "
            "to continue"
        ) from e


@contextlib.contextmanager
def _deaf_children() -> Iterator[None]:
    """Processes that are started in this block hear no Ctrl-C until `_take_share`.

    While they start they are Python's own, which would print a traceback.
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _take_share(numbers: Any, workers: int, log: bool) -> None:
    """Narrow what a new worker sees of the machine; runs before anything imports JAX in it.

    A worker of a command prints what it logs, as the command does.
    """
    # Between jobs, Ctrl-C is the business of the process that started this one.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
    threading.Thread(target=_end_with_parent, daemon=True).start()
    if log:
        prepare_streams()
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


def _job(function: Callable[..., Any], *job: Any) -> Any:
    """A job in a worker, which Ctrl-C interrupts; what it raises goes to who waits for it."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        return _alone(function, *job)
    finally:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        # Nobody is there for the result. It may be a state that was saved.
        if not _parent().is_alive():
            os._exit(0)


def _end_with_parent() -> None:
    """End this worker when the process that started it is gone, or it would wait for jobs for ever.

    As if it were told to: who saves then saves, others end at once.
    """
    _parent().join()
    os.kill(os.getpid(), signal.SIGTERM)


def _parent() -> Any:
    parent = multiprocessing.parent_process()
    assert parent is not None  # this is a worker
    return parent


def _share_of(visible: str | None, number: int) -> str:
    """One device for worker `number`: of the visible list where there is one.

    A list shorter than the workers is gone round again; "" and "-1", for none, stay as they are.
    """
    if visible is None:
        return str(number)
    devices = visible.split(",")
    return devices[number % len(devices)]
