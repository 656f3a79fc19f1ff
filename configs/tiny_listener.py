"""The tiny listener (1.3 M parameters), a base for the experts of a memory.

python -m duomem_jax.tiny listener
"""

import dataclasses

from duomem_jax.tiny.start import pretraining
from duomem_jax.train.config import TrainConfig


def get_config() -> TrainConfig:
    """Seven minutes on a GPU that others shared; some hours on one core."""
    return dataclasses.replace(pretraining("listener", steps=8000), global_batch=8)
