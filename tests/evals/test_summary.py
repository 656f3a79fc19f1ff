import pytest
from duomem_jax.evals.games.summary import compare_arms, summarize
from scipy import stats

from duomem_jax.evals.stats import wilson
from duomem_jax.records.results import Result


def row(arm, game, success, *, seed=0, steps=10, kind="pick_and_place_simple"):
    ended = "won" if success else "steps"
    return Result(arm, game, kind, seed, success, steps, 100, 50, 0.5, ended)


def test_one_seed_gives_wilson_and_plain_means():
    rows = [row("a", f"g{i}", i < 3, steps=10 if i else 40) for i in range(10)]
    rows.append(Result("b", "g0", "look_at_obj_in_light", 0, False, 4, 10, 5, 1.0, "context"))
    a, b = summarize(rows)
    assert (a.arm, a.games, a.seeds, a.outgrown) == ("a", 10, 1, 0)
    assert a.success == wilson(3, 10)
    assert a.success_short == pytest.approx(0.2)  # the win in 40 steps does not count
    assert a.steps == pytest.approx(13)
    assert a.by_type == {"pick_and_place_simple": wilson(3, 10)}
    assert b.outgrown == 1


def test_several_seeds_are_resampled_by_game():
    rows = [row("a", f"g{i}", i % 2 == 0, seed=s) for i in range(40) for s in range(3)]
    (a,) = summarize(rows)
    assert (a.games, a.seeds, a.success.mean) == (40, 3, 0.5)
    # All seeds agree, so the width is that of 40 games, not of 120.
    assert a.success.high - a.success.low == pytest.approx(2 * 1.96 * 0.5 / 40**0.5, abs=0.03)


def test_certainty_is_never_claimed():
    rows = [row("a", f"g{i}", False, seed=s) for i in range(20) for s in range(3)]
    (a,) = summarize(rows)
    assert a.success == wilson(0, 20)


def test_single_seed_pairs_get_mcnemar():
    wins = {"a": {0, 1, 2}, "b": {1, 2, 3, 4, 5, 6}}
    rows = [row(arm, f"g{i}", i in won) for arm, won in wins.items() for i in range(10)]
    pair = compare_arms(rows, "a", "b")
    assert (pair.games, pair.only_base, pair.only_other) == (10, 1, 4)
    assert pair.difference.mean == pytest.approx(0.3)
    assert pair.p_value == pytest.approx(stats.binomtest(1, 5).pvalue)


def test_several_seeds_pair_by_game():
    rows = [row("a", f"g{i}", False) for i in range(6)]
    rows += [row("b", f"g{i}", s < 2, seed=s) for i in range(4) for s in range(3)]
    pair = compare_arms(rows, "a", "b")
    assert pair.games == 4
    assert pair.difference.mean == pytest.approx(2 / 3)
    assert pair.only_base is None
    assert pair.p_value == pytest.approx(2 / 27, abs=0.01)  # three times the losing seed


def test_arms_without_a_common_game_are_not_compared():
    assert compare_arms([row("a", "g0", True), row("b", "g1", True)], "a", "b") is None
