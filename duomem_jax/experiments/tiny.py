"""What the experiments with the tiny models share."""

import os
from pathlib import Path

from duomem_jax.base.errors import UserError
from duomem_jax.models.lora import LoraConfig
from duomem_jax.train.config import OptimizerConfig, TrainConfig


def real_games() -> str:
    """Folder of the real ALFWorld games.

    The folder that `DUOMEM_REAL_GAMES` names, or else the one that `alfworld-download` makes.

    Raises:
        UserError: there is none.
    """
    downloaded = Path(os.environ.get("ALFWORLD_DATA", "~/.cache/alfworld")).expanduser()
    folder = os.environ.get("DUOMEM_REAL_GAMES", str(downloaded / "json_2.1.1"))
    if not Path(folder).exists():
        raise UserError(
            f"{folder}: no ALFWorld games there; `pip install 'duomem-jax[alfworld]'` and "
            "`alfworld-download` fetch them, or set DUOMEM_REAL_GAMES to their folder"
        )
    return folder


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
