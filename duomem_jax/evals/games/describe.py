"""How results of games are told: success first, then steps and what they cost."""

import dataclasses

from duomem_jax.evals.describe import Column, Description, Remark
from duomem_jax.records.results import Result
from duomem_jax.worlds.base import World

SHORT_STEPS = 30  # MemP's limit (arXiv 2508.06433), reported beside the usual 50


def _in_time(result: Result) -> float:
    won = result.scores["success"] and result.scores["steps"] <= SHORT_STEPS
    return 100.0 if won else 0.0


GAMES = Description(
    headline="success",
    title="success",
    axis="games won, % (95 % interval)",
    items="games",
    kind="task type",
    columns=(
        Column(f"in {SHORT_STEPS} steps %", _in_time),
        Column("steps", lambda r: r.scores["steps"], cost=True),
        Column("tokens read", lambda r: r.cost.prompt_tokens, "{:,.0f}", cost=True),
        Column("tokens written", lambda r: r.cost.new_tokens, "{:,.0f}", cost=True),
        Column("s / game", lambda r: r.cost.seconds, "{:.2f}"),
    ),
    remarks=(
        Remark(
            "in {count} of its lost games the conversation outgrew the context length.",
            lambda r: r.ended == "context",
        ),
    ),
    how_to_read="""\
**Success**: won within the step limit. Interval: Wilson with one seed; with several, bootstrap
over games (all seeds of a game drawn together). **Steps**: commands sent, lost games included.
**Tokens read**: instructions, guidelines and observations, each counted once because the cache
keeps the conversation; **written**: by the player. **s / game**: wall time of each batched step
shared evenly among the games then playing, so that the games add up to the wall time of the run;
compilation is omitted. **Differences** are paired by game; with one seed *won only by* counts
games that one subject won and the other lost, in the order of the names, and *p* is McNemar's exact
two-sided one; with several seeds, interval and *p* come from a bootstrap that draws games and
training seeds, of each subject apart, or of both together where a seed says what both learn from
(at least 0.0001). *p, Holm* is corrected for all rows of the table.
""",
)


def games_in(world: World, *, same_seeds: bool = False) -> Description:
    """`GAMES`, with the kinds of tasks of a world.

    Args:
        world: whose games are played.
        same_seeds: see `Description`.
    """
    return dataclasses.replace(GAMES, kinds=world.kinds, same_seeds=same_seeds)
