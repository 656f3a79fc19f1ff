import math
from statistics import NormalDist

import numpy as np
import pytest
from scipy import stats

from duomem_jax.evals.stats import (
    cluster_bootstrap,
    crossed_bootstrap,
    difference_bootstrap,
    holm,
    mcnemar_exact,
    paired_bootstrap,
    wilson,
)


@pytest.mark.parametrize(("k", "n"), [(0, 1), (1, 1), (6, 140), (109, 140), (140, 140), (3, 7)])
def test_wilson_is_the_published_formula(k, n):
    ours, p, z = wilson(k, n), k / n, NormalDist().inv_cdf(0.975)
    centre = (p + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    assert ours.mean == p
    assert ours.low == pytest.approx(centre - half, abs=1e-12)
    assert ours.high == pytest.approx(centre + half, abs=1e-12)
    assert 0 <= ours.low <= ours.mean <= ours.high <= 1


@pytest.mark.parametrize(("k", "n"), [(1, 0), (-1, 3), (4, 3)])
def test_wilson_refuses_impossible_counts(k, n):
    with pytest.raises(ValueError, match="successes"):
        wilson(k, n)


def test_bootstrap_of_single_values_matches_the_normal_interval():
    values = np.random.default_rng(1).normal(size=400)
    ours = cluster_bootstrap([[v] for v in values])
    half = stats.norm.ppf(0.975) * values.std() / np.sqrt(len(values))
    assert ours.mean == pytest.approx(values.mean())
    assert ours.low == pytest.approx(values.mean() - half, abs=0.01)
    assert ours.high == pytest.approx(values.mean() + half, abs=0.01)


def test_clusters_are_drawn_whole():
    # Three equal seeds per game carry the information of one, not of three.
    games = np.random.default_rng(2).integers(2, size=200)
    once = cluster_bootstrap([[g] for g in games])
    thrice = cluster_bootstrap([[g] * 3 for g in games])
    assert (once.low, once.high) == pytest.approx((thrice.low, thrice.high))


def test_bootstrap_is_reproducible_and_follows_its_seed():
    clusters = [[0.1 * i, 1.0, 0.3] if i % 2 else [0.2 * i] for i in range(20)]
    assert cluster_bootstrap(clusters) == cluster_bootstrap(clusters)
    assert cluster_bootstrap(clusters).mean == pytest.approx(np.concatenate(clusters).mean())
    assert cluster_bootstrap(clusters, seed=1) != cluster_bootstrap(clusters)


def test_pairing_removes_what_both_subjects_share():
    rng = np.random.default_rng(3)
    hardness = rng.normal(size=300)
    a, b = hardness, hardness + 0.1 + 0.01 * rng.normal(size=300)
    difference = paired_bootstrap(a, b)
    assert difference.mean == pytest.approx(0.1, abs=0.01)
    assert difference.high - difference.low < 0.005


def test_bootstrap_refuses_nothing_and_unequal_lengths():
    with pytest.raises(ValueError, match="cluster"):
        cluster_bootstrap([])
    with pytest.raises(ValueError, match="cluster"):
        cluster_bootstrap([[1.0], []])
    with pytest.raises(ValueError, match="against"):
        paired_bootstrap([1.0], [1.0, 0.0])


@pytest.mark.parametrize(("b", "c"), [(0, 0), (1, 0), (5, 5), (39, 33), (4, 67), (0, 131)])
def test_mcnemar_exact_is_twice_the_smaller_tail_of_fair_coins(b, c):
    tail = sum(math.comb(b + c, i) for i in range(min(b, c) + 1))
    assert mcnemar_exact(b, c) == pytest.approx(min(1.0, 2 * tail / 2 ** (b + c)), rel=1e-9)


def test_seeds_that_differ_widen_a_difference():
    """With games alone resampled, a lucky training run would look like a better method."""
    rng = np.random.default_rng(4)
    skill = rng.normal(0, 0.2, 5)
    a = (rng.random((140, 5)) < 0.5).astype(float)
    b = (rng.random((140, 5)) < 0.5 + skill).astype(float)
    both, p = crossed_bootstrap(a, b)
    games = paired_bootstrap(a.mean(1), b.mean(1))
    assert both.mean == pytest.approx(games.mean)
    assert both.high - both.low > 1.5 * (games.high - games.low)
    assert p > 0.01


def test_the_crossed_interval_covers_the_truth():
    """Two equal methods: 0 lies within a 95 % interval in about 95 of 100 cases, or more."""
    rng, covered = np.random.default_rng(5), 0
    for case in range(100):
        hardness = rng.normal(size=(60, 1))
        a, b = (
            (rng.random((60, 5)) < 1 / (1 + np.exp(-hardness - rng.normal(0, 0.3, 5)))).astype(
                float
            )
            for _ in range(2)
        )
        interval, p = crossed_bootstrap(a, b, seed=case)
        covered += interval.low <= 0 <= interval.high
        assert (p < 0.05) == (not interval.low <= 0 <= interval.high) or abs(p - 0.05) < 0.02
    assert covered >= 90


def test_seeds_that_both_have_are_drawn_together():
    """Lucky games of a seed are then lucky for both, and the interval still covers the truth."""
    rng, covered, widths = np.random.default_rng(7), 0, []
    for case in range(20):
        luck, hardness = rng.normal(0, 0.7, 3), rng.normal(size=(140, 1))
        a, b = (
            (rng.random((140, 3)) < 1 / (1 + np.exp(-hardness - luck - own))).astype(float)
            for own in rng.normal(0, 0.3, (2, 3))
        )
        same, p = crossed_bootstrap(a, b, same_seeds=True, seed=case)
        other, _ = crossed_bootstrap(a, b, seed=case)
        assert same.mean == pytest.approx(other.mean)
        assert (p < 0.05) == (not same.low <= 0 <= same.high) or abs(p - 0.05) < 0.02
        covered += same.low <= 0 <= same.high
        widths.append((same.high - same.low, other.high - other.low))
    assert covered >= 18
    together, apart = np.mean(widths, axis=0)
    assert together < 0.8 * apart
    with pytest.raises(ValueError, match="seeds"):
        crossed_bootstrap(a, b[:, :2], same_seeds=True)


def test_with_one_seed_games_alone_are_drawn():
    rng = np.random.default_rng(6)
    a, b = rng.random((80, 1)), rng.random((80, 1)) + 0.1
    crossed, _ = crossed_bootstrap(a, b)
    games = paired_bootstrap(a[:, 0], b[:, 0])
    assert (crossed.low, crossed.high) == pytest.approx((games.low, games.high), abs=0.01)
    with pytest.raises(ValueError, match="groups"):
        crossed_bootstrap(a, b[:3])


def test_holm_against_a_worked_example():
    # 4 * 0.005, 3 * 0.01, 2 * 0.03, then not below the one before it.
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.9, 0.8]) == [1.0, 1.0]
    assert holm([]) == []


def test_a_difference_of_two_groups_matches_the_normal_interval():
    rng = np.random.default_rng(4)
    a, b = rng.normal(1.0, 1, 300), rng.normal(0.4, 2, 500)
    ours = difference_bootstrap([[v] for v in a], [[v] for v in b])
    half = stats.norm.ppf(0.975) * np.sqrt(a.var() / len(a) + b.var() / len(b))
    mean = a.mean() - b.mean()
    assert ours.mean == pytest.approx(mean)
    assert (ours.low, ours.high) == pytest.approx((mean - half, mean + half), abs=0.03)
    # Four equal values of a game are one piece of information.
    assert difference_bootstrap([[v] * 4 for v in a], [[v] for v in b]) == ours
    with pytest.raises(ValueError, match="cluster"):
        difference_bootstrap([[1.0]], [])
