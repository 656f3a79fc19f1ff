"""Metrics of a run: sums over some steps, the time these took, and what the reader sees."""

import logging
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import jax
from tqdm import tqdm

from duomem_jax.mesh.chips import CHIPS
from duomem_jax.train.watch.goodput import Stopwatch
from duomem_jax.train.watch.writers import MetricsWriter, Record

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Mark:
    """Where the stopwatch stood right after the dispatch of a step, before the next batch was made.

    Metrics are read later, when time of the next step has passed, too: a window that ended there
    would hold time of another step than its own, and the last one of a run hardly any.

    Attributes:
        data: seconds of fetching batches, this step's included.
        step: seconds of steps, this one included; None: the device is still computing it, and its
            metrics will be read when it is done.
    """

    data: float
    step: float | None

    @classmethod
    def of(cls, watch: Stopwatch, loss: Any) -> "Mark":
        """Take the time after a dispatch that is to give `loss`."""
        now = watch.seconds()
        # Some devices, such as CPUs, have computed a step when its dispatch returns.
        return cls(now["data"], now["step"] if loss.is_ready() else None)


class MetricsLog:
    """Sums metrics over a window of steps and gives one record a window to the writers.

    `add` is called with the metrics of the step before the one just dispatched, so reading
    them does not stall the device.
    """

    def __init__(
        self,
        writers: Sequence[MetricsWriter],
        watch: Stopwatch,
        *,
        start: int,
        steps: int,
        every: int,
        rate: Callable[[int], float | jax.Array],
    ):
        """Open the log.

        Args:
            writers: of records; none on the other hosts, which then neither write nor print.
            watch: of the run.
            start: steps done.
            steps: steps of the whole run.
            every: steps a record.
            rate: learning rate of an update, by steps done before it.
        """
        self._writers, self._watch = writers, watch
        self._steps, self._every, self._rate = steps, every, rate
        self._sums: dict[str, list[float]] = {}  # name -> [sum, weight] since the last record
        # As if `init` had not been counted yet: the first record is to say how long it took.
        self._seconds = watch.seconds() | {"init": 0.0}
        # Of a first step that was computed while it was compiled: tokens, operations and seconds of
        # data, which a rate must not count.
        self._compiled = {"tokens": 0.0, "flops": 0.0, "data": 0.0}
        self._began, self._start = time.perf_counter(), start
        self._bar = _bar(start, steps) if writers else None

    def add(
        self, step: int, metrics: dict[str, tuple[float, float]], mark: Mark | None = None
    ) -> None:
        """Count in an update; report when due.

        Args:
            step: its number, from 1.
            metrics: its (sum, weight) pairs.
            mark: the time when it was dispatched; None: its time ends now.
        """
        for name, (value, weight) in metrics.items():
            total = self._sums.setdefault(name, [0.0, 0.0])
            total[0] += value
            total[1] += weight
        if self._bar is not None:
            self._bar.update(1)
        # The first step's metrics have been read, so it is compiled and computed.
        if step == self._start + 1 and self._writers:
            self._tell_first(metrics, mark)
        if self._writers and (step % self._every == 0 or step == self._steps):
            self._report(step, self._until(mark))

    def end(self, step: int) -> None:
        """Report what is left of a run that ends before its last step, after `step`."""
        if self._writers and self._sums:
            self._report(step, self._until(None))

    def _until(self, mark: Mark | None) -> dict[str, float]:
        """Seconds so far by kind, up to the end of a step."""
        now = self._watch.seconds()
        if mark is not None:
            now["data"] = mark.data
            if mark.step is not None:
                now["step"] = mark.step
        return now

    def _tell_first(self, metrics: dict[str, tuple[float, float]], mark: Mark | None) -> None:
        now = self._watch.seconds()
        if mark is not None and mark.step is not None:
            now = self._until(mark)
            self._compiled = {name: metrics[name][0] for name in ("tokens", "flops")}
            self._compiled["data"] = now["data"] - self._seconds["data"]
        # Once a start, so it is in the first record only.
        self._sums["first_step_seconds"] = [sum(now.values()), 1.0]
        if self._bar is None:
            total, init, compile_ = sum(now.values()), now["init"], now["compile"]
            log.info(f"first step after {total:.1f} s: init {init:.1f}, compile {compile_:.1f}")

    def _report(self, step: int, now: dict[str, float]) -> None:
        record = self._record(step, now)
        rounded = {name: float(f"{value:.6g}") for name, value in record.items()}
        for writer in self._writers:
            writer.write(step, rounded)
        text = f"loss {record['loss']:.4f}  {record['tokens_per_s']:,.0f} tokens/s"
        if "mfu" in record:
            text += f"  MFU {record['mfu']:.0%}"
        if self._bar is not None:
            self._bar.set_postfix_str(text)
        else:
            spent = time.perf_counter() - self._began
            # By the steps of this start, as `spent` is its time.
            left = spent / (step - self._start) * (self._steps - step)
            log.info(f"step {step}/{self._steps}  {text}  left {_clock(left)}")
        self._sums = {}

    def _record(self, step: int, now: dict[str, float]) -> Record:
        record = {name: s / max(w, 1e-9) for name, (s, w) in self._sums.items()}
        # A schedule counts the updates done before, and steps are numbered from 1.
        record["learning_rate"] = float(self._rate(step - 1))
        # Since the last record, so that records can be added up.
        spent = {kind: s - self._seconds.get(kind, 0.0) for kind, s in now.items()}
        self._seconds = now
        tokens, flops = self._rates(step, spent)
        del record["flops"]  # its mean says little; what counts is how many there were a second
        # Without `init`, which each restart pays again: the sum over records is what training took.
        record["seconds"] = sum(spent.values()) - spent["init"]
        record |= {f"{kind}_seconds": s for kind, s in spent.items()}
        record["tokens_per_s"] = tokens
        record["tflops_per_s"] = flops / 1e12
        return record | _device(flops)

    def _rates(self, step: int, spent: dict[str, float]) -> tuple[float, float]:
        """(tokens, operations) a second of this window."""
        tokens, flops = (self._sums[name][0] for name in ("tokens", "flops"))
        # Without checkpoints and compilation, which fall into some windows and not into others.
        running = spent["step"] + spent["data"]
        compiled, self._compiled = self._compiled, dict.fromkeys(self._compiled, 0.0)
        if compiled["tokens"] and step == self._start + 1:
            running += spent["compile"]  # there is no other step: all of its time, then
        else:
            tokens -= compiled["tokens"]
            flops -= compiled["flops"]
            running -= compiled["data"]
        return tokens / max(running, 1e-9), flops / max(running, 1e-9)

    def flush(self) -> None:
        """See that a kill costs no record so far."""
        for writer in self._writers:
            writer.flush()

    def close(self) -> None:
        """Leave the terminal tidy."""
        for writer in self._writers:
            writer.close()
        if self._bar is not None:
            self._bar.close()


def _device(flops: float) -> Record:
    """What only some devices tell: share of their peak, and memory in use at most."""
    found, here = {}, jax.local_devices()
    chip = CHIPS.get(here[0].device_kind)
    if chip is not None:
        found["mfu"] = flops / (jax.device_count() * chip.flops)
    # `memory_stats` gives None on a CPU; other devices may lack the number.
    peaks = [(device.memory_stats() or {}).get("peak_bytes_in_use", 0) for device in here]
    if max(peaks):
        found["memory_peak_mib"] = max(peaks) / 2**20
    return found


def _clock(seconds: float) -> str:
    minutes, s = divmod(round(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02}:{s:02}"


def _bar(start: int, steps: int) -> tqdm | None:
    """A progress bar with rate and time left on a terminal, else None."""
    if not sys.stderr.isatty():
        return None
    return tqdm(total=steps, initial=start, unit="step", desc="train", dynamic_ncols=True)
