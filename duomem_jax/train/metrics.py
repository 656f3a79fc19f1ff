"""Metrics of a run: (sum, weight) pairs, a JSON Lines file, a line or a bar for the reader."""

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from duomem_jax.io import atomic_write_text
from duomem_jax.train.disk import explain_full_disk


class MetricsLog:
    """Sums metrics over a window of steps and writes one record a window.

    `add` is called with the metrics of the step before the one just dispatched, so reading
    them does not stall the device.
    """

    def __init__(
        self, path: Path | None, *, start: int, steps: int, every: int, rate: Callable[[int], Any]
    ):
        """Open the log.

        Args:
            path: JSON Lines file; records after step `start` (of a killed run) are dropped. None:
                another host writes and tells.
            start: steps done.
            steps: steps of the whole run.
            every: steps a record.
            rate: learning rate of an update, by steps done before it.
        """
        self._path, self._steps, self._every, self._rate = path, steps, every, rate
        self._keep_until(start)
        self._sums: dict[str, list[float]] = {}
        self._began = self._window = time.perf_counter()
        self._start, self._bar = start, _bar(start, steps) if path else None

    def _keep_until(self, start: int) -> None:
        if self._path is not None and self._path.exists():
            whole = self._path.read_text().splitlines(keepends=True)
            lines = [x for x in whole if x.endswith("\n") and json.loads(x)["step"] <= start]
            atomic_write_text(self._path, "".join(lines))

    def add(self, step: int, metrics: dict[str, tuple[Any, Any]]) -> None:
        """Count in the metrics of update number `step` (from 1) and report when due."""
        for name, pair in metrics.items():
            total = self._sums.setdefault(name, [0.0, 0.0])
            total[0] += float(pair[0])
            total[1] += float(pair[1])
        if self._bar is not None:
            self._bar.update(1)
        if self._path is not None and (step % self._every == 0 or step == self._steps):
            self._report(step, self._path)

    def _report(self, step: int, path: Path) -> None:
        now = time.perf_counter()
        record = {name: s / max(w, 1e-9) for name, (s, w) in self._sums.items()}
        record["learning_rate"] = float(self._rate(step - 1))
        record["seconds"] = now - self._window
        record["tokens_per_s"] = self._sums["tokens"][0] / record["seconds"]
        rounded = {name: float(f"{value:.6g}") for name, value in record.items()}
        with explain_full_disk(path), open(path, "a") as f:
            f.write(json.dumps({"step": step} | rounded) + "\n")
        text = f"loss {record['loss']:.4f}  {record['tokens_per_s']:,.0f} tokens/s"
        if self._bar is not None:
            self._bar.set_postfix_str(text)
        else:
            left = (now - self._began) / (step - self._start) * (self._steps - step)
            print(f"step {step}/{self._steps}  {text}  left {_clock(left)}", flush=True)
        self._sums, self._window = {}, now

    def close(self) -> None:
        """Leave the terminal tidy."""
        if self._bar is not None:
            self._bar.close()


def _clock(seconds: float) -> str:
    minutes, s = divmod(round(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02}:{s:02}"


def _bar(start: int, steps: int) -> Any:
    """A progress bar with rate and time left on a terminal, else None."""
    if not sys.stderr.isatty():
        return None
    from tqdm import tqdm

    return tqdm(total=steps, initial=start, unit="step", desc="train", dynamic_ncols=True)
