"""Games to results."""

from pathlib import Path

from duomem_jax.agents.play import Play
from duomem_jax.agents.player import Player
from duomem_jax.base.shard import WHOLE, Shard
from duomem_jax.evals.games.evaluate import evaluate as run_subject
from duomem_jax.speak.served.server import Server
from duomem_jax.worlds.games import Games


def evaluate(
    games: Games,
    arm: Player,
    out: str,
    how: Play = Play(),
    server: Server = Server(),
    shard: Shard = WHOLE,
) -> Path:
    """Play the games an arm has no result for yet; the file of its results.

    Raises:
        UserError: bad games or arm, or results of another config.
    """
    world = games.open_world()
    return run_subject(arm, world, games.load(), out, how, server=server, shard=shard)
