"""What becomes of operations, and of what was there before."""

import logging
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from duomem_jax.base.errors import UserError
from duomem_jax.memory.operations.records import PROCEDURE, Add, Delete, Keep, Update
from duomem_jax.memory.store.entry import Origin
from duomem_jax.memory.store.keeper import Plan, Rejected
from duomem_jax.records.dialogues import Turn

LATER = "2024-02-01T00:00:00Z"


@pytest.mark.parametrize(
    "operation", [Update(7, "x"), Delete(7), Keep(7), Update(2**70, "x"), Delete(-1)]
)
def test_an_unknown_id_is_rejected_and_logged(store, put, caplog, operation):
    put(Add("Ann lives in Rome"))
    with caplog.at_level(logging.WARNING):
        (applied,) = store.apply([operation], Origin(owner="ann"))
    assert applied.status == "rejected"
    assert str(operation.id) in applied.why
    assert str(operation.id) in caplog.text
    assert [e.text for e in store.entries()] == ["Ann lives in Rome"]


@pytest.mark.parametrize("operation", [Update(1, "stolen"), Delete(1), Keep(1)])
def test_memories_of_others_are_out_of_reach(store, put, operation):
    put(Add("Ann lives in Rome"), owner="ann")
    assert put(operation, owner="eve") == ["rejected"]
    assert store.get(1).text == "Ann lives in Rome"


def test_the_same_is_kept_once(store, put):
    assert put(Add("Ann  lives in Rome"), Add("ann lives in ROME ")) == ["added", "kept"]
    assert put(Add("Ann lives in Rome")) == ["kept"]
    assert put(Add("Ann lives in Rome"), owner="bob") == ["added"]
    assert len(store) == 2


def test_two_people_may_say_the_same(store, put):
    assert put(Add("I love dogs", "Ann"), Add("I love dogs", "Bob")) == ["added", "added"]
    assert put(Add("Ann loves dogs"), Add("Ann loves dogs", "Ann")) == ["added", "kept"]


def test_a_script_is_kept_under_each_of_its_keys(put):
    first, second = (Add("go to sink 1", kind=PROCEDURE, key=k) for k in ("clean a cup", "wash up"))
    assert put(first, second, first) == ["added", "added", "kept"]


def test_an_update_replaces_and_the_history_has_both(store, put):
    put(Add("Ann lives in Rome", "Ann", ("D1:1",)))
    assert put(Update(1, "Ann lives in Oslo", ("D2:4",)), happened=LATER) == ["updated"]
    entry = store.get(1)
    assert (entry.text, entry.version, entry.evidence) == ("Ann lives in Oslo", 2, ("D2:4",))
    assert not store.recall("Rome")
    first, second = store.history(1)
    assert (first.operation, first.text, first.evidence) == ("add", "Ann lives in Rome", ("D1:1",))
    assert (second.operation, second.text) == ("update", "Ann lives in Oslo")
    assert (first.happened, second.happened) == ("2024-01-01T00:00:00Z", LATER)
    assert {first.written, second.written} == {"2024-05-01T12:00:00Z"}
    assert {first.writer, second.writer} == {"test"}


def test_what_was_said_earlier_replaces_nothing(store, put):
    put(Add("Ann lives in Oslo"), happened=LATER)
    assert put(Update(1, "Ann lives in Rome"), Delete(1)) == ["rejected", "rejected"]
    assert store.get(1).text == "Ann lives in Oslo"


def test_an_update_to_what_another_memory_says_leaves_one(store, put):
    put(Add("Ann lives in Rome"), Add("Ann lives in Oslo"))
    (applied,) = store.apply([Update(1, "ann lives in oslo")], Origin("x", "ann"))
    assert (applied.status, applied.id) == ("deleted", 1)
    assert "memory 2" in applied.why
    assert [e.id for e in store.entries()] == [2]
    assert [v.operation for v in store.history(1)] == ["add", "delete"]


def test_what_was_deleted_can_be_added_again(store, put):
    put(Add("Ann lives in Rome"))
    assert put(Delete(1, ("D3:1",)), happened=LATER) == ["deleted"]
    assert len(store) == 0
    assert not store.recall("Rome")
    assert store.history(1)[-1].evidence == ("D3:1",)
    assert put(Add("Ann lives in Rome"), happened=LATER) == ["added"]
    assert [f.entry.id for f in store.recall("Rome")] == [2]


@pytest.mark.parametrize(
    "bad",
    [
        Add(""),
        Add(" \n"),
        Add("x", kind="rumour"),
        Add(None),
        Add("x", evidence="D1:1"),
        Add("x", speaker=None),
        Update(1, " "),
        Update("1", "x"),
        Update(True, "x"),
        Delete(None),
        Keep(1.0),
    ],
)
def test_an_operation_without_sense_is_rejected(store, put, bad):
    put(Add("Ann lives in Rome"))
    assert put(bad) == ["rejected"]
    assert len(store) == 1


def test_an_origin_of_wrong_types_is_refused(store):
    with pytest.raises(UserError, match="owner is None"):
        store.apply([Add("x")], Origin(owner=None))


def test_threads_share_a_store(store):
    def work(name):
        for i in range(20):
            store.apply([Add(f"{name} says {i}")], Origin(owner=name))
            assert store.recall(f"{name} says {i}", who=name, k=1)
            assert len(store.vectors(who=name).ids_M) == i + 1

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(work, ("ann", "bob", "carl", "dora")))
    assert len(store) == 80


def test_an_error_in_the_middle_leaves_nothing(store, put):
    class Broken:
        name, same = store.embedder.name, 1.0

        def embed(self, texts):
            raise UserError("no embedding today")

    put(Add("Ann lives in Rome"))
    store._space.embedder = Broken()
    with pytest.raises(UserError, match="today"):
        store.apply([Delete(1), Add("Ann lives in Oslo")], Origin(owner="ann"))
    assert [e.text for e in store.entries()] == ["Ann lives in Rome"]


def test_ids_are_never_given_again(store, put):
    put(Add("one"), Add("two"))
    store.forget(ids=[2])
    put(Add("three"))
    assert [e.id for e in store.entries()] == [1, 3]


def test_uses_are_counted(store, put):
    put(Add("one"), Add("two"))
    store.credit([1, 2, 9], success=True)
    store.credit([1], success=False)
    assert [(e.uses, e.successes) for e in store.entries()] == [(2, 1), (1, 1)]


def test_vectors_follow_every_change(opened, store, put):
    def texts_by_vector(store):
        ids_M, vectors_ME = store.vectors()
        expected_ME = store.embedder.embed([e.text for e in store.entries()])
        assert ids_M.tolist() == [e.id for e in store.entries()]
        np.testing.assert_allclose(vectors_ME, expected_ME, atol=1e-3)

    other = opened()
    for operations in (
        [Add(f"memory {i}") for i in range(100)],
        [Update(3, "something else"), Delete(50), Add("new")],
        [Add("another"), Delete(1), Update(100, "the last one")],
    ):
        put(*operations)
        texts_by_vector(store)
        texts_by_vector(other)
    other.forget(ids=[7, 60])
    texts_by_vector(other)
    texts_by_vector(store)


def test_vectors_that_were_given_away_do_not_change(store, put):
    put(*(Add(f"memory {i}") for i in range(10)))
    given = store.vectors()
    before = given.vectors_ME.copy()
    put(Update(2, "something else"), Delete(5), Add("new"))
    store.vectors()
    np.testing.assert_array_equal(given.vectors_ME, before)


def test_turns_are_kept_as_they_were_said(store):
    turns = [
        Turn("D1:1", "Ann", "Look at this!", caption="a red bicycle"),
        Turn("D1:2", "Bob", ""),
        Turn("D1:3", "Bob", "I had one like it"),
    ]
    at = "2023-05-08T15:56:00+02:00"
    plan = store.plan(turns, at=at, who="ann")
    assert len(store) == 0
    applied = store.remember(turns, at=at, who="ann")
    assert [a.operation for a in applied] == list(plan.operations)
    first, second = store.entries()
    assert first.text == "Look at this! [shares a red bicycle]"
    assert (first.speaker, first.owner, first.evidence) == ("Ann", "ann", ("D1:1",))
    assert first.happened == first.session == "2023-05-08T13:56:00Z"
    assert first.written == "2024-05-01T12:00:00Z"
    assert (first.writer, second.text) == ("verbatim", "I had one like it")
    assert [a.status for a in store.remember(turns, at=at, who="ann")] == ["kept", "kept"]


def test_a_turn_is_found_by_the_one_before_it(store):
    store.remember([Turn("1", "Ann", "Which bicycle?"), Turn("2", "Bob", "The red one")])
    assert {f.entry.text for f in store.recall("bicycle")} == {"Which bicycle?", "The red one"}


def test_what_a_keeper_rejects_is_in_the_result(opened):
    class Keeper:
        name = "odd"

        def plan(self, store, turns, at, who):
            return Plan((Add("Ann has a dog"),), (Rejected("{{", "no JSON"),))

    store = opened(keeper=Keeper())
    added, rejected = store.remember([Turn("1", "Ann", "I have a dog")])
    assert (added.status, rejected.status, rejected.why) == ("added", "rejected", "no JSON")


def test_the_default_keeper_cannot_answer(store):
    with pytest.raises(UserError, match="keeper="):
        store.answer("Where?")


@pytest.mark.parametrize(
    "text",
    [
        "东京很大",
        "👍🏽 ok",
        "Zoë's naïve café",
        "a\0b",
        "half \ud800",
        "'; DROP TABLE memories;--",
        'AND "OR NEAR(',
    ],
)
def test_any_text_is_kept(opened, store, put, text):
    put(Add(text))
    kept = store.entries()[0].text
    assert kept == text.encode(errors="replace").decode()
    assert opened().entries() == store.entries()
    assert [f.entry.text for f in store.recall(text)] in ([kept], [])
