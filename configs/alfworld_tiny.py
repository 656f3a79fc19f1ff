"""DuoMem in miniature on real ALFWorld games: trained on train, evaluated on valid_seen (140).

    duomem compare configs/alfworld_tiny.py

The games come from `$ALFWORLD_DATA/json_2.1.1` (`alfworld-download` puts them there) or from the
folder that DUOMEM_REAL_GAMES names. About two and a half hours of one slow core: 20 minutes to play
the 3,553 training games, 20 for each of six adapters, the rest for the players. The result is in
docs/results.md.
"""

from duomem_jax.experiments.experiment import Experiment
from duomem_jax.experiments.tiny import tiny_experiment


def get_experiment() -> Experiment:
    """Tiny teacher, tiny student, two recipes, three training seeds."""
    return tiny_experiment(
        title="DuoMem in miniature: ALFWorld valid_seen", output="runs/alfworld-tiny"
    )
