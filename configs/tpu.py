"""LoRA on a student of the hub on TPUs, rows of 4,096 tokens, text targets.

python train.py --config configs/tpu.py --data runs/examples --output runs/adapter

`duomem compile-check configs/tpu.py --topology v5e-16` says what it needs before a TPU is paid for
(docs/aot.md); `--base`, `--global-batch` and the other fields are replaced as in any config.
"""

from duomem_jax.config import OptimizerConfig, TrainConfig
from duomem_jax.lora.config import LoraConfig


def get_config() -> TrainConfig:
    """Qwen3-4B, one row a chip of a v5e-16."""
    return TrainConfig(
        base="Qwen/Qwen3-4B",
        data="runs/examples",
        output="runs/adapter",
        lora=LoraConfig(rank=16, alpha=32.0),
        optimizer=OptimizerConfig(learning_rate=2e-4, warmup_steps=20),
        steps=1000,
        global_batch=16,
        dtype="bfloat16",
        remat=True,
    )
