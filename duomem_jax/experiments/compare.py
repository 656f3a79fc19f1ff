"""One command for every experiment: its config says which system is measured."""

from pathlib import Path

from duomem_jax.base.config import from_file
from duomem_jax.experiments.curve import LearningCurve, run_curve
from duomem_jax.experiments.experiment import Experiment
from duomem_jax.experiments.left_out import LeftOut, run_left_out
from duomem_jax.experiments.memories.experiment import MemoryExperiment
from duomem_jax.experiments.memories.run import run_memories
from duomem_jax.experiments.run import run_experiment
from duomem_jax.stages.options import Config


def compare(config: Config, /) -> Path:
    """Run a whole experiment: what is learnt from, an adapter for each seed, a table of all.

    Args:
        config: file whose get_experiment() returns an Experiment (of games), a LearningCurve (of
            games, with fewer and more episodes), a LeftOut (of games, without a kind of tasks) or a
            MemoryExperiment (of conversations), such as configs/alfworld.py,
            configs/alfworld_episodes.py, configs/two_spaces.py and configs/locomo.py; run it again
            after a crash, it resumes where it stopped.

    Returns:
        The path of report.md.

    Raises:
        UserError: bad input, or an output folder of another experiment.
    """
    experiment = load_experiment(Path(config))
    if isinstance(experiment, MemoryExperiment):
        return run_memories(experiment)
    if isinstance(experiment, LearningCurve):
        return run_curve(experiment)
    if isinstance(experiment, LeftOut):
        return run_left_out(experiment)
    return run_experiment(experiment)


def load_experiment(path: Path) -> Experiment | LearningCurve | LeftOut | MemoryExperiment:
    """Read `get_experiment()` of a file in configs/.

    Raises:
        UserError: no such file, or what it gives is no experiment.
    """
    found = from_file(path, "get_experiment", Experiment, LearningCurve, LeftOut, MemoryExperiment)
    # For mypy, which joins them to object.
    assert isinstance(found, Experiment | LearningCurve | LeftOut | MemoryExperiment)
    return found
