"""The loop of a run: a batch ahead, metrics a step behind, checkpoints, the end when told."""

import contextlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax

from duomem_jax.base.config import to_dict
from duomem_jax.base.errors import StoppedError
from duomem_jax.base.io import as_path
from duomem_jax.mesh.hosts import is_first
from duomem_jax.train.config import TrainConfig
from duomem_jax.train.state.checkpoint import Checkpoints
from duomem_jax.train.state.optimizer import make_schedule
from duomem_jax.train.state.state import TrainState
from duomem_jax.train.state.step import Frozen
from duomem_jax.train.validation import HeldOut
from duomem_jax.train.watch.goodput import Stopwatch
from duomem_jax.train.watch.metrics import MetricsLog
from duomem_jax.train.watch.preemption import notice
from duomem_jax.train.watch.profiler import Profiler
from duomem_jax.train.watch.writers import open_writers

Metrics = dict[str, tuple[Any, Any]]  # name -> (sum, weight)
Fetch = Callable[[int, Any], tuple[dict[str, Any], Metrics]]
"""From steps done and trained tree to (the next global batch, metrics of how it was made)."""


@dataclass(frozen=True)
class Loop:
    """What the steps of a run need besides the state.

    Attributes:
        config: of the run.
        step: from `train.state.step.jit_step`.
        frozen: its second argument.
        fetch: gives the batches.
        saver: takes the checkpoints.
        held_out: rows whose loss is taken with each checkpoint, or None.
        watch: counts the time.
    """

    config: TrainConfig
    step: Any
    frozen: Frozen
    fetch: Fetch
    saver: Checkpoints
    held_out: HeldOut | None
    watch: Stopwatch

    def run(self, state: TrainState) -> TrainState:
        """Do the remaining steps.

        A step is dispatched, the next batch is made while it runs, and only then are the metrics
        of the step before read: the device never waits for this process.

        Raises:
            StoppedError: the machine is to be taken away; the state is saved.
        """
        start, steps, watch = int(state.step), self.config.steps, self.watch
        host = as_path(self.config.output) / "profile" / f"host-{jax.process_index()}"
        profiler = Profiler(host, self.config.profile)
        before: Metrics | None = None
        with notice() as to_end, self._log(start) as log, contextlib.closing(profiler):
            ahead = self._next(start, state) if start < steps else None
            for step in range(start + 1, steps + 1):
                assert ahead is not None
                batch, made = ahead
                with watch.during("compile" if step == start + 1 else "step"), profiler.step(step):
                    state, metrics = self.step(state, self.frozen, batch)
                ahead = self._next(step, state) if step < steps else None
                watch.switch("step")
                if before is not None:
                    log.add(step - 1, before)
                profiler.after(step, state)
                before, ends = metrics | made, to_end(step)
                if ends or self._due(step):
                    self._checkpoint(step, state, before, log)
                    before = None
                if ends and step < steps:
                    self.saver.wait()
                    raise StoppedError(f"told to end; saved at step {step}, run it again to go on")
            with watch.during("checkpoint"):
                self.saver.wait()
        return state

    def _next(self, done: int, state: TrainState) -> tuple[dict[str, Any], Metrics]:
        with self.watch.during("data"):
            return self.fetch(done, state.params)

    def _due(self, step: int) -> bool:
        return self.saver.due(step) or step == self.config.steps

    def _checkpoint(self, step: int, state: TrainState, metrics: Metrics, log: MetricsLog) -> None:
        """Record this step first: a run that goes on from a checkpoint has the records up to it."""
        loss = None
        if self.held_out is not None and self._due(step):
            with self.watch.during("eval"):
                loss = self.held_out.loss(state.params, self.frozen)
            metrics |= {"validation_loss": (loss, 1)}
        log.add(step, metrics)
        log.flush()
        with self.watch.during("checkpoint"):
            self.saver.save(step, state, loss)

    def _log(self, start: int) -> contextlib.closing[MetricsLog]:
        config, writers = self.config, []
        if is_first():
            output = as_path(config.output)
            writers = open_writers(config.writers, output, start, to_dict(config))
        log = MetricsLog(
            writers,
            self.watch,
            start=start,
            steps=config.steps,
            every=config.log_every,
            rate=make_schedule(config.optimizer, config.steps),
        )
        return contextlib.closing(log)
