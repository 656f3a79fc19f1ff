"""The quick start's adapter; `make quickstart` trains it among other things.

python train.py --config configs/quickstart.py --output runs/my-adapter --lora.rank 4
"""

from duomem_jax.experiments.quickstart import quickstart_training
from duomem_jax.train.config import TrainConfig


def get_config() -> TrainConfig:
    """LoRA on the tiny student, on the examples that `duomem quickstart` has made."""
    return quickstart_training("runs/quickstart")
