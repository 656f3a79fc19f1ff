"""The tiny teacher LM (1.1 M parameters), trained on the expert's play.

python -m duomem_jax.tiny teacher
"""

from duomem_jax.config import TrainConfig
from duomem_jax.tiny.start import pretraining


def get_config() -> TrainConfig:
    """About an hour on one slow core."""
    return pretraining("teacher", steps=4400)
