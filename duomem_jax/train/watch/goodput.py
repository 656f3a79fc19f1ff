"""What the time of a run is spent on; the share of its steps is its goodput."""

import contextlib
import time
from collections.abc import Callable, Iterator

KINDS = ("init", "compile", "data", "step", "checkpoint", "eval")


class Stopwatch:
    """Wall seconds by kind, as the thread that runs the loop sees them.

    A new one counts `init`. `step` is what is left of the loop: dispatching steps and waiting for
    their metrics. Time that a block spends inside another one's counts for the inner one only.
    """

    def __init__(self, clock: Callable[[], float] = time.perf_counter):
        """Start, with a clock in seconds."""
        self._clock, self._kind = clock, "init"
        self._last = clock()
        self._seconds = dict.fromkeys(KINDS, 0.0)

    def switch(self, kind: str) -> str:
        """Count `kind` from now on; returns what was counted until now."""
        # One kind runs at any moment, so the kinds add up to the whole.
        now, before = self._clock(), self._kind
        self._seconds[before] += now - self._last
        self._last, self._kind = now, kind
        return before

    @contextlib.contextmanager
    def during(self, kind: str) -> Iterator[None]:
        """Count `kind` within a block."""
        before = self.switch(kind)
        try:
            yield
        finally:
            self.switch(before)

    def seconds(self) -> dict[str, float]:
        """So far, by kind."""
        # Settle the kind that is running, which otherwise counts only when it ends.
        self.switch(self._kind)
        return dict(self._seconds)


def summary(seconds: dict[str, float]) -> str:
    """One line for the end of a run."""
    total = sum(seconds.values())
    parts = [f"{kind} {s:.1f} s" for kind, s in seconds.items() if s >= 0.05 and kind != "step"]
    goodput = seconds["step"] / max(total, 1e-9)
    return f"{total:.1f} s, {goodput:.0%} of it steps" + (f" ({', '.join(parts)})" if parts else "")
