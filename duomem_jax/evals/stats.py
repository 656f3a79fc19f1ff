"""Intervals and paired tests for success on a fixed set of games.

A game is the unit that is drawn: several seeds on one game are not independent, so the
bootstraps resample games and keep all seeds of a game together. One subject's own interval takes
its training seeds as given; a difference between subjects draws them too, since the next training
run would have others.

Intervals of proportions and paired tests are SciPy's. The bootstraps are not: where games are
shared and seeds are each subject's own, `scipy.stats.bootstrap` cannot say what to draw together,
and it refuses a single game, which a first try of an experiment has. Holm's correction is not in
SciPy.
"""

import dataclasses
import math
from collections.abc import Sequence

import numpy as np
from scipy import stats

CONFIDENCE = 0.95
RESAMPLES = 10_000
BLOCK = 500  # resamples drawn at once: all of them, times some thousand games, is a lot of memory


@dataclasses.dataclass(frozen=True)
class Interval:
    """An estimate with its 95 % interval, all on the same scale."""

    mean: float
    low: float
    high: float


def wilson(successes: int, n: int) -> Interval:
    """Wilson score interval of a proportion (Wilson 1927), without continuity correction.

    Raises:
        ValueError: unless 0 <= successes <= n and n > 0.
    """
    if not 0 <= successes <= n or n == 0:
        raise ValueError(f"{successes} successes of {n}")
    ends = stats.binomtest(successes, n).proportion_ci(CONFIDENCE, method="wilson")
    p = successes / n
    # At p = 0 and p = 1 one end is exactly the estimate; rounding must not cross it.
    return Interval(p, min(float(ends.low), p), max(float(ends.high), p))


def cluster_bootstrap(clusters: Sequence[Sequence[float]], *, seed: int = 0) -> Interval:
    """Percentile bootstrap of the mean over all values, whole clusters resampled.

    Args:
        clusters: the values of each game, one per seed; games may have different counts.
        seed: of the resampling, so a report is reproducible.

    Raises:
        ValueError: no cluster, or an empty one.
    """
    sums, counts = _totals(clusters)
    means = _resampled_means(sums, counts, np.random.default_rng(seed))
    # Over values, not over clusters: a game with more seeds weighs more, in resamples too.
    return _interval(sums.sum() / counts.sum(), means)


def difference_bootstrap(
    a: Sequence[Sequence[float]], b: Sequence[Sequence[float]], *, seed: int = 0
) -> Interval:
    """Percentile bootstrap of mean(a) - mean(b), other clusters in each, resampled apart.

    Raises:
        ValueError: no cluster on a side, or an empty one.
    """
    rng = np.random.default_rng(seed)
    (sums_a, counts_a), (sums_b, counts_b) = _totals(a), _totals(b)
    # From one generator, one after the other: the two sides are drawn independently.
    means_a = _resampled_means(sums_a, counts_a, rng)
    means_b = _resampled_means(sums_b, counts_b, rng)
    mean = sums_a.sum() / counts_a.sum() - sums_b.sum() / counts_b.sum()
    return _interval(mean, means_a - means_b)


def paired_bootstrap(a: Sequence[float], b: Sequence[float], *, seed: int = 0) -> Interval:
    """Percentile bootstrap of mean(b - a), a[i] and b[i] belonging to the same game.

    Raises:
        ValueError: the lengths differ or are 0.
    """
    if len(a) != len(b):
        raise ValueError(f"{len(a)} values against {len(b)}")
    return cluster_bootstrap([[y - x] for x, y in zip(a, b, strict=True)], seed=seed)


def crossed_bootstrap(
    a: np.ndarray,
    b: np.ndarray,
    sizes: np.ndarray | None = None,
    *,
    same_seeds: bool = False,
    seed: int = 0,
) -> tuple[Interval, float]:
    """mean(b) - mean(a) where groups (rows) are shared and seeds (columns) may be.

    Every resample draws groups for both subjects, and seeds for both or for each (Owen's pigeonhole
    bootstrap, arXiv 0712.1111, whose variance is at least the true one). Seeds of each make an
    interval wide enough by themselves; of the same ones one less is drawn than there are (Rao and
    Wu 1988), as drawing all of three would take a third off the variance between them.

    Args:
        a: sums of values, a row for each group and a column for each seed.
        b: the same of the other subject, whose seeds may be fewer or more.
        sizes: how many values a group has under each seed; one each when None, as games do.
        same_seeds: a column of both is of one seed, which is drawn for both; else each has its own.
        seed: of the resampling.

    Returns:
        (percentile interval, two-sided p-value: twice the smaller share of resamples on the
        other side of 0, at least 1 / `RESAMPLES`).

    Raises:
        ValueError: no group or seed, or not the same groups or seeds.
    """
    if len(a) != len(b) or not (a.size and b.size) or (same_seeds and a.shape != b.shape):
        raise ValueError(f"groups and seeds {a.shape} against {b.shape}")
    if sizes is None:
        sizes = np.ones(len(a), int)
    rng = np.random.default_rng(seed)
    found = []
    for _ in range(RESAMPLES // BLOCK):
        # How often each group is drawn: with these counts a block of resamples is one product.
        groups = rng.multinomial(len(a), np.full(len(a), 1 / len(a)), BLOCK)
        if same_seeds:
            drawn_a = drawn_b = _drawn_seeds(rng, a.shape[1], max(1, a.shape[1] - 1))
        else:
            drawn_a, drawn_b = (_drawn_seeds(rng, x.shape[1], x.shape[1]) for x in (a, b))
        ends = []
        for x, seeds in ((a, drawn_a), (b, drawn_b)):
            sums = np.einsum("rg,gs,rs->r", groups, x, seeds, optimize=True)
            ends.append(sums / (groups @ sizes * seeds.sum(axis=1)))
        found.append(ends[1] - ends[0])
    differences = np.concatenate(found)
    # A resample at 0 speaks for neither side, so it counts on both.
    tail = min(float(np.mean(differences <= 0)), float(np.mean(differences >= 0)))
    mean_a, mean_b = (x.sum() / (sizes.sum() * x.shape[1]) for x in (a, b))
    interval = _interval(mean_b - mean_a, differences)
    # No share below one resample can be told from none.
    return interval, min(1.0, max(2 * tail, 1 / RESAMPLES))


def _drawn_seeds(rng: np.random.Generator, n_seeds: int, drawn: int) -> np.ndarray:
    """How often each seed is drawn, in each resample of a block."""
    return rng.multinomial(drawn, np.full(n_seeds, 1 / n_seeds), BLOCK)


def holm(p_values: Sequence[float]) -> list[float]:
    """Correct p-values for being several, so that the family-wise error rate holds (Holm 1979)."""
    # Each p-value times the number of hypotheses not yet passed, and never below the one before.
    order = sorted(range(len(p_values)), key=lambda i: p_values[i])
    corrected, highest = [0.0] * len(p_values), 0.0
    for rank, i in enumerate(order):
        highest = max(highest, min(1.0, p_values[i] * (len(p_values) - rank)))
        corrected[i] = highest
    return corrected


def mcnemar_exact(only_a: int, only_b: int) -> float:
    """Two-sided exact p-value that both subjects win equally often (McNemar 1947, binomial form).

    Args:
        only_a: games that only the first subject won.
        only_b: games that only the second subject won.
    """
    if only_a == only_b:  # also without a game between them, which SciPy refuses
        return 1.0
    return float(stats.binomtest(only_a, only_a + only_b).pvalue)


def _totals(clusters: Sequence[Sequence[float]]) -> tuple[np.ndarray, np.ndarray]:
    """Sum and number of the values of each cluster."""
    if not clusters or not all(len(c) for c in clusters):
        raise ValueError("every cluster needs a value")
    return np.array([math.fsum(c) for c in clusters]), np.array([len(c) for c in clusters])


def _resampled_means(sums: np.ndarray, counts: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    means = []
    for _ in range(RESAMPLES // BLOCK):
        pick = rng.integers(len(sums), size=(BLOCK, len(sums)))
        means.append(sums[pick].sum(1) / counts[pick].sum(1))
    return np.concatenate(means)


def _interval(mean: float, means: np.ndarray) -> Interval:
    ends = [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2]
    low, high = np.quantile(means, ends)
    return Interval(float(mean), float(low), float(high))
