"""What each policy does to a store."""

import math

import pytest

from duomem_jax.memory.embed import make_embedder
from duomem_jax.memory.maintain import POLICIES, maintain_store
from duomem_jax.memory.maintain import budget as budgets
from duomem_jax.memory.maintain.forgetting import DAYS, LEAST, retention
from duomem_jax.memory.maintain.merge import same_words
from duomem_jax.memory.operations.records import Add, Delete
from duomem_jax.memory.store.entry import Origin
from duomem_jax.memory.store.store import Store

NOW = "2024-12-31T12:00:00Z"


@pytest.fixture
def store(tmp_path):
    with Store.open(tmp_path / "store.sqlite", embedder=make_embedder()) as opened:
        yield opened


def put(store, text, day="2024-12-01", evidence=(), owner="", speaker="Ann"):
    origin = Origin("test", owner, happened=f"{day}T12:00:00Z")
    (applied,) = store.apply([Add(text, speaker, evidence)], origin)
    return applied.id


def maintain(store, policy):
    maintain_store(store, POLICIES[policy], NOW)
    return [entry.text for entry in store.entries()]


def test_what_misled_goes_once_it_was_tried_often_enough(store):
    for text, uses in (("new", ""), ("tried", "--"), ("misled", "+--"), ("useful", "+-+")):
        number = put(store, text)
        for use in uses:
            store.credit([number], use == "+")
    assert maintain(store, "useless") == ["new", "tried", "useful"]


def test_what_is_old_and_unused_fades_and_use_keeps_it(store):
    put(store, "old", "2024-01-01")
    used = put(store, "old but used", "2024-01-01")
    put(store, "fresh", "2024-12-30")
    for _ in range(3):
        store.credit([used], True)
    assert maintain(store, "fading") == ["old but used", "fresh"]


def test_retention_falls_with_time_and_rises_with_use(store):
    number = put(store, "x", "2024-11-01")
    days = 60
    assert retention(store.get(number), NOW) == pytest.approx(math.exp(-days / DAYS))
    store.credit([number], False)
    assert retention(store.get(number), NOW) == pytest.approx(math.exp(-days / (2 * DAYS)))
    assert retention(store.get(number), "2024-01-01T00:00:00Z") == 1.0
    assert pytest.approx(math.exp(-180 / DAYS), abs=0.001) == LEAST  # half a year


def test_near_duplicates_become_one_that_rests_on_the_turns_of_all(store):
    first = put(store, "Ann has a dog called Rex.", "2024-01-01", ("1",))
    last = put(store, "Ann has a dog, called Rex", "2024-02-01", ("2",))
    put(store, "Ann has a dog called Rex.", "2024-03-01", ("3",), owner="ben")
    put(store, "Ann plays chess on Sundays.", "2024-01-01", ("4",))
    maintain(store, "duplicates")
    held = {entry.id: entry for entry in store.entries()}
    assert first not in held
    assert set(held[last].evidence) == {"1", "2"}
    assert held[last].happened == "2024-02-01T12:00:00Z"
    assert len(held) == 3
    assert [version.operation for version in store.history(first)] == ["add", "delete"]


@pytest.mark.parametrize(
    ("a", "b", "same"),
    [
        (
            "Ann drinks a cortado each morning at home",
            "Ann drinks a cortado each morning at home!",
            1,
        ),
        ("Ann drinks a cortado each morning", "Ann drinks a flat white each morning", 0),
        (
            "The server of the team listens on port 5432",
            "The server of the team listens on port 5433",
            0,
        ),
        (
            "Ann likes to play tennis with Ben on Sunday",
            "Ann likes not to play tennis with Ben on Sunday",
            0,
        ),
        (
            "Ann does play the old violin of her aunt",
            "Ann does no longer play the old violin of her aunt",
            0,
        ),
        ("", "", 1),
    ],
)
def test_sentences_that_differ_in_what_counts_are_not_the_same(a, b, same):
    assert same_words(a, b) == bool(same)


def test_a_budget_keeps_the_most_valuable(store, monkeypatch):
    monkeypatch.setattr(budgets, "WORDS", 4)
    put(store, "old words", "2024-01-01")
    put(store, "new words", "2024-12-30")
    useful = put(store, "useful words", "2024-12-01")
    for _ in range(2):
        store.credit([useful], True)
    assert maintain(store, "budget") == ["new words", "useful words"]


def test_a_policy_of_ones_own_need_not_be_registered(store):
    def newest(entries, vectors, now):
        return [Delete(entry.id) for entry in sorted(entries, key=lambda e: e.happened)[:-1]]

    old = put(store, "old", "2024-01-01")
    put(store, "new", "2024-12-30")
    (applied,) = maintain_store(store, newest, NOW)
    assert (applied.id, [entry.text for entry in store.entries()]) == (old, ["new"])
    assert store.history(old)[-1].writer == "newest"


def test_the_history_and_the_command_say_the_same_name():
    assert all(policy.__name__ == name for name, policy in POLICIES.items())


@pytest.mark.parametrize("policy", POLICIES)
def test_a_policy_makes_nothing_of_nothing_and_comes_to_rest(store, policy):
    assert maintain(store, policy) == []
    for i in range(5):
        put(store, f"Ann has {i} cats and a long story about them.", f"2024-0{i + 1}-01")
    once = maintain(store, policy)
    assert maintain(store, policy) == once
