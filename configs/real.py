"""The adapter of `make real`, which trains it among other things.

python train.py --config configs/real.py --output runs/my-adapter --lora.rank 8
"""

from duomem_jax.experiments.real import real_training
from duomem_jax.train.config import TrainConfig


def get_config() -> TrainConfig:
    """LoRA on SmolLM2-135M-Instruct, on the examples that `duomem real` has made."""
    return real_training("runs/real")
