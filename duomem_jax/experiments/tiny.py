"""How the tiny students are trained in experiments."""

from duomem_jax.models.lora import LoraConfig
from duomem_jax.train.config import OptimizerConfig, TrainConfig


def tiny_training(steps: int, warmup_steps: int = 20, checkpoint_every: int = 100) -> TrainConfig:
    """LoRA on a tiny model; the experiment says which model, rows and output each adapter has.

    Args:
        steps: of 4 rows each.
        warmup_steps: of them.
        checkpoint_every: so many steps.
    """
    return TrainConfig(
        base="",
        data="",
        output="",
        lora=LoraConfig(rank=16, alpha=32.0),
        # Muon: with one seed, 300 steps and a third of the training games its adapter won 92 of the
        # 140 games of valid_seen, AdamW's 83.
        optimizer=OptimizerConfig(
            name="muon", learning_rate=1e-2, schedule="linear", warmup_steps=warmup_steps
        ),
        steps=steps,
        global_batch=4,
        checkpoint_every=checkpoint_every,
    )
