"""An experiment on games that are generated first: one command from nothing to a table."""

import logging
import time
from dataclasses import dataclass

from duomem_jax.base.folder import claim_folder
from duomem_jax.experiments.experiment import Experiment
from duomem_jax.experiments.program import ending
from duomem_jax.experiments.run import KIND, run_experiment
from duomem_jax.stages.generate import generate

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Miniature:
    """An experiment and its games.

    Attributes:
        experiment: plays the games of these folders.
        train_games: how many are generated for training.
        test_games: and for the table.
    """

    experiment: Experiment
    train_games: int
    test_games: int


def run_miniature(small: Miniature, steps: str) -> str:
    """Generate the games, run the experiment.

    Args:
        small: what is run.
        steps: what to run next, as in `next_steps`.

    Returns:
        The report, and what to run next.

    Raises:
        UserError: the output folder is of another version, or the disk is full.
    """
    start = time.monotonic()
    e = small.experiment
    claim_folder(e.output, KIND)
    # Other seeds for training and test: the games differ.
    log.info(generate(e.train_games.path, count=small.train_games, seed=1))
    log.info(generate(e.test_games.path, count=small.test_games, seed=2))
    report = run_experiment(e)
    return ending(report, "success.png", time.monotonic() - start, steps)
