"""The tiny teacher LM (2 M parameters), pretrained on the expert's play.

python -m duomem_jax.tiny.rows tokenizer runs/tiny/tokenizer
python -m duomem_jax.tiny.rows teacher runs/tiny/teacher-rows
python train.py --config configs/tiny_teacher.py
"""

from duomem_jax.config import OptimizerConfig, TrainConfig
from duomem_jax.models.config import ModelConfig


def get_config() -> TrainConfig:
    """About an hour on one core."""
    return TrainConfig(
        base="runs/tiny/tokenizer",
        data="runs/tiny/teacher-rows",
        output="runs/tiny/teacher",
        trainable="all",
        model=ModelConfig(
            family="qwen3",
            vocab_size=720,  # the tokenizer has 707
            d_model=192,
            n_layers=4,
            n_heads=4,
            n_kv_heads=2,
            head_dim=48,
            d_ff=640,
            rope_theta=10_000.0,
        ),
        optimizer=OptimizerConfig(
            name="muon", learning_rate=7e-3, schedule="linear", warmup_steps=50
        ),
        steps=4000,
        global_batch=4,
        checkpoint_every=250,
    )
