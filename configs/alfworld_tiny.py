"""DuoMem in miniature on real ALFWorld games: trained on train, evaluated on valid_seen (140).

    duomem compare configs/alfworld_tiny.py

The games come from `$ALFWORLD_DATA/json_2.1.1` (`alfworld-download` puts them there) or from the
folder that DUOMEM_REAL_GAMES names. About an hour and a half of one slow core: 20 minutes to play
the 3,553 training games, 20 for each of three adapters, the rest for the arms. The result is in
docs/results.md.
"""

import os
from pathlib import Path

from duomem_jax.agents.play import Play
from duomem_jax.experiments.experiment import Experiment
from duomem_jax.models.lora import LoraConfig
from duomem_jax.models.shipped import model_folder
from duomem_jax.stages.examples import Examples
from duomem_jax.train.config import OptimizerConfig, TrainConfig
from duomem_jax.worlds.games import Games


def get_experiment() -> Experiment:
    """Tiny teacher, tiny student, three training seeds."""
    downloaded = Path(os.environ.get("ALFWORLD_DATA", "~/.cache/alfworld")).expanduser()
    games = os.environ.get("DUOMEM_REAL_GAMES", str(downloaded / "json_2.1.1"))
    return Experiment(
        title="DuoMem in miniature: ALFWorld valid_seen",
        output="runs/alfworld-tiny",
        teacher=str(model_folder("tiny-teacher")),
        student=str(model_folder("tiny-student")),
        train_games=Games(games, "train"),
        self_games=Games(games, "train", limit=140),
        test_games=Games(games, "valid_seen"),
        train=TrainConfig(
            base="",
            data="",
            output="",
            lora=LoraConfig(rank=16, alpha=32.0),
            optimizer=OptimizerConfig(
                name="muon", learning_rate=1e-2, schedule="linear", warmup_steps=20
            ),
            steps=900,
            global_batch=4,
            checkpoint_every=100,
        ),
        seeds=(0, 1, 2),
        play=Play(slots=32, max_steps=50),
        examples=Examples(length=1024, k=2),
    )
