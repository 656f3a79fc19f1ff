"""Experiments on the real ALFWorld games: where these are, and how real students are trained."""

import os
from pathlib import Path

from duomem_jax.agents.play import Play
from duomem_jax.base.errors import UserError
from duomem_jax.experiments.experiment import Experiment
from duomem_jax.experiments.recipe import READING, Recipe
from duomem_jax.mesh.config import MeshConfig
from duomem_jax.models.lora import LoraConfig
from duomem_jax.stages.examples import Examples
from duomem_jax.train.config import OptimizerConfig, TrainConfig
from duomem_jax.worlds.games import Games


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


def alfworld_experiment(title: str, output: str, student: str, train: TrainConfig) -> Experiment:
    """A real student, taught by the expert on all training games and tested on valid_seen.

    Its adapters learn with memories before half of the episodes, or as a reader.

    Args:
        title: of the report.
        output: folder for everything.
        student: a model that was not trained on these games.
        train: of its adapters.
    """
    games = real_games()
    return Experiment(
        title=title,
        output=output,
        teacher="expert",
        student=student,
        train_games=Games(games, "train"),
        # Without an adapter it loses nearly all, and a lost game takes all its steps.
        self_games=Games(games, "train", limit=60),
        test_games=Games(games, "valid_seen"),
        train=train,
        recipes=(Recipe(), READING),
        play=Play(slots=64, max_steps=50),
        examples=Examples(length=2048, system="@play", k=2),
        # On one accelerator: CUDA_VISIBLE_DEVICES=0 gives the same one to all.
        workers=3,
    )


def alfworld_training(steps: int, global_batch: int, learning_rate: float = 1e-3) -> TrainConfig:
    """LoRA on a real student; the experiment says which model, rows and output each adapter has.

    Args:
        steps: how many.
        global_batch: rows of 2,048 tokens a step.
        learning_rate: at its peak.
    """
    return TrainConfig(
        base="",
        data="",
        output="",
        lora=LoraConfig(rank=16, alpha=32.0),
        optimizer=OptimizerConfig(learning_rate=learning_rate, warmup_steps=steps // 20),
        # Adapters train side by side, each on one device.
        mesh=MeshConfig(data=1),
        steps=steps,
        global_batch=global_batch,
        dtype="bfloat16",
        checkpoint_every=1000,
    )
