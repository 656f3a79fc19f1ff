"""Games to results, and results to a report."""

from pathlib import Path

from duomem_jax.agents.play import Play
from duomem_jax.agents.player import Player
from duomem_jax.base.shard import WHOLE, Shard
from duomem_jax.evals.games.describe import games_in
from duomem_jax.evals.games.evaluate import evaluate as play_missing
from duomem_jax.records.results import Result, collect_rows
from duomem_jax.report.write import write_report
from duomem_jax.speak.served.server import Server
from duomem_jax.stages.bucket import in_a_bucket
from duomem_jax.stages.options import Folder, Part
from duomem_jax.worlds.games import Games


@in_a_bucket
def evaluate(
    out: Folder,
    /,
    games: Games,
    player: Player,
    how: Play = Play(),
    shard: Part = WHOLE,
    server: Server = Server(),
) -> Path:
    """Play games with one player; write results and a report of all players in the folder.

    Args:
        out: folder for results, report.md and success.png, or gs://BUCKET/FOLDER.
        games: what is played.
        player: who plays; its name is the row of the table.
        how: slots, step limit and seed.
        shard: play part i/n; the report has the results of all parts that have ended.
        server: where a player openai:NAME is.

    Returns:
        The path of report.md; where nothing has been played yet, of the results.

    Raises:
        UserError: bad games or player, or results of another config.
    """
    played = results(out, games, player, how, shard, server)
    # Of all players in the folder, so that each evaluation adds a row to one table.
    rows = collect_rows(sorted(Path(out).glob("*.sqlite")), Result)
    if not rows:  # a part without games, of more parts than games
        return played
    description = games_in(games.open_world())
    note = f"{games.protocol(how.max_steps)}."
    return write_report(out, rows, description, title="Success on games", note=note)


def results(
    out: str,
    games: Games,
    player: Player,
    how: Play = Play(),
    shard: Shard = WHOLE,
    server: Server = Server(),
) -> Path:
    """Play the games a player has no result for yet, without a report.

    Args:
        out, games, player, how, shard, server: as in `evaluate`.

    Returns:
        The file of its results.

    Raises:
        UserError: bad games or player, or results of another config.
    """
    world = games.open_world()
    return play_missing(player, world, games.load(), out, how, server=server, shard=shard)
