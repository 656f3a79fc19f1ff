"""The experts of `duomem remember`, trained on their own.

python train.py --config configs/remember.py --output runs/my-expert --lora.rank 8
"""

from duomem_jax.experiments.remember import remember_training
from duomem_jax.train.config import TrainConfig


def get_config() -> TrainConfig:
    """The expert of extraction; --data says which operation is learnt."""
    return remember_training("runs/remember")
