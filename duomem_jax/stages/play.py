"""Games to episodes."""

from collections.abc import Iterator

from duomem_jax.agents.play import Play
from duomem_jax.agents.player import Player, identity, open_policy
from duomem_jax.agents.rollout import play_games
from duomem_jax.agents.silence import Silence
from duomem_jax.base.progress import Progress
from duomem_jax.base.shard import WHOLE
from duomem_jax.records.episodes import Episode
from duomem_jax.records.played import Wanted, write_episodes
from duomem_jax.records.store.write import WriteReport
from duomem_jax.speak.served.server import Server
from duomem_jax.stages.bucket import in_a_bucket
from duomem_jax.stages.options import Folder, Part, served_record
from duomem_jax.worlds.games import Games, identity_of


@in_a_bucket
def play(
    out: Folder,
    /,
    games: Games,
    player: Player,
    how: Play = Play(),
    shard: Part = WHOLE,
    server: Server = Server(),
) -> WriteReport:
    """Let a model, or a rule-based player of the world, play games and store its episodes.

    Args:
        out: folder to write, or gs://BUCKET/FOLDER.
        games: what is played.
        player: who plays.
        how: slots, step limit and seed.
        shard: play part i/n; run all parts, in any order.
        server: where a player openai:NAME is.

    Raises:
        UserError: bad games or player, or an output folder of another config.
    """
    world = games.open_world()
    chosen = {task.id: task for task in games.load()}
    # All games, not this shard's: the store shares them out, and knows when none is missing.
    wanted = [(game_id, how.seed) for game_id in chosen]

    def run(missing: list[Wanted]) -> Iterator[Episode]:
        record, silence = served_record(out, shard), Silence(player.name)
        with (
            open_policy(player, world, slots=how.slots, server=server, record=record) as policy,
            Progress(len(missing), f"{player.name} plays") as progress,
        ):
            tasks = (chosen[game_id] for game_id, _ in missing)
            for played in play_games(
                world, tasks, policy, slots=policy.slots, max_steps=how.max_steps, seed=how.seed
            ):
                progress.add(played.episode.success)
                silence.add(played.episode)
                yield played.episode
        silence.tell()

    report = write_episodes(
        out,
        wanted,
        run,
        # By content: other games at the same path are refused, the same ones at another are not.
        source={"games": identity_of(chosen.values())},
        notes={"games": games.path, "split": games.split},
        # Without `slots`: they change no episode, and may differ when a killed run is continued.
        config={
            "player": identity(player, world),
            "max_steps": how.max_steps,
            "world": world.config,
        },
        seed=how.seed,
        shard=shard,
    )
    return report.with_details(f"{report.counts.get('won', 0):,} won")
