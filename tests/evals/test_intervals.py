import numpy as np
import pytest
from scipy import stats

from duomem_jax.evals.intervals import (
    cluster_bootstrap,
    difference_bootstrap,
    mcnemar_exact,
    paired_bootstrap,
    wilson,
)


@pytest.mark.parametrize(("k", "n"), [(0, 1), (1, 1), (6, 140), (109, 140), (140, 140), (3, 7)])
def test_wilson_is_scipys(k, n):
    ours = wilson(k, n)
    theirs = stats.binomtest(k, n).proportion_ci(method="wilson")
    assert ours.mean == k / n
    assert ours.low == pytest.approx(theirs.low, abs=1e-12)
    assert ours.high == pytest.approx(theirs.high, abs=1e-12)
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


def test_pairing_removes_what_both_arms_share():
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
def test_mcnemar_is_the_binomial_test(b, c):
    expected = stats.binomtest(b, b + c).pvalue if b + c else 1.0
    assert mcnemar_exact(b, c) == pytest.approx(expected, rel=1e-9)


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
