"""The quick start's adapter; `make quickstart` trains it among other things.

python train.py --config configs/quickstart.py --output runs/my-adapter --lora.rank 4
"""

from duomem_jax.config import TrainConfig
from duomem_jax.quickstart import quickstart_training


def get_config() -> TrainConfig:
    """LoRA on the tiny student, on the examples that `duomem quickstart` has made."""
    return quickstart_training("runs/quickstart")
