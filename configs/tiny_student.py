"""The tiny student base (1 M parameters), pretrained on wandering and on made-up tasks.

python -m duomem_jax.tiny.rows tokenizer runs/tiny/tokenizer
python -m duomem_jax.tiny.rows student runs/tiny/student-rows
python train.py --config configs/tiny_student.py
"""

from duomem_jax.config import OptimizerConfig, TrainConfig
from duomem_jax.models.config import ModelConfig


def get_config() -> TrainConfig:
    """About an hour on one core."""
    return TrainConfig(
        base="runs/tiny/tokenizer",
        data="runs/tiny/student-rows",
        output="runs/tiny/student",
        trainable="all",
        model=ModelConfig(
            family="qwen3",
            vocab_size=720,  # the tokenizer has 707
            d_model=128,
            n_layers=4,
            n_heads=4,
            n_kv_heads=2,
            head_dim=32,
            d_ff=448,
            rope_theta=10_000.0,
        ),
        optimizer=OptimizerConfig(
            name="muon", learning_rate=7e-3, schedule="linear", warmup_steps=50
        ),
        steps=5000,
        global_batch=4,
        checkpoint_every=250,
    )
