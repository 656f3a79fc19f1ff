"""Turn result rows into the numbers of the report."""

import dataclasses
import statistics
from collections import defaultdict
from collections.abc import Iterable, Sequence

import numpy as np

from duomem_jax.evals.stats import (
    Interval,
    cluster_bootstrap,
    crossed_bootstrap,
    holm,
    mcnemar_exact,
    paired_bootstrap,
    wilson,
)
from duomem_jax.records.results import Result

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
        p_value: exact McNemar test (one seed each), else by the bootstrap over games and seeds.
        corrected: the p-value after Holm's correction for all differences of a report.
    """

    base: str
    other: str
    games: int
    difference: Interval
    only_base: int | None
    only_other: int | None
    p_value: float
    corrected: float = 1.0


def summarize(rows: Iterable[Result]) -> list[ArmSummary]:
    """One summary per arm, in the order in which the arms first occur."""
    return [_summarize_arm(arm, own) for arm, own in _by_arm(rows).items()]


def compare_arms(rows: Iterable[Result], base: str, other: str) -> PairedDifference | None:
    """Paired difference between two arms; None when they share no game.

    Only games that both arms played with all their seeds count. An arm without seeds (greedy,
    untrained) can stand against one with several.
    """
    arms = _by_arm(rows)
    a, b = _successes(arms[base]), _successes(arms[other])
    full_a, full_b = (max(map(len, x.values())) for x in (a, b))
    shared = sorted(g for g in a.keys() & b.keys() if (len(a[g]), len(b[g])) == (full_a, full_b))
    if not shared:
        return None
    a_GS, b_GS = (np.array([x[g] for g in shared]) for x in (a, b))
    if full_a > 1 or full_b > 1:
        difference, p = crossed_bootstrap(a_GS, b_GS)
        return PairedDifference(base, other, len(shared), difference, None, None, p)
    difference = paired_bootstrap(a_GS[:, 0].tolist(), b_GS[:, 0].tolist())
    only_a, only_b = int((a_GS > b_GS).sum()), int((a_GS < b_GS).sum())
    p = mcnemar_exact(only_a, only_b)
    return PairedDifference(base, other, len(shared), difference, only_a, only_b, p)


def correct(pairs: Sequence[PairedDifference]) -> list[PairedDifference]:
    """The differences with p-values that hold for all of them together."""
    corrected = holm([pair.p_value for pair in pairs])
    return [
        dataclasses.replace(pair, corrected=p) for pair, p in zip(pairs, corrected, strict=True)
    ]


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
