"""The loop of a run: a batch ahead, metrics a step behind, checkpoints, the end when told."""

import contextlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax

from duomem_jax.config import TrainConfig, to_dict
from duomem_jax.errors import StoppedError
from duomem_jax.io import as_path
from duomem_jax.train.checkpoint import Checkpoints
from duomem_jax.train.goodput import Stopwatch
from duomem_jax.train.held_out import HeldOut
from duomem_jax.train.hosts import is_first
from duomem_jax.train.metrics import MetricsLog
from duomem_jax.train.optimizer import make_schedule
from duomem_jax.train.preemption import notice
from duomem_jax.train.profiler import Profiler
from duomem_jax.train.state import TrainState
from duomem_jax.train.step import Frozen
from duomem_jax.train.writers import open_writers

Fetch = Callable[[int, Any], tuple[dict[str, Any], dict[str, Any]]]
"""From steps done and trained tree to (the next global batch, metrics of how it was made)."""


@dataclass(frozen=True)
class Loop:
    """What the steps of a run need besides the state.

    Attributes:
        config: of the run.
        step: from `train.step.jit_step`.
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
        before = None
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
                    if self.saver.due(step - 1):
                        log.flush()  # a run that goes on from there needs these records
                profiler.after(step, state)
                before = metrics | made | self._save(step, state, ends := to_end(step))
                if ends and step < steps:
                    raise StoppedError(f"told to end; saved at step {step}, run it again to go on")
            if before is not None:
                log.add(steps, before)
            with watch.during("checkpoint"):
                self.saver.wait()
        return state

    def _next(self, done: int, state: TrainState) -> tuple[dict[str, Any], dict[str, Any]]:
        with self.watch.during("data"):
            return self.fetch(done, state.params)

    def _save(self, step: int, state: TrainState, ends: bool) -> dict[str, tuple[float, int]]:
        """Take a checkpoint where one is due; returns the loss on held-out rows."""
        loss, due = None, self.saver.due(step) or step == self.config.steps
        if due and self.held_out is not None:
            with self.watch.during("eval"):
                loss = self.held_out.loss(state.params, self.frozen)
        if due or ends:
            with self.watch.during("checkpoint"):
                self.saver.save(step, state, loss)
                if ends:
                    self.saver.wait()
        return {} if loss is None else {"validation_loss": (loss, 1)}

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
