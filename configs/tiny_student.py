"""The tiny student base (0.7 M parameters), trained on wandering and on made-up tasks.

python -m duomem_jax.tiny student
"""

from duomem_jax.tiny.start import pretraining
from duomem_jax.train.config import TrainConfig


def get_config() -> TrainConfig:
    """About an hour on one slow core."""
    return pretraining("student", steps=4200)
