"""As configs/two_spaces.py, with SmolLM2-135M-Instruct.

    duomem compare configs/two_spaces_smollm2.py

For one accelerator, as configs/alfworld.py; not run yet.
"""

from duomem_jax.experiments.alfworld import alfworld_experiment, alfworld_training
from duomem_jax.experiments.left_out import LeftOut


def get_experiment() -> LeftOut:
    """All six kinds, two recipes, three training seeds."""
    whole = alfworld_experiment(
        title="Two spaces, SmolLM2-135M: ALFWorld valid_seen",
        output="runs/two-spaces-smollm2",
        student="smollm2",
        train=alfworld_training(steps=340, global_batch=16),
    )
    kinds = tuple(whole.test_games.open_world().kinds.values())
    return LeftOut(whole, kinds)
