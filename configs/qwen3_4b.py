"""A LoRA adapter for Qwen3-4B on a TPU slice, with text or with a teacher's stored targets.

tpu/babysit.sh my.env

The data are packed by the student's tokenizer, in rows of 4,096 tokens (docs/tpu.md). One row a
chip: for another slice than v5e-16 give `--global_batch` with as many rows as it has chips, or a
multiple; another student of the hub goes in by `--base`. What a slice has room for is known before
it is paid: `duomem compile-check configs/qwen3_4b.py --topology v5e-16` (docs/aot.md).
"""

from duomem_jax.models.lora import LoraConfig
from duomem_jax.train.config import OptimizerConfig, TrainConfig


def get_config() -> TrainConfig:
    """For 16 chips with 16 GiB each; the base is on every chip."""
    return TrainConfig(
        base="Qwen/Qwen3-4B",
        data="inputs/alfworld-qwen3",
        output="runs/qwen3-4b",
        lora=LoraConfig(rank=16, alpha=32.0),
        optimizer=OptimizerConfig(learning_rate=2e-4, warmup_steps=50),
        steps=1000,
        global_batch=16,
        dtype="bfloat16",
        remat=True,
        checkpoint_every=50,
    )
