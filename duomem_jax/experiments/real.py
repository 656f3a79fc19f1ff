"""DuoMem with a real language model, on two cores: one command from games to the paper's table."""

from pathlib import Path

from duomem_jax.agents.play import Play
from duomem_jax.experiments.experiment import Experiment
from duomem_jax.experiments.miniature import Miniature, run_miniature
from duomem_jax.models.lora import LoraConfig
from duomem_jax.stages.examples import Examples
from duomem_jax.stages.options import Folder
from duomem_jax.train.config import OptimizerConfig, TrainConfig
from duomem_jax.worlds.games import Games

STUDENT = "smollm2"
# As many training games as the steps have room for, each about once.
TRAIN_GAMES, TEST_GAMES = 250, 16
NEXT = """\
What to run next, in the folder that you are in:
- train an adapter with other values:
  {duomem} train --config configs/real.py --data {out}/examples \\
      --output {out}/my-adapter --lora.rank 8
- the same on the real games of ALFWorld, on an accelerator:
  {duomem} compare configs/alfworld.py
- other models: docs/students.md
"""


def real_experiment(out: str) -> Experiment:
    """Sizes for two cores."""
    root = Path(out)
    return Experiment(
        title="DuoMem with SmolLM2-135M-Instruct: generated games",
        output=out,
        teacher="expert",
        student=STUDENT,
        train_games=Games(str(root / "games-train")),
        # Few: without an adapter it wins nothing, and a lost game takes all its steps.
        self_games=Games(str(root / "games-train"), limit=6),
        test_games=Games(str(root / "games-test")),
        train=real_training(out),
        seeds=(0,),
        play=Play(slots=8, max_steps=20),
        # As long as the rows that it learns from: eight games then take up to 1.4 GiB of cache.
        max_len=2048,
        examples=Examples(length=2048, system="@play", k=2),
    )


def real_training(out: str) -> TrainConfig:
    """The adapter: a row of about two games a step."""
    return TrainConfig(
        base=STUDENT,
        # For `configs/real.py`, which trains on its own; an experiment fills these fields in.
        data=str(Path(out) / "examples"),
        output=str(Path(out) / "adapters" / "lora" / "seed0"),
        lora=LoraConfig(rank=16, alpha=32.0),
        optimizer=OptimizerConfig(learning_rate=2e-3, warmup_steps=5),
        steps=120,
        global_batch=1,
        checkpoint_every=30,
    )


def real(out: Folder = "runs/real", /) -> str:
    """DuoMem with SmolLM2-135M-Instruct on generated games: sized for two cores.

    Args:
        out: folder for everything it makes; what is there already is reused.

    Returns:
        The report, and what to run next.

    Raises:
        UserError: the model is not installed, the output folder is of another version, or the disk
            is full.
    """
    return run_miniature(Miniature(real_experiment(out), TRAIN_GAMES, TEST_GAMES), NEXT)
