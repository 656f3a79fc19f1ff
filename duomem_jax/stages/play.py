"""Games to episodes."""

from collections.abc import Iterator
from pathlib import Path

from duomem_jax.agents.play import Play
from duomem_jax.agents.player import Player, identity, open_policy
from duomem_jax.agents.rollout import play_games
from duomem_jax.base.progress import Progress
from duomem_jax.base.shard import WHOLE, Shard
from duomem_jax.records.episodes import Episode
from duomem_jax.records.played import Wanted, write_episodes
from duomem_jax.records.store.write import WriteReport
from duomem_jax.speak.served.server import Server
from duomem_jax.worlds.games import Games


def _record(out: str, shard: Shard = WHOLE) -> Path:
    """Where a stage keeps what a served model answered and cost."""
    return Path(out) / ("served" if shard.is_whole else f"served-{shard.label}")


def play(
    games: Games,
    player: Player,
    out: str,
    how: Play = Play(),
    shard: Shard = WHOLE,
    server: Server = Server(),
) -> WriteReport:
    """Let a player play games and store the episodes.

    Raises:
        UserError: bad games or player, or an output folder of another config.
    """
    world = games.open_world()
    chosen = {task.id: task for task in games.load()}
    wanted = [(game_id, how.seed) for game_id in chosen]

    def run(missing: list[Wanted]) -> Iterator[Episode]:
        record = _record(out, shard)
        with (
            open_policy(player, world, slots=how.slots, server=server, record=record) as policy,
            Progress(len(missing), f"{player.name} plays") as progress,
        ):
            for played in play_games(
                world,
                (chosen[game_id] for game_id, _ in missing),
                policy,
                slots=how.slots,
                max_steps=how.max_steps,
                seed=how.seed,
            ):
                progress.add(played.episode.success)
                yield played.episode

    return write_episodes(
        out,
        wanted,
        run,
        split="train",
        source={"games": games.path, "split": games.split, "count": len(chosen)},
        config={
            "player": identity(player, world),
            "max_steps": how.max_steps,
            "world": world.config,
        },
        seed=how.seed,
        shard=shard,
    )
