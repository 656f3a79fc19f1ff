"""The loop of a run: a batch ahead, metrics a step behind, checkpoints, the end when told."""

import contextlib
import logging
import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp

from duomem_jax.base.config import to_dict
from duomem_jax.base.errors import StoppedError, UserError
from duomem_jax.base.io import as_path
from duomem_jax.mesh.hosts import is_first
from duomem_jax.train.config import TrainConfig
from duomem_jax.train.feed import Fed, Feed
from duomem_jax.train.state.checkpoint import Checkpoints
from duomem_jax.train.state.optimizer import make_schedule
from duomem_jax.train.state.state import TrainState, Tree
from duomem_jax.train.state.step import Frozen
from duomem_jax.train.validation import Validation
from duomem_jax.train.watch.goodput import Stopwatch
from duomem_jax.train.watch.metrics import Mark, MetricsLog
from duomem_jax.train.watch.preemption import notice
from duomem_jax.train.watch.profiler import Profiler
from duomem_jax.train.watch.writers import open_writers

logger = logging.getLogger(__name__)  # `log` is that of the metrics


class DivergedError(UserError):
    """The loss or the weights are no longer numbers."""


@dataclass(frozen=True)
class Update:
    """One update, dispatched but perhaps not computed yet.

    Attributes:
        step: its number, from 1.
        state: after it; the state before is gone (its buffers were donated).
        metrics: (sum, weight) pairs; reading one waits for the device.
        mark: the time when it was dispatched.
    """

    step: int
    state: TrainState
    metrics: dict[str, tuple[Any, Any]]
    mark: Mark


@dataclass(frozen=True)
class Loop:
    """What the steps of a run need besides the state.

    Attributes:
        config: of the run.
        step: from `train.state.step.jit_step`.
        frozen: its second argument.
        feed: gives the batches.
        saver: takes the checkpoints.
        validation: rows whose loss is taken with each checkpoint, or None.
        watch: counts the time.
    """

    config: TrainConfig
    step: Any
    frozen: Frozen
    feed: Feed
    saver: Checkpoints
    validation: Validation | None
    watch: Stopwatch

    def run(self, state: TrainState) -> TrainState:
        """Do the remaining steps.

        Raises:
            StoppedError: the machine is to be taken away; the state is saved.
            DivergedError: the loss is not a number; the last checkpoint is from before.
        """
        start = int(state.step)
        # Also a run that had ended early and is started again.
        if self._exhausted(start):
            return state
        output = as_path(self.config.output)
        # A folder for each host: they trace their own devices and would overwrite each other.
        host = output / "profile" / f"host-{jax.process_index()}"
        profiler = Profiler(host, self.config.profile)
        unread: Update | None = None
        with notice() as told_to_end, self._log(start) as log, contextlib.closing(profiler):
            for update in self._updates(state, profiler):
                # Metrics are read only once the next step is under way, so that the device never
                # waits for this process.
                if unread is not None:
                    self._record(unread, log)
                state, unread = update.state, update
                # After every step, not only at checkpoints: hosts agree on a step by the numbers
                # they ask about.
                ends = told_to_end(update.step)
                if ends or self._due(update.step):
                    self._checkpoint(update, log)
                    unread = None
                # A notice during the last step changes nothing: the run is complete.
                if ends and update.step < self.config.steps:
                    self.saver.wait()
                    raise StoppedError(
                        f"told to end; saved at step {update.step}, run it again to go on"
                    )
                if self._exhausted(update.step):
                    log.end(update.step)
                    break
            with self.watch.during("checkpoint"):
                self.saver.wait()
        return state

    def _updates(self, state: TrainState, profiler: Profiler) -> Iterator[Update]:
        """Every remaining update; the batch of the next one is made while it is computed."""
        start, steps, watch = int(state.step), self.config.steps, self.watch
        # A finished run that is started again has only to export.
        if start >= steps:
            return
        fed = self._fetch(start, state)
        for step in range(start + 1, steps + 1):
            # Calling the step compiles it, the first time, and otherwise returns before the device
            # is done.
            with watch.during("compile" if step == start + 1 else "step"), profiler.step(step):
                state, metrics = self.step(state, self.frozen, fed.batch)
            mark = Mark.of(watch, metrics["loss"][0])
            update = Update(step, state, metrics | fed.metrics, mark)
            # Not after the last step: with played rows it would play games that nobody learns from.
            if step < steps:
                fed = self._fetch(step, state)
            # From here on whatever is not counted otherwise is `step`; before the first one it was
            # `init`.
            watch.switch("step")
            profiler.after(step, state)
            yield update

    def _fetch(self, done: int, state: TrainState) -> Fed:
        with self.watch.during("data"):
            return self.feed.batch(done, state.params)

    def _exhausted(self, step: int) -> bool:
        """Whether the loss on validation rows has not become smaller for too long."""
        config = self.config
        if not config.patience or not self.saver.due(step) or not step:
            return False
        self.saver.wait()  # the loss of this step counts
        best = self.saver.best()
        if best is None or step - best < config.patience * config.checkpoint_every:
            return False
        where = config.validation
        logger.info(f"step {step}: no smaller loss on {where} since step {best}, so it ends")
        return True

    def _due(self, step: int) -> bool:
        # The last step always is, so that no metrics are left unread when the loop ends.
        return self.saver.due(step) or step == self.config.steps

    def _record(self, update: Update, log: MetricsLog) -> None:
        """Read the metrics of an update.

        Raises:
            DivergedError: they are not numbers.
        """
        # Each `float` waits for the device.
        metrics = {name: (float(s), float(w)) for name, (s, w) in update.metrics.items()}
        for name in ("loss", "grad_norm"):
            # Metrics are the same on all devices, so all hosts stop at the same step.
            if not math.isfinite(metrics[name][0]):
                raise self._diverged(update.step, f"{name} is {metrics[name][0]}")
        log.add(update.step, metrics, update.mark)

    def _checkpoint(self, update: Update, log: MetricsLog) -> None:
        """Record the step first: a run that resumes from a checkpoint has the records up to it."""
        state, loss = update.state, None
        # Not when told to end between two due steps: the best checkpoint is chosen among those that
        # an undisturbed run has too.
        if self.validation is not None and self._due(update.step):
            with self.watch.during("eval"):
                loss = self.validation.loss(state.params, self.frozen)
            if not math.isfinite(loss):
                raise self._diverged(update.step, f"loss on {self.config.validation} is {loss}")
            update.metrics["validation_loss"] = (loss, 1)
        self._record(update, log)
        # Even in a bucket, where records are otherwise sent now and then: see `JsonLines`.
        log.flush()
        # A finite loss says that the weights before this update were good, not those after it.
        if not bool(_all_finite(state.params)):
            raise self._diverged(update.step, "the trained weights are not finite")
        with self.watch.during("checkpoint"):
            self.saver.save(update.step, state, loss)

    def _diverged(self, step: int, what: str) -> DivergedError:
        # A save under way counts too: only weights that are finite are saved.
        kept = self.saver.latest()
        where = "no checkpoint was saved before"
        if kept is not None:
            where = f"the last good checkpoint is step {kept} in {self.config.output}/checkpoints"
        return DivergedError(
            f"step {step}: {what}, so training has diverged; {where}; lower "
            "optimizer.learning_rate and choose another output folder"
        )

    def _log(self, start: int) -> contextlib.closing[MetricsLog]:
        config = self.config
        # The other hosts run the same code, with a log that writes nothing.
        writers = []
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


@jax.jit
def _all_finite(tree: Tree) -> jax.Array:
    """Whether no number of a tree is infinite or NaN."""
    finite = [jnp.all(jnp.isfinite(x)) for x in jax.tree.leaves(tree)]
    return jnp.all(jnp.stack(finite))
