"""Histories as pictures: notes that are looked at, beside as many tokens of their text.

    python -m duomem_jax.tiny.seer runs/seer/tiny --words
    duomem compare configs/written.py

The tiny model that sees; DUOMEM_MODEL names another one. Notes of three, six and nine lines, each
on one picture; not run yet.
"""

import os

from duomem_jax.experiments.written.experiment import Written
from duomem_jax.models.lora import LoraConfig
from duomem_jax.speak.open import Local
from duomem_jax.train.config import OptimizerConfig, TrainConfig


def get_experiment() -> Written:
    """Three training seeds; experts of four views."""
    return Written(
        title="Histories as pictures, in miniature",
        output="runs/written",
        model=os.environ.get("DUOMEM_MODEL", "runs/seer/tiny/model"),
        train=TrainConfig(
            base="",
            data="",
            output="",
            lora=LoraConfig(rank=8, alpha=16.0),
            optimizer=OptimizerConfig(learning_rate=3e-3, warmup_steps=10),
            steps=200,
            global_batch=8,
            checkpoint_every=100,
        ),
        local=Local(tiles="one"),
        seeds=(0, 1, 2),
    )
