"""Play the games of one arm that are not in its results yet."""

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from duomem_jax.agents.player import Arm, identity, open_policy
from duomem_jax.agents.policy import Policy
from duomem_jax.agents.rollout import Outcome, play_games
from duomem_jax.base.io import slug
from duomem_jax.base.progress import Progress
from duomem_jax.base.shard import WHOLE, Shard
from duomem_jax.records.episodes import Episode
from duomem_jax.records.results import Result, ResultLog, read_results
from duomem_jax.speak.served.server import Server
from duomem_jax.worlds.household.game import Game


def evaluate(
    arm: Arm,
    games: Sequence[Game],
    out: str | os.PathLike,
    *,
    slots: int,
    max_steps: int = 50,
    engine: str = "fast",
    seed: int = 0,
    server: Server = Server(),
    shard: Shard = WHOLE,
) -> Path:
    """Play `games` with an arm; run again, it goes on where it was stopped.

    Several hosts or devices share the games as shards of one folder. A game is played once, also
    when a run of four shards is finished by two.

    Args:
        arm: who plays.
        games: each is played once.
        out: folder; gets `<arm>.seed<seed>.sqlite`, or one for each shard, and, beside it, what
            a served model answered and cost.
        slots: games played at once.
        max_steps: commands after which a game is lost.
        engine: one of `envs.ENGINES`.
        seed: the arm's training seed, and of its sampling.
        server: where and how hard a served model is asked.
        shard: the part to play.

    Returns:
        The file of results.

    Raises:
        UserError: a folder of the arm or a game cannot be read, or the file is of another
            configuration.
    """
    name = slug(arm.name)
    config = identity(arm) | {"max_steps": max_steps, "engine": engine, "seed": seed}
    part = "" if shard.is_whole else f".{shard.label}"
    with ResultLog(Path(out) / f"{name}.seed{seed}{part}.sqlite", config) as log:
        elsewhere = {
            row.game_id
            for path in Path(out).glob(f"{name}.seed{seed}.*sqlite")
            if path != log.path
            for row in read_results(path, config)  # another shard may be at work on it
        }
        games = [game for game in shard.of(games) if game.id not in elsewhere]
        record = log.path.with_suffix("")
        with open_policy(arm, slots=slots, server=server, record=record) as policy:
            score(
                arm.name,
                games,
                policy,
                log,
                slots=slots,
                max_steps=max_steps,
                engine=engine,
                seed=seed,
            )
    return log.path


def score(
    arm: str,
    games: Sequence[Game],
    policy: Policy,
    log: ResultLog,
    *,
    slots: int,
    max_steps: int = 50,
    engine: str = "fast",
    seed: int = 0,
) -> None:
    """Append one result per game to `log`, leaving out the games that are in it.

    Args:
        arm: name of the row in the report.
        policy: who plays.
        log: where results go.
        games, slots, max_steps, engine, seed: as in `evaluate`.
    """
    finished = {game_id for name, game_id, s in log.done if (name, s) == (arm, seed)}
    with Progress(len(games), f"{arm}, seed {seed}") as progress:

        def waiting() -> Iterator[Game]:
            for game in games:
                if game.id in finished:
                    progress.total -= 1
                else:
                    yield game

        def keep(episode: Episode, outcome: Outcome) -> None:
            log.append(_result(arm, seed, episode, outcome))
            progress.add(episode.success)

        played = play_games(
            waiting(),
            policy,
            slots=slots,
            max_steps=max_steps,
            engine=engine,
            seed=seed,
            on_episode=keep,
        )
        for _ in played:
            pass


def _result(arm: str, seed: int, episode: Episode, outcome: Outcome) -> Result:
    return Result(
        arm=arm,
        game_id=episode.game_id,
        task_type=episode.task_type,
        seed=seed,
        success=episode.success,
        steps=len(episode.turns),
        prompt_tokens=outcome.usage.prompt_tokens,
        new_tokens=outcome.usage.new_tokens,
        seconds=round(outcome.seconds, 4),
        ended=outcome.ended,
    )
