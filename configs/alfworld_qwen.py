"""As configs/alfworld.py, with a student of 0.5 billion parameters.

    duomem compare configs/alfworld_qwen.py

Qwen2.5-Coder-0.5B-Instruct; DUOMEM_MODEL names another copy of it, or another model.
"""

import os

from duomem_jax.experiments.alfworld import alfworld_experiment, alfworld_training
from duomem_jax.experiments.experiment import Experiment


def get_experiment() -> Experiment:
    """Twice through the episodes, at half the learning rate of SmolLM2-135M."""
    return alfworld_experiment(
        title="DuoMem with Qwen2.5-Coder-0.5B: ALFWorld valid_seen",
        output="runs/alfworld-qwen",
        student=os.environ.get("DUOMEM_MODEL", "Qwen/Qwen2.5-Coder-0.5B-Instruct"),
        train=alfworld_training(steps=240, global_batch=8, learning_rate=5e-4),
    )
