"""Turn result rows into the numbers of the report."""

import dataclasses
import statistics
from collections import defaultdict
from collections.abc import Iterable, Sequence

from duomem_jax.evals.intervals import (
    Interval,
    cluster_bootstrap,
    mcnemar_exact,
    paired_bootstrap,
    wilson,
)
from duomem_jax.evals.results import Result

SHORT_STEPS = 30  # MemP's limit, reported beside the usual 50


@dataclasses.dataclass(frozen=True)
class ArmSummary:
    """One arm over all its games and seeds.

    Attributes:
        success: proportion won; Wilson for one seed, bootstrap over games for several.
        success_short: proportion won within 30 steps.
        steps: mean commands per game, lost games included.
        prompt_tokens: mean tokens appended per game.
        new_tokens: mean tokens written per game.
        seconds: mean wall seconds per game.
        outgrown: games lost because the conversation no longer fitted the context.
        by_type: success per task type.
    """

    arm: str
    games: int
    seeds: int
    success: Interval
    success_short: float
    steps: float
    prompt_tokens: float
    new_tokens: float
    seconds: float
    outgrown: int
    by_type: dict[str, Interval]


@dataclasses.dataclass(frozen=True)
class PairedDifference:
    """Success of `other` minus success of `base` on the games both played.

    Attributes:
        only_base: games that only `base` won (one seed each), else None.
        only_other: games that only `other` won (one seed each), else None.
        p_value: exact McNemar test (one seed each), else None.
    """

    base: str
    other: str
    games: int
    difference: Interval
    only_base: int | None
    only_other: int | None
    p_value: float | None


def summarize(rows: Iterable[Result]) -> list[ArmSummary]:
    """One summary per arm, in the order in which the arms first occur."""
    return [_summarize_arm(arm, own) for arm, own in _by_arm(rows).items()]


def compare_arms(rows: Iterable[Result], base: str, other: str) -> PairedDifference | None:
    """Paired difference between two arms; None when they share no game.

    Each game counts once, with its mean over the arm's seeds: with the same seeds in both arms
    that is the mean over (game, seed) pairs, and an arm without seeds (greedy, untrained) can
    stand against one with several.
    """
    arms = _by_arm(rows)
    a, b = _successes(arms[base]), _successes(arms[other])
    shared = sorted(a.keys() & b.keys())
    if not shared:
        return None
    mean_a = [statistics.fmean(a[g]) for g in shared]
    mean_b = [statistics.fmean(b[g]) for g in shared]
    difference = paired_bootstrap(mean_a, mean_b)
    if any(len(x[g]) > 1 for x in (a, b) for g in shared):
        return PairedDifference(base, other, len(shared), difference, None, None, None)
    only_a = sum(x > y for x, y in zip(mean_a, mean_b, strict=True))
    only_b = sum(x < y for x, y in zip(mean_a, mean_b, strict=True))
    p = mcnemar_exact(only_a, only_b)
    return PairedDifference(base, other, len(shared), difference, only_a, only_b, p)


def _summarize_arm(arm: str, rows: Sequence[Result]) -> ArmSummary:
    by_type = defaultdict(list)
    for row in rows:
        by_type[row.task_type].append(row)
    return ArmSummary(
        arm=arm,
        games=len({r.game_id for r in rows}),
        seeds=len({r.seed for r in rows}),
        success=_success(rows),
        success_short=statistics.fmean(r.success and r.steps <= SHORT_STEPS for r in rows),
        steps=statistics.fmean(r.steps for r in rows),
        prompt_tokens=statistics.fmean(r.prompt_tokens for r in rows),
        new_tokens=statistics.fmean(r.new_tokens for r in rows),
        seconds=statistics.fmean(r.seconds for r in rows),
        outgrown=sum(r.ended == "context" for r in rows),
        by_type={t: _success(own) for t, own in sorted(by_type.items())},
    )


def _success(rows: Sequence[Result]) -> Interval:
    by_game = _successes(rows)
    if all(len(values) == 1 for values in by_game.values()):
        return wilson(sum(r.success for r in rows), len(rows))
    won = {r.success for r in rows}
    if len(won) == 1:  # nothing varies, so resampling would claim certainty
        return wilson(len(by_game) * won.pop(), len(by_game))
    return cluster_bootstrap(list(by_game.values()))


def _successes(rows: Iterable[Result]) -> dict[str, list[float]]:
    """Success of each game, one value per seed."""
    values = defaultdict(list)
    for row in rows:
        values[row.game_id].append(float(row.success))
    return values


def _by_arm(rows: Iterable[Result]) -> dict[str, list[Result]]:
    arms: dict[str, list[Result]] = {}
    for row in rows:
        arms.setdefault(row.arm, []).append(row)
    return arms
