"""How far long work is: a bar on a terminal, a line now and then elsewhere."""

import sys
import time
from typing import Any, TextIO

from duomem_jax.base.terminal import say

EVERY = 30.0  # seconds between lines where there is no terminal


class Progress:
    """Counts games or other units; a context manager, `add` is called for each finished one.

    Attributes:
        total: units there will be; may be corrected on the way.
    """

    def __init__(
        self,
        total: int,
        label: str,
        stream: TextIO | None = None,
        good: str = "won",
        unit: str = "game",
    ):
        """Report on `total` units as `label`.

        Args:
            total: how many.
            label: what is being done.
            stream: standard error by default.
            good: what is said of units that went well; "" where all do.
            unit: what is counted.
        """
        self.total, self._label, self._good, self._unit = total, label, good, unit
        self._stream = stream or sys.stderr
        self._done = self._won = 0
        self._bar: Any = None

    def __enter__(self) -> "Progress":
        self._start = self._last = time.monotonic()
        # Elsewhere than on a terminal, a bar's redraws would fill the log.
        if self._stream.isatty():
            from tqdm import tqdm

            self._bar = tqdm(total=self.total, desc=self._label, unit=self._unit, file=self._stream)
        return self

    def __exit__(self, *exc_info: object) -> None:
        if self._bar is not None:
            self._bar.close()
        # The last line, whenever the last one was; a run with nothing to do says nothing.
        elif self._done:
            self._print()

    def add(self, won: bool = True) -> None:
        """One more unit is over."""
        self._done += 1
        self._won += won
        if self._bar is not None:
            self._bar.total = self.total
            if self._good:
                # Not drawn by itself: `update` draws, and no more often than tqdm's own interval.
                self._bar.set_postfix_str(f"{self._won} {self._good}", refresh=False)
            self._bar.update()
        # The final state is left to `__exit__`, or it would be said twice.
        elif time.monotonic() - self._last >= EVERY and self._done < self.total:
            self._print()

    def _print(self) -> None:
        self._last = now = time.monotonic()
        passed = now - self._start
        well = f" {self._won} {self._good}," if self._good else ""
        done = f"{self._label}: {self._done}/{self.total} {self._unit}s,{well}"
        # Of an instant a rate says nothing.
        rate = f"{60 * self._done / passed:.1f} {self._unit}s/min" if passed >= 1 else ""
        if self._done < self.total and rate:
            left = (self.total - self._done) * passed / self._done
            text = f"{done} {rate}, {left:.0f} s left"
        else:
            text = f"{done} {passed:.1f} s" + (f", {rate}" if rate else "")
        say(text, self._stream)
