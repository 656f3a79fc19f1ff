import dataclasses

import pytest
from scipy import stats

from duomem_jax.evals.describe import Column, Description
from duomem_jax.evals.games.describe import GAMES
from duomem_jax.evals.stats import cluster_bootstrap, wilson
from duomem_jax.evals.summary import compare, summarize
from duomem_jax.records.results import Result, Usage

# Questions on dialogues, which are scored in parts of one and drawn by dialogue.
QUESTIONS = Description(
    headline="f1",
    title="F1",
    axis="F1, %",
    items="questions",
    kind="category",
    how_to_read="",
    columns=(Column("exact", lambda r: 100 * r.scores["exact"]),),
    kinds={"time": "when", "person": "who"},
)


def row(subject, game, success, *, seed=0, steps=10, kind="put", ended=""):
    scores = {"success": float(success), "score": float(success), "steps": float(steps)}
    ended = ended or ("won" if success else "steps")
    return Result(subject, game, game, kind, seed, scores, Usage(100, 50, 0.5), ended)


def question(subject, i, f1, *, seed=0):
    scores = {"f1": f1, "exact": float(f1 == 1)}
    kind = "time" if i % 2 else "person"
    return Result(subject, f"q{i}", f"dialogue {i // 4}", kind, seed, scores, Usage(10, 5, 0.1))


def test_one_seed_gives_wilson_and_plain_means():
    rows = [row("a", f"g{i}", i < 3, steps=10 if i else 40) for i in range(10)]
    rows.append(row("b", "g0", False, steps=4, kind="look", ended="context"))
    a, b = summarize(rows, GAMES)
    assert (a.subject, a.items, a.seeds, a.remarks) == ("a", 10, 1, ())
    assert a.headline == wilson(3, 10)
    assert a.means == pytest.approx(
        {
            "in 30 steps %": 20,  # the win in 40 steps does not count
            "steps": 13,
            "tokens read": 100,
            "tokens written": 50,
            "s / game": 0.5,
        }
    )
    assert a.by_kind == {"put": wilson(3, 10)}
    assert b.remarks == ("in 1 of its lost games the conversation outgrew the context length.",)


def test_several_seeds_are_resampled_by_game():
    rows = [row("a", f"g{i}", i % 2 == 0, seed=s) for i in range(40) for s in range(3)]
    (a,) = summarize(rows, GAMES)
    assert (a.items, a.seeds, a.headline.mean) == (40, 3, 0.5)
    # All seeds agree, so the width is that of 40 games, not of 120.
    assert a.headline.high - a.headline.low == pytest.approx(2 * 1.96 * 0.5 / 40**0.5, abs=0.03)


@pytest.mark.parametrize("won", [False, True])
def test_the_interval_of_all_won_or_all_lost_is_wilsons(won):
    rows = [row("a", f"g{i}", won, seed=s) for i in range(20) for s in range(3)]
    (a,) = summarize(rows, GAMES)
    assert a.headline == wilson(20 * won, 20)


def test_single_seed_pairs_get_mcnemar():
    wins = {"a": {0, 1, 2}, "b": {1, 2, 3, 4, 5, 6}}
    rows = [row(subject, f"g{i}", i in won) for subject, won in wins.items() for i in range(10)]
    pair = compare(rows, "a", "b", GAMES)
    assert (pair.items, pair.only_base, pair.only_other) == (10, 1, 4)
    assert pair.difference.mean == pytest.approx(0.3)
    assert pair.p_value == pytest.approx(stats.binomtest(1, 5).pvalue)


def test_several_seeds_pair_by_game():
    rows = [row("a", f"g{i}", False) for i in range(6)]
    rows += [row("b", f"g{i}", s < 2, seed=s) for i in range(4) for s in range(3)]
    pair = compare(rows, "a", "b", GAMES)
    assert pair.items == 4
    assert pair.difference.mean == pytest.approx(2 / 3)
    assert pair.only_base is None
    assert pair.p_value == pytest.approx(2 / 27, abs=0.01)  # three times the losing seed


def test_subjects_without_a_common_item_are_not_compared():
    assert compare([row("a", "g0", True), row("b", "g1", True)], "a", "b", GAMES) is None


def test_parts_of_a_score_are_drawn_by_group():
    values = [(i % 5) / 4 for i in range(40)]
    (a,) = summarize([question("a", i, f1) for i, f1 in enumerate(values)], QUESTIONS)
    groups = [values[i : i + 4] for i in range(0, 40, 4)]
    assert a.headline == cluster_bootstrap(groups)
    assert a.headline.mean == pytest.approx(0.5)
    assert a.means == {"exact": pytest.approx(20)}
    assert set(a.by_kind) == {"time", "person"}
    assert a.remarks == ()


def test_yes_or_no_within_groups_is_not_taken_for_independent():
    """Four questions on a dialogue that are all right or all wrong are one observation."""
    rows = [question("a", i, float(i < 20)) for i in range(40)]
    (a,) = summarize(rows, QUESTIONS)
    alone = dataclasses.replace(QUESTIONS, cluster=lambda r: r.item)
    (b,) = summarize(rows, alone)
    assert b.headline == wilson(20, 40)
    assert a.headline.mean == 0.5
    assert a.headline.high - a.headline.low > 1.7 * (b.headline.high - b.headline.low)


def test_differences_of_parts_of_a_score_are_drawn_by_group():
    rows = [question("a", i, 0.25) for i in range(40)]
    rows += [question("b", i, 0.75 if i < 30 else 0.25) for i in range(38)]
    pair = compare(rows, "a", "b", QUESTIONS)
    assert (pair.items, pair.only_base) == (38, None)
    assert pair.difference.mean == pytest.approx(0.5 * 30 / 38)
    # About as wide as ten draws of a group that differs by a half or not at all.
    assert 0.2 < pair.difference.high - pair.difference.low < 0.35
    assert pair.p_value < 0.001


def test_adapters_trained_as_one_set_count_as_one_seed():
    """Two rows of a game under one seed are half each, whichever comes first."""
    alone = [row("alone", f"g{i}", i < 4) for i in range(8)]
    pairs = [
        row("set", f"g{i}", i < 4 and half, seed=s)
        for i in range(8)
        for s in (0, 1)
        for half in (True, False)
    ]
    whole = [row("set", f"g{i}", i < 4, seed=s) for i in range(8) for s in (0, 1)]
    halved = compare([*alone, *pairs[::-1]], "alone", "set", GAMES)
    full = compare([*alone, *whole], "alone", "set", GAMES)
    assert halved.difference.mean == pytest.approx(-0.25)
    assert full.difference.mean == 0
    assert halved.items == full.items == 8
