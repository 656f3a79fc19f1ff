"""How many of the teacher's episodes a student needs: SmolLM2-135M on real ALFWorld games.

    duomem compare configs/alfworld_episodes.py

From one episode of each of the six kinds of tasks to fifty. Three draws of episodes, each with a
training seed of its own; all adapters are trained in as many steps. Games and accelerator as in
configs/alfworld.py.
"""

import dataclasses

from duomem_jax.experiments.alfworld import alfworld_experiment, alfworld_training
from duomem_jax.experiments.curve import LearningCurve
from duomem_jax.experiments.recipe import Recipe


def get_experiment() -> LearningCurve:
    """6, 12, 24, 60, 120 and 300 episodes."""
    whole = alfworld_experiment(
        title="Few episodes, SmolLM2-135M: ALFWorld valid_seen",
        output="runs/alfworld-episodes",
        student="smollm2",
        train=alfworld_training(steps=340, global_batch=4),
    )
    few = dataclasses.replace(whole, recipes=(Recipe(),), workers=4)
    return LearningCurve(few, per_kind=(1, 2, 4, 10, 20, 50))
