"""What is found, for whom, and as of when."""

import math
from collections import Counter

import pytest

from duomem_jax.base.errors import UserError
from duomem_jax.memory.operations.records import Add, Delete, Update
from duomem_jax.memory.retrieve import Ranking
from duomem_jax.memory.store import lexical


def texts(found):
    return [f.entry.text for f in found]


def bm25(query, documents):
    """The scores of documents, by the formula (Robertson and Zaragoza 2009, k1 1.2, b 0.75)."""
    split = [d.split() for d in documents]
    mean = sum(map(len, split)) / len(split)
    scores = []
    for words in split:
        score = 0.0
        for term in query.split():
            having = sum(term in other for other in split)
            weight = max(math.log((len(split) - having + 0.5) / (having + 0.5)), 1e-6)
            tf = Counter(words)[term]
            score += weight * tf * 2.2 / (tf + 1.2 * (0.25 + 0.75 * len(words) / mean))
        scores.append(score)
    return scores


DOCUMENTS = [
    *(f"common filler word{i}" for i in range(20)),
    "common apple",
    "common apple apple pie with much more around it than before",
    "pie of plums",
]


@pytest.mark.parametrize("touched", [2**62, 5], ids=["all at once", "rare terms first"])
def test_scores_are_those_of_the_formula(store, put, monkeypatch, touched):
    monkeypatch.setattr(lexical, "TOUCHED", touched)
    put(*map(Add, DOCUMENTS))
    query = "apple pie common"
    expected = bm25(query, DOCUMENTS)
    ids_M, scores_M = store.lexical(query, limit=3)
    assert ids_M.tolist() == sorted(range(1, 24), key=lambda i: -expected[i - 1])[:3]
    assert scores_M.tolist() == pytest.approx([expected[i - 1] for i in ids_M], rel=1e-4)


@pytest.mark.parametrize("query", ["", " ", "?!", "\0", '"', "(*)"])
def test_a_query_without_terms_finds_nothing(store, put, query):
    put(Add("Ann lives in Rome"))
    assert store.recall(query) == []


@pytest.mark.parametrize(
    "query",
    ['Rome" OR "x', "Rome NOT Ann", "Rome AND nothing", "NEAR(Rome)", "terms:Rome", "Rome*"],
)
def test_a_query_is_text_and_no_syntax(store, put, query):
    put(Add("Ann lives in Rome"))
    assert texts(store.recall(query)) == ["Ann lives in Rome"]


def test_what_is_known_at_a_time(store, put):
    put(Add("Ann lives in Rome"), happened="2024-01-01T00:00:00Z")
    put(Update(1, "Ann lives in Oslo"), happened="2024-02-01T00:00:00Z")
    put(Delete(1), happened="2024-03-01T00:00:00Z")
    known = {
        "2023-12-31T23:59:59Z": [],
        "2024-01-01T00:00:00Z": ["Ann lives in Rome"],
        "2024-01-31T23:59:59Z": ["Ann lives in Rome"],
        "2024-02-01T01:00:00+01:00": ["Ann lives in Oslo"],
        "2024-03-01T00:00:00Z": [],
    }
    for at, expected in known.items():
        assert texts(store.recall("Where does Ann live? lives", at=at)) == expected
        assert [e.text for e in store.entries(at=at)] == expected
        assert store.vectors(at=at).ids_M.tolist() == [1] * len(expected)
        entry = store.get(1, at=at)
        assert ([entry.text] if entry else []) == expected
    assert store.recall("lives") == []


def test_owners_and_speakers(store, put):
    put(Add("a dog", "Ann"), Add("a dog", "Bob"), owner="ann")
    put(Add("a dog", "Ann"), owner="bob")
    assert [f.entry.id for f in store.recall("dog", who="ann")] == [1, 2]
    assert [f.entry.id for f in store.recall("dog", who=["ann", "bob"], speaker="Ann")] == [1, 3]
    assert store.recall("dog", who="carl") == store.recall("dog", who=[]) == []
    assert store.vectors(who="bob").ids_M.tolist() == [3]
    assert store.vectors(speaker="Bob").ids_M.tolist() == [2]
    assert store.owners() == ["ann", "bob"]


def test_a_budget_of_words(store, put):
    put(Add("dog dog dog of Ann"), Add("a dog and many words more than fit"), Add("one dog"))
    assert texts(store.recall("dog", tokens=7)) == ["dog dog dog of Ann", "one dog"]
    assert texts(store.recall("dog", tokens=18, count=len)) == ["dog dog dog of Ann"]
    assert store.recall("dog", tokens=0) == []
    assert len(store.recall("dog", tokens=7, k=1)) == 1


def test_a_retriever_may_name_what_is_gone(opened, put):
    class Stale:
        def rank(self, store, query, limit, part):
            ranking = store.lexical("dog", at=part.at, who=part.who, speaker=part.speaker)
            store.forget(ids=[1])
            return Ranking(ranking.ids_M, ranking.scores_M)

    store = opened(retriever=Stale())
    put(Add("dog"), Add("another dog"), into=store)
    assert texts(store.recall("?")) == ["another dog"]


def test_an_index_of_other_terms_is_made_anew(opened, put, monkeypatch):
    store = opened()
    put(Add("Ann lives in Rome"), into=store)
    store.close()
    monkeypatch.setattr(lexical, "terms", lambda text: [w[::-1] for w in text.lower().split()])
    store = opened()
    assert texts(store.recall("rome")) == ["Ann lives in Rome"]
    monkeypatch.undo()
    assert store.recall("rome") == []
    assert texts(opened().recall("rome")) == ["Ann lives in Rome"]


@pytest.mark.parametrize("at", ["2024-01-01T00:00:00", "2024-01-01", "yesterday", "", 5])
def test_times_without_a_zone_are_refused(store, at):
    with pytest.raises(UserError, match="at is"):
        store.recall("x", at=at)


@pytest.mark.parametrize("k", [0, -1])
def test_a_number_out_of_range_is_refused(store, k):
    with pytest.raises(UserError, match="k is"):
        store.recall("x", k=k)
