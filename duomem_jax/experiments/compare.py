"""One command for every experiment: its config says which system is measured."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from duomem_jax.base.config import from_file
from duomem_jax.experiments.curve import LearningCurve, run_curve
from duomem_jax.experiments.drift import Drift, run_drift
from duomem_jax.experiments.experiment import Experiment
from duomem_jax.experiments.left_out import LeftOut, run_left_out
from duomem_jax.experiments.memories.experiment import MemoryExperiment
from duomem_jax.experiments.memories.run import run_memories
from duomem_jax.experiments.run import run_experiment
from duomem_jax.experiments.written.experiment import Written
from duomem_jax.experiments.written.run import run_written
from duomem_jax.stages.options import Config

# One line per experiment: its options, and what runs it and returns the path of report.md.
EXPERIMENTS: Mapping[type, Callable[[Any], Path]] = {
    Experiment: run_experiment,
    LearningCurve: run_curve,
    LeftOut: run_left_out,
    Drift: run_drift,
    MemoryExperiment: run_memories,
    Written: run_written,
}


def compare(config: Config, /) -> Path:
    """Run a whole experiment: what is learnt from, an adapter for each seed, a table of all.

    Args:
        config: file whose get_experiment() returns an Experiment (of games), a LearningCurve (of
            games, with fewer and more episodes), a LeftOut (of games, without a kind of tasks), a
            Drift (of games, with tasks that arrive later), a MemoryExperiment (of conversations)
            or a Written (of histories as pictures), such as configs/alfworld.py,
            configs/alfworld_episodes.py, configs/two_spaces.py, configs/drift.py,
            configs/locomo.py and configs/written.py; run it again after a crash, it resumes where
            it stopped.

    Returns:
        The path of report.md.

    Raises:
        UserError: bad input, or an output folder of another experiment.
    """
    experiment = load_experiment(Path(config))
    return EXPERIMENTS[type(experiment)](experiment)


def load_experiment(path: Path) -> Any:
    """Read `get_experiment()` of a file in configs/: one of `EXPERIMENTS`.

    Raises:
        UserError: no such file, or what it gives is no experiment.
    """
    return from_file(path, "get_experiment", *EXPERIMENTS)
