"""Do memories and adapters add up? The tiny student on real ALFWorld games it was not trained for.

    duomem compare configs/two_spaces.py

Each of the six kinds of tasks is left out once: adapters learn the other five, and play all 140
games of valid_seen with memories of all six. One recipe is the usual one; the other one keeps
reading. 36 adapters of 900 steps: about three hours of two cores. Games as in
configs/alfworld_tiny.py. The result, and what led to the second recipe, is in docs/two_spaces.md.
"""

import dataclasses

from duomem_jax.experiments.left_out import LeftOut
from duomem_jax.experiments.tiny import tiny_experiment


def get_experiment() -> LeftOut:
    """All six kinds, two recipes, three training seeds."""
    whole = tiny_experiment(
        title="Two spaces in miniature: ALFWorld valid_seen", output="runs/two-spaces"
    )
    kinds = tuple(whole.test_games.open_world().kinds.values())
    return LeftOut(dataclasses.replace(whole, workers=2), kinds)
