"""An expert of one operation on memories, for SmolLM2-135M-Instruct.

python train.py --config configs/memlora.py

The rows are those of `duomem demonstrations` and `duomem examples` (docs/memlora.md). As in MemLoRA
(arXiv 2512.04763), rank 8 and alpha 16; give `--lora.targets q_proj v_proj` for extraction and
update. Plain AdamW at 1e-3, 60 steps of two rows: for two cores. Give more of both on an
accelerator, and `--validation` rows with `--patience`.
"""

from duomem_jax.models.lora import LoraConfig
from duomem_jax.train.config import OptimizerConfig, TrainConfig


def get_config() -> TrainConfig:
    """Two rows of 1,024 tokens a step."""
    return TrainConfig(
        base="HuggingFaceTB/SmolLM2-135M-Instruct",
        data="runs/memlora/answer-rows",
        output="runs/memlora/answer-expert",
        lora=LoraConfig(rank=8, alpha=16.0),
        optimizer=OptimizerConfig(learning_rate=1e-3, warmup_steps=5),
        steps=60,
        global_batch=2,
        checkpoint_every=60,
    )
