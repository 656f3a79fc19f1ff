"""A LoRA adapter for a small real student, SmolLM2-135M-Instruct, on one accelerator.

python train.py --config configs/smollm2_135m.py

The rows are those of `duomem examples` with the student's own tokenizer, --how.system @play and
--how.length 2048 (docs/students.md).

Plain AdamW at 1e-3: the quick start's Muon at 1e-2 is for a model of one million parameters. On a
processor give `--global_batch 2` and fewer steps. For a larger student lower
`--optimizer.learning-rate`, to 2e-4 at four billion parameters (configs/qwen3_4b.py).
"""

from duomem_jax.models.lora import LoraConfig
from duomem_jax.train.config import OptimizerConfig, TrainConfig


def get_config() -> TrainConfig:
    """16 rows of 2,048 tokens a step."""
    return TrainConfig(
        base="HuggingFaceTB/SmolLM2-135M-Instruct",
        data="runs/smollm2/examples",
        output="runs/smollm2/adapter",
        lora=LoraConfig(rank=16, alpha=32.0),
        optimizer=OptimizerConfig(learning_rate=1e-3, warmup_steps=20),
        steps=340,
        global_batch=16,
        dtype="bfloat16",
        checkpoint_every=100,
    )
