"""What every way of a benchmark measures: processor and wall seconds a step, peak memory."""

import json
import resource
import sys
import time
from collections.abc import Callable

import numpy as np


def arguments() -> tuple[str, int, int, float]:
    """(model folder, tokens, steps, share of the tokens that carry loss) from the command line."""
    folder, length, steps, share = sys.argv[1:5]
    return folder, int(length), int(steps), float(share)


def sequence(length: int, share: float, vocab: int) -> tuple[np.ndarray, np.ndarray]:
    """Random tokens [1,T], and which of them carry loss (the last ones)."""
    tokens = np.random.default_rng(0).integers(0, vocab, (1, length))
    return tokens, np.arange(length)[None] >= length * (1 - share)


def report(step: Callable[[], float], steps: int) -> None:
    """Time `step`, which returns its loss, and print one line of JSON."""
    first = step()  # compiles, allocates
    cpu, wall = time.process_time(), time.perf_counter()
    for _ in range(steps):
        last = step()
    cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
    print_row(cpu / steps, wall / steps, first, last)


def print_row(cpu: float, wall: float, first: float, last: float) -> None:
    """One line of JSON: seconds a step, this process's peak memory, losses."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    row = {"cpu s": cpu, "wall s": wall, "peak MiB": peak, "first loss": first, "last loss": last}
    print(json.dumps(row), flush=True)
