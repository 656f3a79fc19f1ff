"""Play the games that a subject has no result for yet."""

import os
from collections.abc import Sequence
from pathlib import Path

from duomem_jax.agents.play import Play
from duomem_jax.agents.player import Player, identity, open_policy
from duomem_jax.agents.policy import Policy
from duomem_jax.agents.rollout import Played, play_games
from duomem_jax.agents.silence import Silence
from duomem_jax.base.folder import claim_folder
from duomem_jax.base.io import slug
from duomem_jax.base.progress import Progress
from duomem_jax.base.shard import WHOLE, Shard
from duomem_jax.records.results import (
    PROTOCOL,
    Result,
    ResultLog,
    Usage,
    read_results,
    refuse_other_protocol,
)
from duomem_jax.speak.served.server import Server
from duomem_jax.worlds.base import Task, World
from duomem_jax.worlds.games import identity_of


def evaluate(
    subject: Player,
    world: World,
    tasks: Sequence[Task],
    out: str | os.PathLike,
    how: Play = Play(),
    *,
    server: Server = Server(),
    shard: Shard = WHOLE,
) -> Path:
    """Play `tasks` with a subject; run again, it continues where it was stopped.

    Several hosts or devices share the games as shards of one folder. A game is played once, also
    when a run of four shards is finished by two.

    Args:
        subject: who plays.
        world: where the tasks are from.
        tasks: each is played once.
        out: folder; gets `<subject>.seed<seed>.sqlite`, or one for each shard, and, beside it, what
            a served model answered and cost.
        how: slots, step limit, and the seed of the subject's training and sampling.
        server: where and how hard a served model is asked.
        shard: the part to play.

    Returns:
        The file of results.

    Raises:
        UserError: a folder of the subject or a game cannot be read, or the file is of another
            configuration.
    """
    name, seed = slug(subject.name), how.seed
    config = identity(subject, world) | {"seed": seed}
    config[PROTOCOL] = {
        "games": identity_of(tasks),
        "max_steps": how.max_steps,
        "world": world.config,
    }
    claim_folder(out, "a set of results")
    # Before anything is played: one table has one row for each subject, and one set of games.
    refuse_other_protocol(out, config)
    # A whole run and shards of it are files side by side, so that either can finish the other.
    part = "" if shard.is_whole else f".{shard.label}"
    with ResultLog(Path(out) / f"{name}.seed{seed}{part}.sqlite", config) as log:
        elsewhere = {
            row.item
            for path in Path(out).glob(f"{name}.seed{seed}.*sqlite")
            if path != log.path
            for row in read_results(path, config)  # another shard may be at work on it
        }
        missing = [
            task
            for task in shard.of(tasks)
            if task.id not in elsewhere and (subject.name, task.id, seed) not in log.done
        ]
        # No model is opened where no game is missing.
        if missing:
            # One for each shard, like the results: a second writer of a log is refused.
            record = log.path.with_suffix("")
            with open_policy(
                subject, world, slots=how.slots, server=server, record=record
            ) as policy:
                score(subject.name, world, missing, policy, log, how)
    return log.path


def score(
    subject: str,
    world: World,
    tasks: Sequence[Task],
    policy: Policy,
    log: ResultLog,
    how: Play,
) -> None:
    """Append one result per game to `log`.

    Args:
        subject: name of the row in the report.
        world: where the tasks are from.
        tasks: each is played once.
        policy: who plays.
        log: where results go.
        how: slots, step limit and seed.
    """
    silence = Silence(subject)
    with Progress(len(tasks), f"{subject}, seed {how.seed}") as progress:
        for played in play_games(
            world, tasks, policy, slots=policy.slots, max_steps=how.max_steps, seed=how.seed
        ):
            silence.add(played.episode)
            log.append(game_result(subject, played))
            progress.add(played.episode.success)
    silence.tell()


def game_result(subject: str, played: Played) -> Result:
    """The row of a played game: its success, its score and the commands it took."""
    episode = played.episode
    return Result(
        subject=subject,
        item=played.task.id,
        group=played.task.group,
        kind=played.task.kind,
        seed=episode.seed,
        scores={
            "success": float(episode.success),
            "score": episode.score,
            "steps": float(len(episode.turns)),
        },
        cost=Usage(
            prompt_tokens=played.usage.prompt_tokens,
            new_tokens=played.usage.new_tokens,
            seconds=round(played.seconds, 4),
        ),
        ended=played.ended,
    )
