"""DuoMem in miniature: one command from generated games to the paper's table."""

import dataclasses
from pathlib import Path

from duomem_jax.agents.play import Play
from duomem_jax.experiments.experiment import Experiment
from duomem_jax.experiments.miniature import Miniature, run_miniature
from duomem_jax.experiments.recipe import READING, Recipe
from duomem_jax.experiments.tiny import tiny_training
from duomem_jax.models.shipped import model_folder
from duomem_jax.objectives.config import ObjectiveConfig
from duomem_jax.stages.examples import Examples
from duomem_jax.stages.lessons import Lessons
from duomem_jax.stages.options import Folder
from duomem_jax.train.config import TrainConfig
from duomem_jax.worlds.games import Games

TRAIN_GAMES, TEST_GAMES = 240, 96
NEXT = """\
What to run next, in the folder that you are in:
- train an adapter with other values:
  {duomem} train --config configs/quickstart.py --data {out}/examples \\
      --output {out}/my-adapter --lora.rank 4
- the same on real ALFWorld games, after `pip install 'duomem-jax[alfworld]'` and
  `alfworld-download`, or with DUOMEM_REAL_GAMES set to their folder:
  {duomem} compare configs/alfworld_tiny.py
- how it works: docs/architecture.md
"""


def quickstart_experiment(out: str) -> Experiment:
    """Sizes that fit ten minutes on two cores."""
    root = Path(out)
    return Experiment(
        title="DuoMem in miniature: generated games",
        output=out,
        teacher=str(model_folder("tiny-teacher")),
        student=str(model_folder("tiny-student")),
        train_games=Games(str(root / "games-train")),
        # Fewer games: without memories the student loses most, and a lost game takes all its steps.
        self_games=Games(str(root / "games-train"), limit=48),
        test_games=Games(str(root / "games-test")),
        train=quickstart_training(out),
        recipes=(
            Recipe(),
            Recipe("LoRA, logits", ObjectiveConfig("forward_kl")),
            dataclasses.replace(READING, lessons=Lessons(count=30)),
        ),
        seeds=(0,),
        # What no adapter learns, memories alone can tell.
        left_out="heat",
        play=Play(slots=24, max_steps=40),
        examples=Examples(length=1024, k=2),
    )


def quickstart_training(out: str) -> TrainConfig:
    """The adapter of the quick start."""
    return dataclasses.replace(
        tiny_training(steps=120, warmup_steps=10, checkpoint_every=60),
        base=str(model_folder("tiny-student")),
        # For `configs/quickstart.py`, which trains on its own; an experiment fills these fields in.
        data=str(Path(out) / "examples"),
        output=str(Path(out) / "adapters" / "lora" / "seed0"),
    )


def quickstart(out: Folder = "runs/quickstart", /) -> str:
    """DuoMem in miniature on generated games: about ten minutes on two cores.

    Args:
        out: folder for everything it makes; what is there already is reused.

    Returns:
        The report, and what to run next.

    Raises:
        UserError: the output folder is of another version, or the disk is full.
    """
    return run_miniature(Miniature(quickstart_experiment(out), TRAIN_GAMES, TEST_GAMES), NEXT)
