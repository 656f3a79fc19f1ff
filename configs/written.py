"""Histories as pictures: notes that are looked at, beside as many tokens of their text.

    duomem compare configs/written.py

The tiny model that sees; DUOMEM_MODEL names another one. Notes of three, six and nine lines, each
on one picture; not run yet.
"""

import os

from duomem_jax.experiments.tiny import tiny_training
from duomem_jax.experiments.written.experiment import Written
from duomem_jax.models.shipped import model_folder
from duomem_jax.speak.open import Local


def get_experiment() -> Written:
    """Three training seeds; experts of four views."""
    return Written(
        title="Histories as pictures, in miniature",
        output="runs/written",
        model=os.environ.get("DUOMEM_MODEL", str(model_folder("tiny-seer"))),
        train=tiny_training(steps=200, warmup_steps=10),
        local=Local(tiles="one"),
        seeds=(0, 1, 2),
        workers=2,
    )
