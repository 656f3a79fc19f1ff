"""Tasks that arrive after training: show memories of them, train on, or train again?

    duomem compare configs/drift.py

Adapters of the tiny student have not learnt *heat*, or *put two*, or to put things on countertops.
Then the teacher plays 24 such games. Real ALFWorld games as in configs/alfworld_tiny.py. Some two
hours of two cores; the result is in docs/two_spaces.md.
"""

import dataclasses

from duomem_jax.experiments.drift import Drift
from duomem_jax.experiments.left_out import LeftOut
from duomem_jax.experiments.tiny import tiny_experiment


def get_experiment() -> Drift:
    """Three arrivals, two recipes, two training seeds."""
    whole = tiny_experiment(title="Drift in miniature: ALFWorld valid_seen", output="runs/drift")
    study = dataclasses.replace(whole, seeds=(0, 1), workers=2)
    return Drift(LeftOut(study, ("heat", "put two", "countertop")))
