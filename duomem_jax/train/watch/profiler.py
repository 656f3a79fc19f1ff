"""A trace of some steps, for TensorBoard's or XProf's profile page."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

import jax

from duomem_jax.base.io import atomic_dir
from duomem_jax.train.state.state import TrainState


class Profiler:
    """Records updates `first` to `last` in a folder; none where `steps` is empty."""

    def __init__(self, folder: Path, steps: tuple[int, ...]):
        """Wait for the first of them; `steps` is (first, last).

        A folder that is there has the trace of an earlier start, which is kept.
        """
        wanted = steps and not folder.exists()
        self._folder, self._range = folder, range(steps[0], steps[1] + 1) if wanted else range(0)
        self._trace = contextlib.ExitStack()
        self._running = False

    @contextlib.contextmanager
    def step(self, step: int) -> Iterator[None]:
        """Around the dispatch of one update."""
        if step not in self._range:
            yield
            return
        if not self._running:
            # Only now: a run without a trace has no folder. Its name is temporary until the trace
            # ends.
            folder = self._trace.enter_context(atomic_dir(self._folder))
            jax.profiler.start_trace(str(folder))
            self._running = True
        # The viewer shows times by step only where steps are marked.
        with jax.profiler.StepTraceAnnotation("train", step_num=step):
            yield

    def after(self, step: int, state: TrainState) -> None:
        """End the trace once the last of its updates has been computed."""
        if self._running and step >= self._range[-1]:
            # Steps are dispatched by now, not computed: the trace would miss the last ones.
            jax.block_until_ready(state)
            self.close()

    def close(self) -> None:
        """End a trace that is under way."""
        if self._running:
            self._running = False
            # It writes the files, so it comes before the folder gets its name.
            jax.profiler.stop_trace()
            self._trace.close()
