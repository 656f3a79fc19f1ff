"""Text against logits for SmolLM2-135M, from a teacher that is a model: real ALFWorld games.

    duomem export runs/alfworld/merged --adapter runs/alfworld/adapters/lora/seed0/adapter --merged
    duomem compare configs/alfworld_logits.py

The teacher is the student of configs/alfworld.py that learnt from all training games. It plays 120
of them, twenty of each kind of task. Accelerator as there. Its adapters are for the memorization
audit, too (docs/audit.md).
"""

import dataclasses

from duomem_jax.experiments.alfworld import alfworld_experiment, alfworld_training
from duomem_jax.experiments.experiment import Experiment
from duomem_jax.experiments.recipe import Recipe
from duomem_jax.objectives.config import ObjectiveConfig


def get_experiment() -> Experiment:
    """Three seeds of each, in as many steps as in configs/alfworld_episodes.py."""
    whole = alfworld_experiment(
        title="Text against logits, SmolLM2-135M: ALFWorld valid_seen",
        output="runs/alfworld-logits",
        student="smollm2",
        train=alfworld_training(steps=340, global_batch=4),
    )
    return dataclasses.replace(
        whole,
        teacher="runs/alfworld/merged",
        train_games=dataclasses.replace(whole.train_games, per_kind=20),
        self_games=dataclasses.replace(whole.self_games, limit=6),
        recipes=(Recipe("text"), Recipe("forward KL", ObjectiveConfig("forward_kl"))),
    )
