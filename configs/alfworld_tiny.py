"""DuoMem in miniature on real ALFWorld games: trained on train, evaluated on valid_seen (140).

    duomem compare configs/alfworld_tiny.py

The games come from `$ALFWORLD_DATA/json_2.1.1` (`alfworld-download` puts them there) or from the
folder that DUOMEM_REAL_GAMES names. About an hour and a half of one slow core: 20 minutes to play
the 3,553 training games, 20 for each of three adapters, the rest for the players. The result is in
docs/results.md.
"""

from duomem_jax.agents.play import Play
from duomem_jax.experiments.alfworld import real_games
from duomem_jax.experiments.experiment import Experiment
from duomem_jax.experiments.tiny import tiny_training
from duomem_jax.models.shipped import model_folder
from duomem_jax.stages.examples import Examples
from duomem_jax.worlds.games import Games


def get_experiment() -> Experiment:
    """Tiny teacher, tiny student, three training seeds."""
    games = real_games()
    return Experiment(
        title="DuoMem in miniature: ALFWorld valid_seen",
        output="runs/alfworld-tiny",
        teacher=str(model_folder("tiny-teacher")),
        student=str(model_folder("tiny-student")),
        train_games=Games(games, "train"),
        self_games=Games(games, "train", limit=140),
        test_games=Games(games, "valid_seen"),
        train=tiny_training(steps=900),
        seeds=(0, 1, 2),
        play=Play(slots=32, max_steps=50),
        examples=Examples(length=1024, k=2),
    )
