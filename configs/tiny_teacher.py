"""The tiny teacher LM (1.1 M parameters), trained on the expert's play.

python -m duomem_jax.tiny teacher
"""

from duomem_jax.tiny.start import pretraining
from duomem_jax.train.config import TrainConfig


def get_config() -> TrainConfig:
    """About an hour on one slow core."""
    return pretraining("teacher", steps=4400)
