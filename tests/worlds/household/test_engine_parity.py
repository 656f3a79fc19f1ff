"""Our engine against alfworld 0.4.2 on textworld 1.7.0, word for word."""

import sys

import pytest

from duomem_jax.base.errors import UserError
from duomem_jax.worlds.base import Step
from duomem_jax.worlds.household.load import load_games
from duomem_jax.worlds.household.parity import compare, pick, rules_in
from duomem_jax.worlds.household.world import ENGINES, Household

# Goals beyond those of the benchmark, and each quantifier and connective once.
GOALS = (
    "(forall (?o - object) (imply (objectType ?o MugType) (exists (?r - receptacle)"
    " (and (inReceptacle ?o ?r) (receptacleType ?r DrawerType)))))",
    "(and (exists (?ot - object ?r - receptacle ?a - agent ?l - location) (and"
    " (objectType ?ot LampType) (toggleable ?ot) (isToggled ?ot) (receptacleAtLocation ?r ?l)"
    " (atLocation ?a ?l) (inReceptacle ?ot ?r)))"
    " (or (exists (?a - agent) (not (holdsAny ?a))) (checked agent1)))",
)


@pytest.fixture(scope="module", autouse=True)
def _needs_the_real_engine():
    pytest.importorskip("textworld")
    pytest.importorskip("alfworld")


def test_parity_in_a_tiny_room(make_room):
    result = compare(make_room(), steps=80, seed=0, rules=None)
    assert result.mismatches == []
    assert result.steps == 80 + 6 + 4
    assert result.refused > 10
    assert len(result.done) > 8


@pytest.mark.parametrize("goal", GOALS)
def test_parity_of_other_goals(make_room, goal):
    result = compare(make_room(goal, walkthrough=()), steps=30, seed=1, rules=None)
    assert [m for m in result.mismatches if "does not win" not in m] == []


def test_parity_on_a_sample_of_real_games(real_games_dir):
    for game in pick(real_games_dir, ("train", "valid_seen"), 1, seed=1):
        assert compare(game, steps=10, seed=1, rules=rules_in(real_games_dir)).mismatches == []


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(6))
def test_parity_in_the_tiny_room_with_more_seeds(make_room, seed):
    assert compare(make_room(), steps=300, seed=seed, rules=None).mismatches == []


@pytest.mark.slow
def test_parity_on_more_real_games(real_games_dir):
    for game in pick(real_games_dir, ("train", "valid_seen"), 12, seed=2):
        assert compare(game, steps=40, seed=2, rules=rules_in(real_games_dir)).mismatches == []


def test_compare_finds_a_wrong_word(make_room, monkeypatch):
    monkeypatch.setattr(
        "duomem_jax.worlds.household.engine.text.NOTHING_HAPPENS", "Nothing happened."
    )
    result = compare(make_room(), steps=80, seed=0, rules=None)
    assert len(result.mismatches) == 1
    assert "Nothing happened." in result.mismatches[0]


def test_real_engine_behind_the_same_interface(make_room):
    game = make_room()
    argv = list(sys.argv)
    real, fast = (ENGINES[name](game) for name in ("textworld", "fast"))
    assert real.reset() == fast.reset()
    assert real.admissible_commands() == fast.admissible_commands()
    assert [real.step(command)[1] for command in game.walkthrough][-1] is True
    assert sys.argv == argv


def test_original_file_is_played_where_known(tmp_path, make_room):
    from duomem_jax.worlds.household.textworld import game_json, shipped_rules

    domain, grammar = shipped_rules()
    folder = tmp_path / make_room().id
    folder.mkdir(parents=True)
    changed = grammar.replace("You are not carrying anything.", "Your hands are empty.")
    (folder / "game.tw-pddl").write_text(game_json(make_room(), (domain, changed)))
    env = Household("textworld").open(load_games(tmp_path)[0])
    env.reset()
    assert env.step("inventory") == Step("Your hands are empty.", False, 0.0)


def test_unreadable_problem_is_named(make_room):
    game = make_room(init="(atLocation nobody start)")
    with pytest.raises(UserError, match=r"room/.*textworld cannot read it"):
        Household("textworld").open(game)


def test_missing_extra_is_named(make_room, monkeypatch):
    monkeypatch.setitem(sys.modules, "textworld", None)
    with pytest.raises(UserError, match=r"duomem-jax\[alfworld\]"):
        Household("textworld").open(make_room())
